//! Committed records for readers outside any group, read by a thread of their own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use eventlog::Error as LogError;
use futures_channel::oneshot;
use streams::{ConsumedRecord, Offset, TopicPartition};

use crate::clock::Deadline;
use crate::ends::Ends;
use crate::error::{Error, unreachable};
use crate::reader::Reader;
use crate::settings::Settings;

/// How long one look for records takes.
const LOOK: Duration = Duration::from_millis(20);

type Answer = Result<Vec<ConsumedRecord>, LogError>;

/// A read that was asked for.
pub(crate) struct Request {
    of: TopicPartition,
    from: Offset,
    records_max: usize,
    answer: oneshot::Sender<Answer>,
}

/// Reads one request after the other, until the last handle is gone.
#[derive(Clone)]
pub(crate) struct Outside {
    requests: Sender<Request>,
}

impl Outside {
    pub(crate) fn start(settings: &Settings, ends: Arc<Ends>) -> Result<Self, Error> {
        let reader = Reader::new(settings, "eventlog-kafka-outside", Arc::clone(&ends), || ())?;
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
        of: TopicPartition,
        from: Offset,
        records_max: usize,
    ) -> Answer {
        let (answer, answered) = oneshot::channel();
        let request = Request { of, from, records_max, answer };
        self.requests.send(request).map_err(unreachable)?;
        answered.await.map_err(unreachable)?
    }
}

fn answer_all(mut reader: Reader, ends: &Ends, wait: Duration, asked: &Receiver<Request>) {
    for Request { of, from, records_max, answer } in asked {
        let read = read(&mut reader, ends, (of, from, records_max), wait);
        // Whoever asked may have gone.
        let _ = answer.send(read);
    }
}

/// Reads up to where the partition ends now, or to an open transaction that does not end in time.
fn read(
    reader: &mut Reader,
    ends: &Ends,
    (of, from, records_max): (TopicPartition, Offset, usize),
    wait: Duration,
) -> Answer {
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
    Ok(records)
}
