//! [`TopologyDriver`]: runs a topology without a log, for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use timestamp::Timestamp;

use crate::cloud_event;
use crate::codec::{Codec, DecodeError, Key};
use crate::commit::TaskCommit;
use crate::error::Error;
use crate::partitioner::partition_for_key;
use crate::record::{
    ConsumedRecord, Headers, Offset, Partition, ProducedRecord, TopicName, TopicPartition,
};
use crate::state::{KeyRange, StateError, StateReader};
use crate::tables::Tables;
use crate::task::{Progress, Task};
use crate::topic::{Store, StoreName, Topic};
use crate::topology::Topology;

/// Committed state in memory.
#[derive(Debug, Default)]
pub struct MemoryState {
    entries: BTreeMap<(Partition, StoreName, Bytes), Bytes>,
}

impl MemoryState {
    /// Applies the changes of a commit.
    pub fn apply(&mut self, commit: &TaskCommit) {
        for change in &commit.changes {
            let place = (commit.partition, change.store, change.key.clone());
            match &change.value {
                Some(value) => self.entries.insert(place, value.clone()),
                None => self.entries.remove(&place),
            };
        }
    }
}

impl StateReader for MemoryState {
    fn get(
        &self,
        partition: Partition,
        store: StoreName,
        key: &[u8],
    ) -> Result<Option<Bytes>, StateError> {
        Ok(self.entries.get(&(partition, store, Bytes::copy_from_slice(key))).cloned())
    }

    fn range(
        &self,
        partition: Partition,
        store: StoreName,
        range: &KeyRange,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StateError> {
        let entries = self
            .entries
            .range((partition, store, range.from.clone())..)
            .take_while(|((of, within, key), _)| {
                *of == partition && *within == store && range.contains(key)
            })
            .take(limit)
            .map(|((_, _, key), value)| (key.clone(), value.clone()));
        Ok(entries.collect())
    }
}

/// Runs all tasks of a topology in memory. Input waits until [`TopologyDriver::commit`] or
/// [`TopologyDriver::abort`] has it processed, so that a test decides how it is cut into batches
/// and what becomes of them. Output to a topic that the topology itself reads comes back as input.
#[derive(Debug)]
pub struct TopologyDriver {
    topology: Arc<Topology>,
    partitions: u32,
    tasks: BTreeMap<Partition, Task>,
    tables: Tables,
    state: MemoryState,
    ends: BTreeMap<TopicPartition, Offset>,
    outputs: BTreeMap<TopicName, Vec<ConsumedRecord>>,
}

impl TopologyDriver {
    /// A driver of a topology whose topics have this many partitions.
    ///
    /// # Errors
    /// None in practice: new tasks read an empty state.
    pub fn new(topology: Topology, partitions: u32) -> Result<Self, Error> {
        let topology = Arc::new(topology);
        let state = MemoryState::default();
        let mut tasks = BTreeMap::new();
        for partition in (0..partitions).map(Partition) {
            let positions = BTreeMap::new();
            let task = Task::new(Arc::clone(&topology), partition, partitions, &positions, &state)?;
            tasks.insert(partition, task);
        }
        Ok(TopologyDriver {
            tables: Tables::new(Arc::clone(&topology), partitions),
            topology,
            partitions,
            tasks,
            state,
            ends: BTreeMap::new(),
            outputs: BTreeMap::new(),
        })
    }

    /// Gives the topology a record of one of its sources or tables.
    pub fn pipe_input<K: Key, V, C: Codec<V>>(
        &mut self,
        topic: &Topic<K, V, C>,
        key: &K,
        value: &V,
        timestamp: Timestamp,
    ) {
        let encoded = C::encode(value);
        let mut headers = Headers::default();
        if let Some(event_type) = encoded.event_type {
            headers.add(cloud_event::TYPE, event_type);
        }
        let key = key.encode();
        let partition = partition_for_key(&key, self.partitions);
        self.pipe(ProducedRecord {
            destination: TopicPartition::new(topic.name(), partition),
            timestamp,
            key: Some(key),
            value: Some(encoded.bytes),
            headers,
        });
    }

    /// Gives the topology a record as it would lie on the log.
    pub fn pipe(&mut self, record: ProducedRecord) {
        let record = self.place(record);
        self.take(record);
    }

    fn take(&mut self, record: ConsumedRecord) {
        if self.tables.contains(record.source) {
            self.tables.take(&record);
            self.tables.advance(record.source, record.offset.next());
        } else if self.topology.sources().any(|topic| topic == record.source.topic)
            && let Some(task) = self.tasks.get_mut(&record.source.partition)
        {
            task.push(record);
        }
    }

    /// Gives a record the next offset of its partition.
    fn place(&mut self, record: ProducedRecord) -> ConsumedRecord {
        let end = self.ends.entry(record.destination).or_default();
        let offset = *end;
        *end = offset.next();
        ConsumedRecord {
            source: record.destination,
            offset,
            timestamp: record.timestamp,
            key: record.key,
            value: record.value,
            headers: record.headers,
        }
    }

    /// Processes what waits, and whatever follows from it in the topology itself, and commits.
    ///
    /// # Errors
    /// [`Error`] where a processor fails.
    pub fn commit(&mut self) -> Result<(), Error> {
        while self.process()? {
            let mut outputs = Vec::new();
            for task in self.tasks.values_mut() {
                if let Some(commit) = task.prepare_commit() {
                    self.state.apply(&commit);
                    task.committed_batch();
                    outputs.extend(commit.outputs);
                }
            }
            for output in outputs {
                self.deliver(output);
            }
        }
        Ok(())
    }

    /// Processes what waits and gives it up, as after an aborted transaction: it waits again.
    ///
    /// # Errors
    /// [`Error`] where a processor fails.
    pub fn abort(&mut self) -> Result<(), Error> {
        self.process()?;
        for task in self.tasks.values_mut() {
            drop(task.prepare_commit());
            task.aborted();
        }
        Ok(())
    }

    /// Gives every task that has something to wait for one tick, in a batch of its own.
    ///
    /// # Errors
    /// [`Error`] where a processor fails.
    pub fn tick(&mut self, timestamp: Timestamp) -> Result<(), Error> {
        self.commit()?;
        for task in self.tasks.values_mut() {
            if task.wants_tick(&self.state)? {
                task.tick(timestamp, &self.state, &self.tables)?;
            }
        }
        self.commit()
    }

    /// Takes all that waits into open batches; whether there is a batch to commit.
    fn process(&mut self) -> Result<bool, Error> {
        let mut open = false;
        for task in self.tasks.values_mut() {
            while task.process(usize::MAX, &self.state, &self.tables)? == Progress::TablesBehind {
                // What was piped in is in the tables already.
                let fetched = task.fetched();
                task.tables_caught_up(&fetched);
            }
            open |= task.has_batch();
        }
        Ok(open)
    }

    /// Shows a committed record to the test, and to the topology where it reads the topic.
    fn deliver(&mut self, output: ProducedRecord) {
        let record = self.place(output);
        self.outputs.entry(record.source.topic).or_default().push(record.clone());
        self.take(record);
    }

    /// The committed records of a topic since the last call, decoded, in order of commit.
    ///
    /// # Errors
    /// [`DecodeError`] where one is not of the topic's types.
    pub fn read_output<K: Key, V, C: Codec<V>>(
        &mut self,
        topic: &Topic<K, V, C>,
    ) -> Result<Vec<(K, V)>, DecodeError> {
        let missing = || DecodeError::Malformed("no key or no value".to_owned());
        self.read_raw_output(topic.name())
            .into_iter()
            .map(|record| {
                let key = K::decode(record.key.as_ref().ok_or_else(missing)?)?;
                let event_type = record.headers.get_str(cloud_event::TYPE);
                Ok((key, C::decode(event_type, record.value.as_ref().ok_or_else(missing)?)?))
            })
            .collect()
    }

    /// The committed records of a topic since the last call, in order of commit.
    pub fn read_raw_output(&mut self, topic: TopicName) -> Vec<ConsumedRecord> {
        self.outputs.remove(&topic).unwrap_or_default()
    }

    /// The committed value of a key in a store, of the task that owns `partition_key`.
    ///
    /// # Errors
    /// [`DecodeError`] where it is not of the store's types.
    pub fn get<K: Key, V, C: Codec<V>>(
        &self,
        store: &Store<K, V, C>,
        partition_key: &impl Key,
        key: &K,
    ) -> Result<Option<V>, DecodeError> {
        let partition = partition_for_key(&partition_key.encode(), self.partitions);
        let place = (partition, store.name(), key.encode());
        self.state.entries.get(&place).map(|bytes| C::decode(None, bytes)).transpose()
    }

    /// What the tasks miss because they could not decode it.
    ///
    /// # Errors
    /// None in practice: the state is in memory.
    pub fn bad_records(&self) -> Result<Vec<(Bytes, Bytes)>, StateError> {
        let of_each = self.tasks.values().map(|task| task.bad_records(&self.state));
        Ok(of_each.collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// The committed entries of a store, of all tasks.
    ///
    /// # Errors
    /// [`DecodeError`] where one is not of the store's types.
    pub fn entries<K: Key, V, C: Codec<V>>(
        &self,
        store: &Store<K, V, C>,
    ) -> Result<Vec<(K, V)>, DecodeError> {
        self.state
            .entries
            .iter()
            .filter(|((_, of, _), _)| *of == store.name())
            .map(|((_, _, key), value)| Ok((K::decode(key)?, C::decode(None, value)?)))
            .collect()
    }
}
