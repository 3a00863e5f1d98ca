//! Lists to rows, as import takes them.

use std::io::{BufWriter, StdoutLock, Write, stdout};

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use crate::Outcome;
use crate::arguments::{Format, Kind};
use crate::kind::rows_of;
use crate::servers::{Servers, path_part};

/// How many things are completed at once.
const PARALLEL: usize = 16;

/// Writes all there is of a kind to stdout.
pub(crate) async fn run(servers: &Servers, kind: Kind, format: Format) -> anyhow::Result<Outcome> {
    let path = kind.path();
    servers.has(kind.service(), path).await?;
    let url = servers.url(kind.service());
    let mut output = Output::new(kind, format)?;
    let mut pages = servers.pages(url, path);
    while let Some(mut page) = pages.next().await? {
        let things = page[kind.name()].as_array_mut().map(std::mem::take).unwrap_or_default();
        let mut things =
            stream::iter(things).map(|thing| completed(servers, kind, thing)).buffered(PARALLEL);
        while let Some(thing) = things.try_next().await? {
            output.write(&thing)?;
        }
        output.flush()?;
    }
    Ok(Outcome::Done)
}

/// A thing of a list as import takes it, with what import wants to know beside.
async fn completed(servers: &Servers, kind: Kind, thing: Value) -> anyhow::Result<Value> {
    let Value::Object(mut thing) = thing else { return Ok(thing) };
    let (name, beside) = match kind {
        Kind::Orders => return Ok(Value::Object(thing)),
        Kind::Customers => ("customerId", "account"),
        Kind::Products => ("productId", "stock"),
    };
    let id = thing.remove(name).unwrap_or_default();
    let url = servers.url(kind.service());
    let path = path_part(id.as_str().unwrap_or_default());
    let path = format!("{}/{path}/{beside}", kind.path());
    let told = servers.get(url, &path).await?.with_context(|| format!("{url} has no {path}"))?;
    thing.insert("id".to_owned(), id);
    match kind {
        Kind::Customers => {
            let currency = thing.remove("currency");
            let limit = json!({"amount": told["limit"], "currency": currency});
            thing.insert("creditLimit".to_owned(), limit);
        }
        Kind::Products | Kind::Orders => {
            thing.insert("stock".to_owned(), told["onHand"].clone());
        }
    }
    Ok(Value::Object(thing))
}

/// Rows on stdout.
enum Output {
    JsonLines(BufWriter<StdoutLock<'static>>),
    Csv(Kind, Box<csv::Writer<StdoutLock<'static>>>),
}

impl Output {
    fn new(kind: Kind, format: Format) -> anyhow::Result<Self> {
        let stdout = stdout().lock();
        Ok(match format {
            Format::Jsonl => Output::JsonLines(BufWriter::new(stdout)),
            Format::Csv => {
                let mut writer = csv::Writer::from_writer(stdout);
                writer.write_record(kind.columns().iter().map(|column| column.name))?;
                Output::Csv(kind, Box::new(writer))
            }
        })
    }

    fn write(&mut self, thing: &Value) -> anyhow::Result<()> {
        match self {
            Output::JsonLines(lines) => writeln!(lines, "{thing}")?,
            Output::Csv(kind, writer) => {
                for row in rows_of(*kind, thing) {
                    writer.write_record(row)?;
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        match self {
            Output::JsonLines(lines) => lines.flush()?,
            Output::Csv(_, writer) => writer.flush()?,
        }
        Ok(())
    }
}
