//! Rows to requests. A request carries the id of its row, so that it can be sent again however
//! often: after an answer that was lost, and with the whole file at another time.

use std::collections::HashSet;
use std::io::{Write, stdout};
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::Outcome;
use crate::arguments::{ImportArguments, Kind};
use crate::kind::Entry;
use crate::progress::Progress;
use crate::report::{Fate, Report};
use crate::rows::{self, Row, Rows};
use crate::servers::{Answer, Error, Problem, Servers, path_part};

/// The adjustment by which a product gets the stock that it begins with.
const OPENING_STOCK: &str = "opening-stock";

/// Imports a file.
pub(crate) async fn run(servers: &Servers, arguments: &ImportArguments) -> anyhow::Result<Outcome> {
    let ImportArguments { kind, file, format, parallel, report, retry_s } = arguments;
    let input = rows::open(*kind, file, *format)?;
    servers.has(kind.service(), kind.path()).await?;
    let target =
        Target { servers: servers.clone(), kind: *kind, retry_time: Duration::from_secs(*retry_s) };
    let import = Import {
        target,
        parallel: usize::from(*parallel),
        report: Report::new(*kind, report.as_deref())?,
        progress: Progress::new(input.bytes, input.bytes_read),
        under_way: JoinSet::new(),
        ids: HashSet::new(),
        waiting: None,
        stopped: None,
    };
    import.run(input.rows).await
}

/// An import that runs.
struct Import {
    target: Target,
    /// How many requests may be under way.
    parallel: usize,
    report: Report,
    progress: Progress,
    under_way: JoinSet<Done>,
    /// The ids of the rows that are under way: rows of one id take turns, so that the last one
    /// holds.
    ids: HashSet<String>,
    /// A row that waits for one of the same id.
    waiting: Option<(Row, Entry)>,
    /// Why no more rows are taken.
    stopped: Option<anyhow::Error>,
}

/// A row that is done.
struct Done {
    line: u64,
    id: String,
    fate: Fate,
}

impl Import {
    async fn run(mut self, rows: Rows) -> anyhow::Result<Outcome> {
        let mut rows = read_beside(rows, self.parallel);
        let mut ticks = ticks(self.progress.interval());
        let mut has_more = true;
        while has_more || !self.under_way.is_empty() {
            let has_room = self.under_way.len() < self.parallel && self.waiting.is_none();
            tokio::select! {
                row = rows.recv(), if has_more && has_room => match row {
                    Some(row) => self.take(row)?,
                    None => has_more = false,
                },
                Some(done) = self.under_way.join_next() => self.finish(done?)?,
                _ = ticks.tick() => self.progress.tell(self.report.counts),
            }
            has_more &= self.stopped.is_none();
        }
        let Import { report, progress, stopped, .. } = self;
        progress.finish();
        let counts = report.counts;
        let report = report.finish()?;
        // Where nobody reads it, the exit code still tells.
        let _ = writeln!(stdout(), "{report}");
        match stopped {
            Some(why) => Err(why.context("the import has ended before the file")),
            None if counts.refused + counts.failed > 0 => Ok(Outcome::Refused),
            None => Ok(Outcome::Done),
        }
    }

    fn take(&mut self, row: anyhow::Result<Row>) -> anyhow::Result<()> {
        match row {
            Ok(row) => match row.entry.clone() {
                Ok(entry) if self.ids.contains(&row.id) => self.waiting = Some((row, entry)),
                Ok(entry) => self.send(&row, entry),
                Err(problem) => self.report.add_malformed(&row, &problem, &self.progress)?,
            },
            Err(error) => self.stopped = Some(error),
        }
        Ok(())
    }

    fn send(&mut self, row: &Row, entry: Entry) {
        self.ids.insert(row.id.clone());
        let (target, line, id) = (self.target.clone(), row.line, row.id.clone());
        self.under_way.spawn(async move {
            let fate = target.put(&entry).await;
            Done { line, id, fate }
        });
    }

    fn finish(&mut self, Done { line, id, fate }: Done) -> anyhow::Result<()> {
        self.report.add((line, &id), &fate, &self.progress)?;
        self.ids.remove(&id);
        if let Fate::Unanswered(problem) = fate {
            let told = format!("line {line}: {}; the file can be imported again", problem.detail);
            self.stopped.get_or_insert(anyhow::Error::msg(told));
        } else if let Some((row, entry)) = self.waiting.take_if(|(row, _)| row.id == id)
            && self.stopped.is_none()
        {
            self.send(&row, entry);
        }
        Ok(())
    }
}

/// Reads rows on a thread of their own, no further ahead than `ahead`.
fn read_beside(rows: Rows, ahead: usize) -> mpsc::Receiver<anyhow::Result<Row>> {
    let (sender, receiver) = mpsc::channel(ahead);
    std::thread::spawn(move || {
        for row in rows {
            if sender.blocking_send(row).is_err() {
                break;
            }
        }
    });
    receiver
}

fn ticks(interval: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + interval, interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Where rows go.
#[derive(Clone)]
struct Target {
    servers: Servers,
    kind: Kind,
    retry_time: Duration,
}

impl Target {
    /// Has the server take an entry.
    async fn put(&self, entry: &Entry) -> Fate {
        match self.try_put(entry).await {
            Ok(fate) => fate,
            Err(Error::Path { path }) => Report::malformed(format!("`{path}` is no path")),
            Err(error) => {
                let code = "NO_ANSWER".to_owned();
                Fate::Unanswered(Problem { code, detail: error.to_string(), errors: Vec::new() })
            }
        }
    }

    async fn try_put(&self, entry: &Entry) -> Result<Fate, Error> {
        let path = format!("{}/{}", self.kind.path(), path_part(&entry.id));
        match self.kind {
            Kind::Customers => Ok(fate(&self.send(Method::PUT, &path, Some(&entry.body)).await?)),
            Kind::Products => {
                let put = fate(&self.send(Method::PUT, &path, Some(&entry.body)).await?);
                match (put, entry.stock) {
                    (put @ (Fate::Created | Fate::There), Some(stock)) if stock > 0 => {
                        self.open_stock(&path, put, stock).await
                    }
                    (put, _) => Ok(put),
                }
            }
            Kind::Orders => {
                let answer = self.send(Method::POST, self.kind.path(), Some(&entry.body)).await?;
                if answer.status != 409 {
                    return Ok(fate(&answer));
                }
                let shown = self.send(Method::GET, &path, None).await?;
                Ok(match fate(&shown) {
                    Fate::There if is_same_order(&entry.body, &shown.json()) => Fate::There,
                    Fate::There | Fate::Refused(_) => fate(&answer),
                    unknown => unknown,
                })
            }
        }
    }

    /// Takes in the stock that a product begins with, where it has nothing on hand.
    async fn open_stock(&self, path: &str, put: Fate, stock: u64) -> Result<Fate, Error> {
        if put == Fate::There {
            let level = self.send(Method::GET, &format!("{path}/stock"), None).await?;
            let known = fate(&level);
            if known != Fate::There {
                return Ok(known);
            }
            if level.json()["onHand"].as_u64().is_some_and(|pieces| pieces > 0) {
                return Ok(put);
            }
        }
        let body = json!({"id": OPENING_STOCK, "delta": stock});
        let path = format!("{path}/stock-adjustments");
        Ok(match fate(&self.send(Method::POST, &path, Some(&body)).await?) {
            Fate::Created | Fate::There => put,
            not_taken => not_taken,
        })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        let url = self.servers.url(self.kind.service());
        self.servers.send(url, (method, path), body, self.retry_time).await
    }
}

/// Whether the order that is shown is what was asked for, if in other words: with the prices that
/// it has, where it was placed at the catalogue's, or the other way round.
fn is_same_order(asked: &Value, shown: &Value) -> bool {
    let lines = |order: &Value| order["lines"].as_array().cloned().unwrap_or_default();
    let (asked_lines, shown_lines) = (lines(asked), lines(shown));
    let is_same = |name: &str| asked[name] == shown[name];
    let is_same_line = |(asked, shown): (&Value, &Value)| {
        let has_price = asked.get("unitPrice").is_some_and(|price| !price.is_null());
        asked["productId"] == shown["productId"]
            && asked["quantity"] == shown["quantity"]
            && (!has_price || asked["unitPrice"] == shown["unitPrice"])
    };
    is_same("customerId")
        && is_same("currency")
        && asked_lines.len() == shown_lines.len()
        && asked_lines.iter().zip(&shown_lines).all(is_same_line)
}

/// What an answer says became of its request.
fn fate(answer: &Answer) -> Fate {
    match answer.status {
        // 202 is an order that is on disk and not decided yet.
        201 | 202 => Fate::Created,
        200 => Fate::There,
        503 => Fate::Unanswered(answer.problem()),
        400..500 => Fate::Refused(answer.problem()),
        _ => Fate::Failed(answer.problem()),
    }
}
