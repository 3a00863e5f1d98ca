//! What services could not read, shown and put back.

use std::collections::HashSet;
use std::io::{Write, stdout};

use anyhow::{Context, bail};
use hyper::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Outcome;
use crate::arguments::LetterFormat;
use crate::servers::{Problem, RETRY_TIME, Servers, path_part};

const PATH: &str = "/v1/dead-letters";

/// A dead letter, as servers show it.
#[derive(Deserialize, Serialize)]
struct Letter {
    id: String,
    topic: String,
    partition: u32,
    offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    reason: String,
    time: String,
    requeued: bool,
}

/// A page of them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    dead_letters: Vec<Letter>,
}

/// Shows all letters of all servers. A letter of a topic that several services read is shown once.
pub(crate) async fn list(servers: &Servers, format: LetterFormat) -> anyhow::Result<Outcome> {
    servers.are_there().await?;
    let mut shown = HashSet::new();
    for url in servers.all() {
        let mut pages = servers.pages(url, PATH);
        while let Some(page) = pages.next().await? {
            for letter in letters_of(url, page)? {
                if !shown.contains(&letter.id) {
                    write(&letter, format)?;
                    shown.insert(letter.id);
                }
            }
        }
    }
    Ok(Outcome::Done)
}

fn write(letter: &Letter, format: LetterFormat) -> anyhow::Result<()> {
    let mut stdout = stdout().lock();
    if format == LetterFormat::Jsonl {
        writeln!(stdout, "{}", serde_json::to_string(letter)?)?;
        return Ok(());
    }
    let Letter { id, topic, partition, offset, key, reason, time, requeued } = letter;
    let state = if *requeued { "requeued" } else { "waiting" };
    let key = key.as_deref().unwrap_or("-").escape_debug();
    let reason = reason.escape_debug();
    writeln!(
        stdout,
        "{id}  {state}  {time}  from {topic} partition {partition} offset {offset}  \
         key {key}  {reason}"
    )?;
    Ok(())
}

/// Puts back the letter with this id, or every one that was not put back yet.
pub(crate) async fn requeue(servers: &Servers, id: Option<&str>) -> anyhow::Result<Outcome> {
    servers.are_there().await?;
    if let Some(id) = id {
        for url in servers.all() {
            if let Some(done) = put_back(servers, url, id).await? {
                writeln!(stdout(), "{id} {done}")?;
                return Ok(Outcome::Done);
            }
        }
        bail!("there is no dead letter {id}");
    }
    let mut count = 0_u64;
    for url in servers.all() {
        // All pages first: what cannot be read at the next time either comes as a new letter.
        let mut ids = Vec::new();
        let mut pages = servers.pages(url, PATH);
        while let Some(page) = pages.next().await? {
            let waiting = letters_of(url, page)?.into_iter().filter(|letter| !letter.requeued);
            ids.extend(waiting.map(|letter| letter.id));
        }
        for id in ids {
            if let Some(done) = put_back(servers, url, &id).await? {
                writeln!(stdout(), "{id} {done}")?;
                count += 1;
            }
        }
    }
    if count == 0 {
        writeln!(stdout(), "nothing to put back")?;
    }
    Ok(Outcome::Done)
}

/// Puts a letter back; says what was done, or nothing where the server has no such letter.
async fn put_back(servers: &Servers, url: &str, id: &str) -> anyhow::Result<Option<&'static str>> {
    let path = format!("{PATH}/{}/requeue", path_part(id));
    let answer = servers.send(url, (Method::POST, &path), None, RETRY_TIME).await?;
    match answer.status {
        201 => Ok(Some("is put back")),
        200 => Ok(Some("was put back before")),
        404 => Ok(None),
        _ => {
            let Problem { code, detail, .. } = answer.problem();
            bail!("{url} does not put {id} back: {code}: {detail}")
        }
    }
}

fn letters_of(url: &str, page: Value) -> anyhow::Result<Vec<Letter>> {
    let page: Page = serde_json::from_value(page)
        .with_context(|| format!("{url}{PATH} does not answer with dead letters"))?;
    Ok(page.dead_letters)
}
