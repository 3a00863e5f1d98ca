//! Committed records for readers outside any group, read by a thread of their own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use eventlog::Error as LogError;
use futures_channel::oneshot;
use streams::{ConsumedRecord, Fetched, Offset, TopicPartition};

use crate::clock::Deadline;
use crate::ends::Ends;
use crate::error::{Error, unreachable};
use crate::reader::Reader;
use crate::settings::Settings;

/// How long one look for records takes.
const LOOK: Duration = Duration::from_millis(20);
/// How long somebody who follows topics waits for records before it is looked whether they are
/// still there.
const FOLLOW: Duration = Duration::from_millis(200);

type Answer<T> = oneshot::Sender<Result<T, LogError>>;

/// What was asked for.
pub(crate) enum Request {
    /// The records of a partition up to where it ends.
    Read {
        /// The partition, and where to begin.
        from: (TopicPartition, Offset),
        records_max: usize,
        answer: Answer<Vec<ConsumedRecord>>,
    },
    /// What comes next in several partitions.
    Follow { from: Vec<(TopicPartition, Offset)>, records_max: usize, answer: Answer<Fetched> },
    /// Where partitions end.
    Ends { of: Vec<TopicPartition>, answer: Answer<Vec<Offset>> },
}

/// Does one request after the other, until the last handle is gone.
#[derive(Clone)]
pub(crate) struct Outside {
    requests: Sender<Request>,
}

impl Outside {
    pub(crate) fn start(settings: &Settings, ends: Arc<Ends>) -> Result<Self, Error> {
        let config = settings.reader("eventlog-kafka-outside");
        let reader = Reader::new(settings, config, Arc::clone(&ends), Arc::new(|| ()))?;
        let (requests, asked) = channel();
        let wait = settings.request_timeout;
        std::thread::Builder::new()
            .name("outside-reader".to_owned())
            .spawn(move || answer_all(reader, &ends, wait, &asked))
            .map_err(Error::client)?;
        Ok(Outside { requests })
    }

    pub(crate) async fn read(
        &self,
        from: (TopicPartition, Offset),
        records_max: usize,
    ) -> Result<Vec<ConsumedRecord>, LogError> {
        self.ask(|answer| Request::Read { from, records_max, answer }).await
    }

    pub(crate) async fn follow(
        &self,
        from: &[(TopicPartition, Offset)],
        records_max: usize,
    ) -> Result<Fetched, LogError> {
        self.ask(|answer| Request::Follow { from: from.to_vec(), records_max, answer }).await
    }

    pub(crate) async fn ends(&self, of: &[TopicPartition]) -> Result<Vec<Offset>, LogError> {
        self.ask(|answer| Request::Ends { of: of.to_vec(), answer }).await
    }

    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, LogError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).map_err(unreachable)?;
        answered.await.map_err(unreachable)?
    }
}

fn answer_all(mut reader: Reader, ends: &Ends, wait: Duration, asked: &Receiver<Request>) {
    for request in asked {
        // Whoever asked may have gone.
        match request {
            Request::Read { from, records_max, answer } => {
                let _ = answer.send(read(&mut reader, ends, (from, records_max), wait));
            }
            Request::Follow { from, records_max, answer } => {
                let _ = answer.send(reader.fetch(&from, records_max, FOLLOW));
            }
            Request::Ends { of, answer } => {
                let _ = answer.send(ends.ends(&of));
            }
        }
    }
}

/// Reads up to where the partition ends now, or to an open transaction that does not end in time.
/// Nothing at all is an answer only where there is nothing.
fn read(
    reader: &mut Reader,
    ends: &Ends,
    ((of, from), records_max): ((TopicPartition, Offset), usize),
    wait: Duration,
) -> Result<Vec<ConsumedRecord>, LogError> {
    let deadline = Deadline::after(wait);
    let end = ends.ends(&[of])?.first().copied().unwrap_or_default();
    let mut position = from;
    let mut records = Vec::new();
    while records.len() < records_max && position < end && !deadline.has_passed() {
        let left = records_max - records.len();
        let fetched = reader.fetch(&[(of, position)], left, LOOK)?;
        position = fetched.positions.first().map_or(position, |(_, position)| *position);
        records.extend(fetched.records);
    }
    if records.is_empty() && position < end && records_max > 0 {
        return Err(unreachable(format!("{of} could not be read from {from} in time")));
    }
    Ok(records)
}
