//! What becomes of a record that cannot be decoded: its bytes, untouched, with where it came from.
//! Whoever writes them once more to that place, as [`requeued`] has them, has the record taken
//! after all, by the tasks that could not decode it.

use bytes::Bytes;
use timestamp::Timestamp;

use crate::codec::DecodeError;
use crate::partitioner::partition_for_key;
use crate::record::{ConsumedRecord, Headers, Offset, ProducedRecord, TopicName, TopicPartition};

/// The header with the topic that the record was read from.
pub const TOPIC: &str = "dead-letter-topic";
/// The header with the partition that the record was read from.
pub const PARTITION: &str = "dead-letter-partition";
/// The header with the offset that the record was read from.
pub const OFFSET: &str = "dead-letter-offset";
/// The header that says why the record could not be decoded.
pub const ERROR: &str = "dead-letter-error";

/// The header of a record that was put back where it came from: its offset at the first time. Among
/// the dead letters themselves: the mark that the letter of that offset was put back.
pub const REQUEUED: &str = "dead-letter-requeued";

/// What the runtime adds to a record's own headers.
const ADDED: [&str; 5] = [TOPIC, PARTITION, OFFSET, ERROR, REQUEUED];

/// The dead letter of a record.
pub(crate) fn of(
    record: &ConsumedRecord,
    error: &DecodeError,
    topic: TopicName,
    partitions: u32,
) -> ProducedRecord {
    let mut headers = own_headers(record);
    headers.add(TOPIC, Bytes::from_static(record.source.topic.as_str().as_bytes()));
    headers.add(PARTITION, record.source.partition.to_string());
    headers.add(OFFSET, record.offset.to_string());
    headers.add(ERROR, error.to_string());
    // One without a key stays in the partition it was read from.
    let partition = match &record.key {
        Some(key) => partition_for_key(key, partitions),
        None => record.source.partition,
    };
    ProducedRecord {
        destination: TopicPartition::new(topic, partition),
        timestamp: record.timestamp,
        key: record.key.clone(),
        value: record.value.clone(),
        headers,
    }
}

/// The record of a dead letter as it goes back to `destination`, where it was read from at
/// `offset`.
pub fn requeued(
    letter: &ConsumedRecord,
    destination: TopicPartition,
    offset: Offset,
) -> ProducedRecord {
    let mut headers = own_headers(letter);
    headers.add(REQUEUED, offset.to_string());
    ProducedRecord {
        destination,
        timestamp: letter.timestamp,
        key: letter.key.clone(),
        value: letter.value.clone(),
        headers,
    }
}

/// The mark beside a letter that was put back.
pub fn mark(letter: &ConsumedRecord, now: Timestamp) -> ProducedRecord {
    let mut headers = Headers::default();
    headers.add(REQUEUED, letter.offset.to_string());
    ProducedRecord {
        destination: letter.source,
        timestamp: now,
        key: letter.key.clone(),
        value: None,
        headers,
    }
}

/// Which letter of its partition a record of the dead letters marks as put back; `None` for a
/// letter.
pub fn marked(record: &ConsumedRecord) -> Option<Offset> {
    record.headers.get_str(REQUEUED)?.parse().ok().map(Offset)
}

/// Where a record that was put back lay at the first time, as its header has it.
pub(crate) fn first_offset(record: &ConsumedRecord) -> Option<&Bytes> {
    record.headers.get(REQUEUED)
}

fn own_headers(record: &ConsumedRecord) -> Headers {
    let mut own = Headers::default();
    for (name, value) in record.headers.iter().filter(|(name, _)| !ADDED.contains(name)) {
        own.add(name.to_owned(), value.clone());
    }
    own
}
