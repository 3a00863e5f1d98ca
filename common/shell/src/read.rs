//! A read of a service's stores, and what it comes to.

use std::time::Duration;

use bytes::Bytes;
use streams::{Condition, Offset, StoreName, TopicName};

/// What to read of one partition's stores.
pub struct Read {
    /// The key that decides the partition.
    pub partition_key: Bytes,
    /// The entries, answered in this order. The first decides what counts as a miss.
    pub entries: Vec<(StoreName, Bytes)>,
    /// Answer only when this request has been processed.
    pub after: Option<(TopicName, Offset)>,
    /// Answer only when this holds of the entries; a certain miss is answered at once.
    pub until: Option<Awaited>,
    /// How long to wait.
    pub timeout: Duration,
}

/// What a read waits for.
#[derive(Clone)]
pub struct Awaited {
    /// The condition's name, by which another instance of the service knows it.
    pub name: &'static str,
    /// Whether it holds of the entries.
    pub holds: Condition,
}

impl std::fmt::Debug for Awaited {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Awaited({})", self.name)
    }
}

impl std::fmt::Debug for Read {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Read({:?} after {:?})", self.entries, self.after)
    }
}

/// What a read came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// The entries, in the order asked for.
    Found(Vec<Option<Bytes>>),
    /// The entries as they were when the time ran out without the condition holding.
    TimedOut(Vec<Option<Bytes>>),
}
