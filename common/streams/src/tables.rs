//! Global tables: topics of which every instance holds a whole copy in memory, the newest value of
//! each key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::cloud_event;
use crate::record::{ConsumedRecord, Offset, Partition, TopicName, TopicPartition};
use crate::topology::Topology;

/// An entry of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableEntry {
    /// The value, as it lies on the topic.
    pub value: Bytes,
    event_type: Option<Bytes>,
}

impl TableEntry {
    /// The event type of the record that the value came with.
    pub fn event_type(&self) -> Option<&str> {
        self.event_type.as_ref().and_then(|bytes| std::str::from_utf8(bytes).ok())
    }
}

/// The tables of one worker, shared by its tasks.
#[derive(Debug)]
pub struct Tables {
    topology: Arc<Topology>,
    entries: BTreeMap<TopicName, BTreeMap<Bytes, TableEntry>>,
    positions: BTreeMap<TopicPartition, Offset>,
    unreadable: BTreeSet<(TopicPartition, Offset)>,
}

impl Tables {
    /// Empty tables of a topology whose topics have this many partitions.
    pub fn new(topology: Arc<Topology>, partitions: u32) -> Self {
        let positions = topology
            .tables()
            .flat_map(|topic| {
                (0..partitions).map(move |number| TopicPartition::new(topic, Partition(number)))
            })
            .map(|source| (source, Offset(0)))
            .collect();
        let entries = topology.tables().map(|topic| (topic, BTreeMap::new())).collect();
        Tables { topology, entries, positions, unreadable: BTreeSet::new() }
    }

    /// Where each partition is to be read next.
    pub fn positions(&self) -> impl ExactSizeIterator<Item = (TopicPartition, Offset)> + '_ {
        self.positions.iter().map(|(source, position)| (*source, *position))
    }

    /// Whether this is a partition of a table.
    pub fn contains(&self, source: TopicPartition) -> bool {
        self.positions.contains_key(&source)
    }

    /// Takes one record in. One that cannot be read leaves the older entry, and is remembered.
    pub fn take(&mut self, record: &ConsumedRecord) {
        let Some(entries) = self.entries.get_mut(&record.source.topic) else { return };
        let checks = self.topology.table_checks();
        let readable = checks
            .iter()
            .filter(|table| table.topic == record.source.topic)
            .all(|table| (table.check)(record).is_ok());
        match (&record.key, &record.value) {
            (Some(key), Some(value)) if readable => {
                let event_type = record.headers.get(cloud_event::TYPE).cloned();
                entries.insert(key.clone(), TableEntry { value: value.clone(), event_type });
            }
            (Some(key), None) => {
                entries.remove(key);
            }
            _ => {
                self.unreadable.insert((record.source, record.offset));
            }
        }
    }

    /// Moves the position of a partition on.
    pub fn advance(&mut self, source: TopicPartition, position: Offset) {
        if let Some(known) = self.positions.get_mut(&source) {
            *known = position.max(*known);
        }
    }

    /// Whether everything before these ends has been taken in.
    pub fn have_reached(&self, ends: &BTreeMap<TopicPartition, Offset>) -> bool {
        ends.iter().all(|(source, end)| self.positions.get(source).is_some_and(|at| at >= end))
    }

    /// The entry of a key.
    pub fn get(&self, table: TopicName, key: &[u8]) -> Option<&TableEntry> {
        self.entries.get(&table)?.get(key)
    }

    /// At most `limit` entries with keys after `after`, in order of key.
    pub fn page(&self, table: TopicName, after: &[u8], limit: usize) -> Vec<(Bytes, TableEntry)> {
        use std::ops::Bound;
        let range = (Bound::Excluded(Bytes::copy_from_slice(after)), Bound::Unbounded);
        self.entries
            .get(&table)
            .into_iter()
            .flat_map(|entries| entries.range(range.clone()))
            .take(limit)
            .map(|(key, entry)| (key.clone(), entry.clone()))
            .collect()
    }

    /// Records that could not be read.
    pub fn unreadable(&self) -> impl ExactSizeIterator<Item = &(TopicPartition, Offset)> {
        self.unreadable.iter()
    }
}
