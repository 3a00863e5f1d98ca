//! What a client says beside records.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, DefaultConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::message::BorrowedMessage;

/// Counts what a client says beside records: its words for the log and its statistics. They come
/// through the queue of the records, and a poll that finds one gives nothing, as a poll of an empty
/// queue does. (The wish for a new OAuth token would, too, but none of ours answers it.)
#[derive(Default)]
pub(crate) struct Remarks {
    count: AtomicU64,
}

impl Remarks {
    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

impl ClientContext for Remarks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.count.fetch_add(1, Ordering::Relaxed);
        DefaultConsumerContext.log(level, facility, message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.count.fetch_add(1, Ordering::Relaxed);
        DefaultConsumerContext.stats_raw(statistics);
    }
}

impl ConsumerContext for Remarks {}

/// What comes next behind whatever the client says; `None` only where its queue is empty. Where the
/// queue is empty at first, it is waited for this long.
pub(crate) fn poll(
    client: &BaseConsumer<Remarks>,
    mut timeout: Duration,
) -> Option<KafkaResult<BorrowedMessage<'_>>> {
    loop {
        let before = client.context().count();
        let polled = client.poll(timeout);
        if polled.is_some() || client.context().count() == before {
            return polled;
        }
        timeout = Duration::ZERO;
    }
}

/// Passes on what a client without records has said: it would be kept for ever.
pub(crate) fn pass_on(client: &BaseConsumer<Remarks>) {
    while poll(client, Duration::ZERO).is_some() {}
}
