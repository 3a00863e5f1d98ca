//! Records as they lie on the log, and the names of the places they lie in.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use timestamp::Timestamp;

/// The name of a topic. Cheap to copy: a process knows its topics from the start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(&'static str);

impl TopicName {
    /// A topic named in the source code.
    pub const fn new(name: &'static str) -> Self {
        TopicName(name)
    }

    /// A topic whose name is made at start-up. The name is kept for the life of the process, so
    /// this is for the few names a topology derives, never for names that arrive with data.
    pub fn derived(name: String) -> Self {
        TopicName(Box::leak(name.into_boxed_str()))
    }

    /// The name.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl fmt::Debug for TopicName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

/// The number of a partition within its topic, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub u32);

impl fmt::Display for Partition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// A place within a partition. As a position it names the next record to read, so it is one more
/// than the offset of the last record taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub u64);

impl Offset {
    /// The offset after this one.
    pub const fn next(self) -> Offset {
        Offset(self.0 + 1)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// One partition of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicName,
    /// The partition within it.
    pub partition: Partition,
}

impl TopicPartition {
    /// The given partition of the given topic.
    pub const fn new(topic: TopicName, partition: Partition) -> Self {
        TopicPartition { topic, partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.topic, self.partition)
    }
}

/// The headers of a record, in the order they were added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(Cow<'static, str>, Bytes)>);

impl Headers {
    /// No headers, with room for `capacity` of them.
    pub fn with_capacity(capacity: usize) -> Self {
        Headers(Vec::with_capacity(capacity))
    }

    /// Adds a header after those already there.
    pub fn add(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Bytes>) {
        self.0.push((name.into(), value.into()));
    }

    /// The value of the first header with this name.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0.iter().find(|(header, _)| header == name).map(|(_, value)| value)
    }

    /// The value of the first header with this name, where it is UTF-8.
    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All headers, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Bytes)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }
}

/// A record read from the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumedRecord {
    /// Where it was read.
    pub source: TopicPartition,
    /// Its offset there.
    pub offset: Offset,
    /// Its event time.
    pub timestamp: Timestamp,
    /// Its key; `None` where another client wrote none.
    pub key: Option<Bytes>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Its headers.
    pub headers: Headers,
}

impl ConsumedRecord {
    /// About how many bytes the record takes in memory and on the wire.
    pub fn size_bytes(&self) -> usize {
        size_bytes(self.key.as_ref(), self.value.as_ref(), &self.headers)
    }
}

/// A record to be written to the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducedRecord {
    /// Where it goes. The log gives it the next offset there.
    pub destination: TopicPartition,
    /// Its event time.
    pub timestamp: Timestamp,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Its headers.
    pub headers: Headers,
}

impl ProducedRecord {
    /// About how many bytes the record takes in memory and on the wire.
    pub fn size_bytes(&self) -> usize {
        size_bytes(self.key.as_ref(), self.value.as_ref(), &self.headers)
    }
}

fn size_bytes(key: Option<&Bytes>, value: Option<&Bytes>, headers: &Headers) -> usize {
    const FIXED_BYTES: usize = 32;
    let headers: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    FIXED_BYTES + key.map_or(0, Bytes::len) + value.map_or(0, Bytes::len) + headers
}
