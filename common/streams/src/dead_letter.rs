//! What becomes of a record that cannot be decoded: its bytes, untouched, with where it came from.

use bytes::Bytes;

use crate::codec::DecodeError;
use crate::partitioner::partition_for_key;
use crate::record::{ConsumedRecord, ProducedRecord, TopicName, TopicPartition};

/// The header with the topic that the record was read from.
pub const TOPIC: &str = "dead-letter-topic";
/// The header with the partition that the record was read from.
pub const PARTITION: &str = "dead-letter-partition";
/// The header with the offset that the record was read from.
pub const OFFSET: &str = "dead-letter-offset";
/// The header that says why the record could not be decoded.
pub const ERROR: &str = "dead-letter-error";

/// The dead letter of a record.
pub(crate) fn of(
    record: &ConsumedRecord,
    error: &DecodeError,
    topic: TopicName,
    partitions: u32,
) -> ProducedRecord {
    let mut headers = record.headers.clone();
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
