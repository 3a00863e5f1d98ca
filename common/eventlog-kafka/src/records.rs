//! Records as the clients have them, and as the runtime has them.

use bytes::{BufMut, Bytes, BytesMut};
use krafka::Record;
use krafka::producer::TopicPartitionOffset;
use rdkafka::TopicPartitionList;
use rdkafka::message::{BorrowedMessage, Header, Headers as _, Message, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use streams::{
    ConsumedRecord, Headers, Offset, Partition, ProducedRecord, Timestamp, TopicName,
    TopicPartition,
};

use crate::error::unreachable;

/// The record that a message holds. `None` where its place is not one that a log has.
pub(crate) fn consumed(topic: TopicName, message: &BorrowedMessage<'_>) -> Option<ConsumedRecord> {
    let source = TopicPartition::new(topic, partition(message.partition())?);
    let bytes_of = |field: Option<&[u8]>| field.map_or(0, <[u8]>::len);
    let headers = message.headers();
    let header_bytes: usize =
        headers.iter().flat_map(|all| all.iter()).map(|header| bytes_of(header.value)).sum();
    let capacity = bytes_of(message.key()) + bytes_of(message.payload()) + header_bytes;
    // One piece of memory a record, whatever it is made of.
    let mut memory = BytesMut::with_capacity(capacity);
    let key = message.key().map(|field| kept(&mut memory, field));
    let value = message.payload().map(|field| kept(&mut memory, field));
    let mut kept_headers = Headers::with_capacity(headers.map_or(0, |all| all.count()));
    for header in headers.iter().flat_map(|all| all.iter()) {
        let value = kept(&mut memory, header.value.unwrap_or_default());
        kept_headers.add(header.key.to_owned(), value);
    }
    Some(ConsumedRecord {
        source,
        offset: offset(message.offset())?,
        timestamp: Timestamp::from_millis(message.timestamp().to_millis().unwrap_or(0)),
        key,
        value,
        headers: kept_headers,
    })
}

fn kept(memory: &mut BytesMut, field: &[u8]) -> Bytes {
    memory.put_slice(field);
    memory.split().freeze()
}

/// A record as a producer takes it. Its partition is given, so that no partitioner has a say.
pub(crate) fn produced<Opaque: rdkafka::util::IntoOpaque>(
    record: &ProducedRecord,
    opaque: Opaque,
) -> BaseRecord<'_, [u8], [u8], Opaque> {
    let destination = record.destination;
    let mut produced = BaseRecord::with_opaque_to(destination.topic.as_str(), opaque)
        .partition(raw_partition(destination.partition))
        .timestamp(record.timestamp.as_millis());
    if let Some(key) = &record.key {
        produced = produced.key(key.as_ref());
    }
    if let Some(value) = &record.value {
        produced = produced.payload(value.as_ref());
    }
    if record.headers.iter().len() > 0 {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.iter().len());
        for (key, value) in record.headers.iter() {
            headers = headers.insert(Header { key, value: Some(value.as_ref()) });
        }
        produced = produced.headers(headers);
    }
    produced
}

/// The same as a producer of transactions takes it.
pub(crate) fn sent(record: &ProducedRecord) -> Record {
    let destination = record.destination;
    let mut sent = Record::new(destination.topic.as_str(), Bytes::new())
        .partition(raw_partition(destination.partition))
        .timestamp(record.timestamp.as_millis());
    sent.key.clone_from(&record.key);
    sent.value.clone_from(&record.value);
    for (name, value) in record.headers.iter() {
        sent = sent.header(name, value.clone());
    }
    sent
}

/// A position as a producer of transactions takes it.
pub(crate) fn taken(of: TopicPartition, offset: Offset) -> TopicPartitionOffset {
    let raw = i64::try_from(offset.0).unwrap_or(i64::MAX);
    TopicPartitionOffset::new(of.topic.as_str(), raw_partition(of.partition), raw)
}

/// The places with positions as the client takes them.
pub(crate) fn list(
    of: impl IntoIterator<Item = (TopicPartition, rdkafka::Offset)>,
) -> Result<TopicPartitionList, rdkafka::error::KafkaError> {
    let mut list = TopicPartitionList::new();
    for (of, position) in of {
        let partition = raw_partition(of.partition);
        list.add_partition_offset(of.topic.as_str(), partition, position)?;
    }
    Ok(list)
}

/// A partition's number as the client has it. It has no more than 2^31.
pub(crate) fn raw_partition(partition: Partition) -> i32 {
    i32::try_from(partition.0).unwrap_or(i32::MAX)
}

pub(crate) fn partition(raw: i32) -> Option<Partition> {
    u32::try_from(raw).ok().map(Partition)
}

pub(crate) fn offset(raw: i64) -> Option<Offset> {
    u64::try_from(raw).ok().map(Offset)
}

/// An offset as the client has it. It has no more than 2^63.
pub(crate) fn position(of: Offset) -> rdkafka::Offset {
    rdkafka::Offset::Offset(i64::try_from(of.0).unwrap_or(i64::MAX))
}

/// The offset that an answer of the client holds; `None` where it holds none.
pub(crate) fn known(position: rdkafka::Offset) -> Option<Offset> {
    match position {
        rdkafka::Offset::Offset(raw) => offset(raw),
        _ => None,
    }
}

/// The offset that an answer of the client holds for a place; `None` where it holds none.
pub(crate) fn answered(
    answer: &TopicPartitionList,
    of: TopicPartition,
) -> Result<Option<Offset>, eventlog::Error> {
    let element = answer.find_partition(of.topic.as_str(), raw_partition(of.partition));
    let element = element.ok_or_else(|| unreachable(format!("no answer for {of}")))?;
    element.error().map_err(unreachable)?;
    Ok(known(element.offset()))
}
