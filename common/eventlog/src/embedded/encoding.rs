//! How commits and records lie on disk: numbers as LEB128, texts and bytes behind their length.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use streams::{
    CommitBatch, ConsumedRecord, Headers, Offset, Partition, ProducedRecord, StoreChange,
    StoreName, TaskCommit, Timestamp, TopicName, TopicPartition,
};

use crate::core::Commit;
use crate::log::TopicConfig;

/// The kinds of commit, as their first byte.
const APPEND: u8 = 0;
const BATCH: u8 = 1;

const TIMESTAMP_BYTES: usize = size_of::<i64>();

/// Bytes that are not what this module wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(String);

/// A request from outside, as [`read_commit`] reads it.
pub(crate) fn append_bytes(record: &ProducedRecord) -> Vec<u8> {
    let mut into = Vec::with_capacity(record.size_bytes() + 64);
    into.push(APPEND);
    write_produced(&mut into, record);
    into
}

/// What a session commits, as [`read_commit`] reads it.
pub(crate) fn batch_bytes(group: &str, batch: &CommitBatch) -> Vec<u8> {
    let size: usize = batch.tasks.iter().map(TaskCommit::size_bytes).sum();
    let mut into = Vec::with_capacity(size + size / 8 + 64);
    into.push(BATCH);
    write_bytes(&mut into, group.as_bytes());
    write_number(&mut into, batch.tasks.len() as u64);
    for task in &batch.tasks {
        write_number(&mut into, u64::from(task.partition.0));
        write_number(&mut into, task.outputs.len() as u64);
        for record in &task.outputs {
            write_produced(&mut into, record);
        }
        write_number(&mut into, task.changes.len() as u64);
        for change in &task.changes {
            write_bytes(&mut into, change.store.as_str().as_bytes());
            write_bytes(&mut into, &change.key);
            write_optional(&mut into, change.value.as_ref());
        }
        write_number(&mut into, task.offsets.len() as u64);
        for (topic, offset) in &task.offsets {
            write_bytes(&mut into, topic.as_str().as_bytes());
            write_number(&mut into, offset.0);
        }
    }
    into
}

/// The commit of these bytes.
pub(crate) fn read_commit(bytes: &[u8], names: &mut Names) -> Result<Commit, Malformed> {
    let mut from = Reader(bytes);
    let commit = match from.byte()? {
        APPEND => Commit::Append(read_produced(&mut from, names)?),
        BATCH => {
            let group = names.kept(from.text()?);
            let tasks = from.many(|from| read_task(from, names))?;
            Commit::Batch { group, batch: CommitBatch { tasks } }
        }
        kind => return Err(Malformed(format!("{kind} is no kind of commit"))),
    };
    from.finished()?;
    Ok(commit)
}

fn read_task(from: &mut Reader<'_>, names: &mut Names) -> Result<TaskCommit, Malformed> {
    let partition = from.partition()?;
    let outputs = from.many(|from| read_produced(from, names))?;
    let changes = from.many(|from| {
        Ok(StoreChange {
            store: StoreName::new(names.kept(from.text()?)),
            key: Bytes::copy_from_slice(from.bytes()?),
            value: from.optional()?.map(Bytes::copy_from_slice),
        })
    })?;
    let offsets = from.many(|from| Ok((names.topic(from.text()?)?, Offset(from.number()?))))?;
    Ok(TaskCommit { partition, outputs, changes, offsets })
}

fn write_produced(into: &mut Vec<u8>, record: &ProducedRecord) {
    write_bytes(into, record.destination.topic.as_str().as_bytes());
    write_number(into, u64::from(record.destination.partition.0));
    let content = Content {
        timestamp: record.timestamp,
        key: record.key.as_ref(),
        value: record.value.as_ref(),
        headers: &record.headers,
    };
    write_sized(into, |into| content.write(into));
}

fn read_produced(from: &mut Reader<'_>, names: &Names) -> Result<ProducedRecord, Malformed> {
    let topic = names.topic(from.text()?)?;
    let destination = TopicPartition::new(topic, from.partition()?);
    let read = read_record(from.bytes()?, destination, Offset(0))?;
    Ok(ProducedRecord {
        destination,
        timestamp: read.timestamp,
        key: read.key,
        value: read.value,
        headers: read.headers,
    })
}

/// A record of a partition without its place there, behind its length.
pub(crate) fn write_record(into: &mut Vec<u8>, record: &ConsumedRecord) {
    let content = Content {
        timestamp: record.timestamp,
        key: record.key.as_ref(),
        value: record.value.as_ref(),
        headers: &record.headers,
    };
    write_sized(into, |into| content.write(into));
}

/// What a record holds, wherever it lies.
struct Content<'record> {
    timestamp: Timestamp,
    key: Option<&'record Bytes>,
    value: Option<&'record Bytes>,
    headers: &'record Headers,
}

impl Content<'_> {
    fn write(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.timestamp.as_millis().to_le_bytes());
        write_optional(into, self.key);
        write_optional(into, self.value);
        write_number(into, self.headers.iter().len() as u64);
        for (name, value) in self.headers.iter() {
            write_bytes(into, name.as_bytes());
            write_bytes(into, value);
        }
    }
}

/// The record of these bytes, which do not have its length before them.
pub(crate) fn read_record(
    bytes: &[u8],
    source: TopicPartition,
    offset: Offset,
) -> Result<ConsumedRecord, Malformed> {
    // One copy of the record, of which its parts are slices: whoever keeps one of them keeps no
    // more than the record.
    let shared = Bytes::copy_from_slice(bytes);
    let mut from = Reader(&shared);
    let timestamp = Timestamp::from_millis(i64::from_le_bytes(from.array()?));
    let key = from.optional()?.map(|key| shared.slice_ref(key));
    let value = from.optional()?.map(|value| shared.slice_ref(value));
    let count = from.count()?;
    let mut headers = Headers::with_capacity(count);
    for _ in 0..count {
        let name = header_name(from.text()?);
        headers.add(name, shared.slice_ref(from.bytes()?));
    }
    from.finished()?;
    Ok(ConsumedRecord { source, offset, timestamp, key, value, headers })
}

/// The key of the record of these bytes.
pub(crate) fn record_key(bytes: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    let mut from = Reader(bytes);
    from.array::<TIMESTAMP_BYTES>()?;
    from.optional()
}

/// A header's name; the usual ones take no memory.
fn header_name(name: &str) -> Cow<'static, str> {
    const USUAL: [&str; 7] = [
        "ce_id",
        "ce_source",
        "ce_specversion",
        "ce_time",
        "ce_type",
        "content-type",
        "traceparent",
    ];
    match USUAL.binary_search(&name) {
        Ok(index) => Cow::Borrowed(USUAL[index]),
        Err(_) => Cow::Owned(name.to_owned()),
    }
}

/// The names that commits on disk speak of. Those of groups and stores are kept for the life of
/// the process; there are as many as the topologies have.
#[derive(Debug)]
pub(crate) struct Names {
    topics: BTreeMap<&'static str, TopicName>,
    kept: BTreeMap<String, &'static str>,
}

impl Names {
    pub(crate) fn new(topics: &[TopicConfig]) -> Self {
        let topics = topics.iter().map(|topic| (topic.name.as_str(), topic.name)).collect();
        Names { topics, kept: BTreeMap::new() }
    }

    pub(crate) fn topic(&self, name: &str) -> Result<TopicName, Malformed> {
        let topic = self.topics.get(name).copied();
        topic.ok_or_else(|| Malformed(format!("it has a topic {name:?} that is not configured")))
    }

    pub(crate) fn kept(&mut self, name: &str) -> &'static str {
        if let Some(kept) = self.kept.get(name) {
            return kept;
        }
        let kept: &'static str = Box::leak(name.to_owned().into_boxed_str());
        self.kept.insert(name.to_owned(), kept);
        kept
    }
}

pub(crate) fn write_number(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

pub(crate) fn write_bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    write_number(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

/// 0 for nothing, else the bytes behind their length and one.
fn write_optional(into: &mut Vec<u8>, bytes: Option<&Bytes>) {
    match bytes {
        None => into.push(0),
        Some(bytes) => {
            write_number(into, bytes.len() as u64 + 1);
            into.extend_from_slice(bytes);
        }
    }
}

/// What `write` writes, behind its length.
fn write_sized(into: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    // The length is written in the bytes of a number that is always long enough.
    const LENGTH_BYTES: usize = 5;
    let start = into.len();
    into.extend_from_slice(&[0; LENGTH_BYTES]);
    write(into);
    let length = into.len() - start - LENGTH_BYTES;
    for (index, byte) in into[start..start + LENGTH_BYTES].iter_mut().enumerate() {
        let more = if index + 1 < LENGTH_BYTES { 0x80 } else { 0 };
        *byte = (length >> (7 * index)) as u8 & 0x7f | more;
    }
}

/// Reads what the functions above wrote.
pub(crate) struct Reader<'bytes>(pub(crate) &'bytes [u8]);

impl<'bytes> Reader<'bytes> {
    pub(crate) fn is_finished(&self) -> bool {
        self.0.is_empty()
    }

    fn finished(&self) -> Result<(), Malformed> {
        if self.is_finished() {
            return Ok(());
        }
        Err(Malformed(format!("{} bytes too many", self.0.len())))
    }

    fn take(&mut self, count: usize) -> Result<&'bytes [u8], Malformed> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| Malformed(format!("{count} bytes wanted, {} there", self.0.len())))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const SIZE: usize>(&mut self) -> Result<[u8; SIZE], Malformed> {
        let mut array = [0; SIZE];
        array.copy_from_slice(self.take(SIZE)?);
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed("a number without end".to_owned()))
    }

    /// A number of things that each take at least one byte, so that it can be trusted with memory.
    fn count(&mut self) -> Result<usize, Malformed> {
        let count = self.number()?;
        if count > self.0.len() as u64 {
            return Err(Malformed(format!("{count} things in {} bytes", self.0.len())));
        }
        Ok(count as usize)
    }

    fn partition(&mut self) -> Result<Partition, Malformed> {
        let number = self.number()?;
        let partition = u32::try_from(number);
        partition.map(Partition).map_err(|_| Malformed(format!("{number} is no partition")))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'bytes [u8], Malformed> {
        let length = self.count()?;
        self.take(length)
    }

    fn optional(&mut self) -> Result<Option<&'bytes [u8]>, Malformed> {
        match self.number()?.checked_sub(1) {
            None => Ok(None),
            Some(length) => self.take(usize::try_from(length).unwrap_or(usize::MAX)).map(Some),
        }
    }

    fn text(&mut self) -> Result<&'bytes str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|error| Malformed(error.to_string()))
    }

    fn many<Item>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<Item, Malformed>,
    ) -> Result<Vec<Item>, Malformed> {
        let count = self.count()?;
        // An item takes more memory than bytes here: a wrong count must not ask for all of it.
        let mut items = Vec::with_capacity(count.min(1_024));
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }
}
