//! What a processor sees: the record at hand, its stores and tables, and a way to write.

use std::fmt::Write as _;

use bytes::Bytes;
use timestamp::Timestamp;

use crate::cloud_event::{self, Attributes};
use crate::codec::{Codec, DecodeError, Encoded, EncodedAs, Key};
use crate::overlay::Overlay;
use crate::partitioner::partition_for_key;
use crate::record::{
    ConsumedRecord, Headers, Partition, ProducedRecord, TopicName, TopicPartition,
};
use crate::state::{KeyRange, StateError, StateReader};
use crate::tables::Tables;
use crate::topic::{Store, StoreName, Topic};
use crate::topology::{Node, Topology};
use crate::trace_parent::TraceParent;

/// A record as a processor takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<K, V> {
    /// Its key.
    pub key: K,
    /// Its value.
    pub value: V,
    /// Its event time.
    pub timestamp: Timestamp,
}

/// A tick of a task's clock: an input like a record. Deadlines count ticks, so that neither an
/// outage nor a jump of the clock passes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// How many ticks the task has taken, this one included.
    pub number: u64,
    /// The time at which it was given.
    pub timestamp: Timestamp,
}

/// Why a processor could not finish a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProcessError {
    /// Not an error: the processor wants the tables caught up before it decides. The runtime does
    /// so and gives it the record again.
    #[error("the tables are to be caught up first")]
    TablesBehind,
    /// A store cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// An entry of a store or a table is not what was written there.
    #[error("entry {key:?} of {place} cannot be read: {error}")]
    CorruptEntry {
        /// The store or table.
        place: &'static str,
        /// The key, as text as far as it is text.
        key: String,
        /// What the codec says.
        error: DecodeError,
    },
    /// The processor touched what the topology does not connect it with.
    #[error("processor {processor} is not connected to {what}")]
    NotConnected {
        /// The processor.
        processor: &'static str,
        /// The store, table or topic.
        what: &'static str,
    },
}

/// What a processor works with. Nothing it writes is seen by anyone before the batch is committed.
pub struct Context<'a> {
    pub(crate) topology: &'a Topology,
    pub(crate) node: &'a Node,
    pub(crate) partition: Partition,
    pub(crate) partitions: u32,
    pub(crate) input: Input<'a>,
    pub(crate) ticks: u64,
    pub(crate) tables: &'a Tables,
    pub(crate) tables_current: bool,
    pub(crate) state: &'a dyn StateReader,
    pub(crate) overlay: &'a mut Overlay,
    pub(crate) outputs: &'a mut Vec<ProducedRecord>,
    pub(crate) forwarded: u32,
    pub(crate) event_time: Option<Bytes>,
    pub(crate) trace_parent: Option<Option<Bytes>>,
}

/// What the processor was called for.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a> {
    Record(&'a ConsumedRecord),
    Tick(Tick),
}

impl Context<'_> {
    /// The event time of the record or tick at hand. What is forwarded has the same.
    pub fn timestamp(&self) -> Timestamp {
        match self.input {
            Input::Record(record) => record.timestamp,
            Input::Tick(tick) => tick.timestamp,
        }
    }

    /// How many ticks the task has taken. A deadline is this number plus the seconds it allows.
    pub fn ticks(&self) -> u64 {
        self.ticks
    }

    /// The value of a key in a store, as the batch so far has left it.
    ///
    /// # Errors
    /// [`ProcessError`] where the store cannot be read or is not connected.
    pub fn get<K: Key, V, C: Codec<V>>(
        &self,
        store: &Store<K, V, C>,
        key: &K,
    ) -> Result<Option<V>, ProcessError> {
        self.check_store(store.name())?;
        self.get_raw(store.name(), &key.encode())?
            .map(|bytes| decode_entry::<V, C>(store.name().as_str(), &key.encode(), &bytes))
            .transpose()
    }

    /// Sets the value of a key in a store.
    ///
    /// # Errors
    /// [`ProcessError::NotConnected`] for a store that the processor is not connected to.
    pub fn put<K: Key, V, C: Codec<V>>(
        &mut self,
        store: &Store<K, V, C>,
        key: &K,
        value: &V,
    ) -> Result<(), ProcessError> {
        self.check_store(store.name())?;
        self.overlay.set(store.name(), key.encode(), Some(C::encode(value).bytes));
        Ok(())
    }

    /// Deletes a key from a store; one that is not there changes nothing.
    ///
    /// # Errors
    /// [`ProcessError::NotConnected`] for a store that the processor is not connected to.
    pub fn delete<K: Key, V, C>(
        &mut self,
        store: &Store<K, V, C>,
        key: &K,
    ) -> Result<(), ProcessError> {
        self.check_store(store.name())?;
        self.overlay.set(store.name(), key.encode(), None);
        Ok(())
    }

    /// At most `limit` entries of a store with keys in the range, in order of key.
    ///
    /// # Errors
    /// [`ProcessError`] where the store cannot be read or is not connected.
    pub fn range<K: Key, V, C: Codec<V>>(
        &self,
        store: &Store<K, V, C>,
        range: &KeyRange,
        limit: usize,
    ) -> Result<Vec<(K, V)>, ProcessError> {
        self.check_store(store.name())?;
        let place = store.name().as_str();
        self.overlay
            .range(self.state, self.partition, store.name(), (range, limit))?
            .into_iter()
            .map(|(key, bytes)| {
                let value = decode_entry::<V, C>(place, &key, &bytes)?;
                let key = K::decode(&key).map_err(|error| corrupt(place, &key, error))?;
                Ok((key, value))
            })
            .collect()
    }

    /// The newest value of a key in a table, as far as this instance has read it.
    ///
    /// # Errors
    /// [`ProcessError`] where the entry cannot be read or the table is not connected.
    pub fn lookup<K: Key, V, C: Codec<V>>(
        &self,
        table: &Topic<K, V, C>,
        key: &K,
    ) -> Result<Option<V>, ProcessError> {
        if !self.node.tables.contains(&table.name()) {
            return Err(self.not_connected(table.name().as_str()));
        }
        let key = key.encode();
        self.tables
            .get(table.name(), &key)
            .map(|entry| {
                C::decode(entry.event_type(), &entry.value)
                    .map_err(|error| corrupt(table.name().as_str(), &key, error))
            })
            .transpose()
    }

    /// Passes where the tables are known to hold everything that was committed when the record was
    /// taken; else makes the runtime catch them up and give the record again. To be called before
    /// a refusal for what a table says.
    ///
    /// # Errors
    /// [`ProcessError::TablesBehind`], to be handed on with `?`.
    pub fn require_current_tables(&self) -> Result<(), ProcessError> {
        if self.tables_current { Ok(()) } else { Err(ProcessError::TablesBehind) }
    }

    /// Writes a record to a topic. It gets the event time and the trace of the record at hand, and
    /// an id derived from it, so that the same input always gives the same output.
    ///
    /// # Errors
    /// [`ProcessError::NotConnected`] for a topic that the processor is not connected to.
    pub fn forward<K: Key, V, C: Codec<V>>(
        &mut self,
        topic: &Topic<K, V, C>,
        key: &K,
        value: &V,
    ) -> Result<(), ProcessError> {
        self.forward_encoded(topic, key, &EncodedAs::new(value))
    }

    /// Writes a record as [`Context::forward`] does, with a value that was encoded before.
    ///
    /// # Errors
    /// [`ProcessError::NotConnected`] for a topic that the processor is not connected to.
    pub fn forward_encoded<K: Key, V, C>(
        &mut self,
        topic: &Topic<K, V, C>,
        key: &K,
        value: &EncodedAs<V, C>,
    ) -> Result<(), ProcessError> {
        if !self.node.sinks.contains(&topic.name()) {
            return Err(self.not_connected(topic.name().as_str()));
        }
        let Encoded { bytes, event_type } = value.encoded.clone();
        let headers = match event_type {
            Some(event_type) => self.event_headers(event_type),
            None => Headers::default(),
        };
        self.emit(topic.name(), key.encode(), bytes, headers);
        Ok(())
    }

    fn emit(&mut self, topic: TopicName, key: Bytes, value: Bytes, headers: Headers) {
        let partition = partition_for_key(&key, self.partitions);
        self.outputs.push(ProducedRecord {
            destination: TopicPartition::new(topic, partition),
            timestamp: self.timestamp(),
            key: Some(key),
            value: Some(value),
            headers,
        });
        self.forwarded += 1;
    }

    fn event_headers(&mut self, event_type: &'static str) -> Headers {
        let timestamp = self.timestamp();
        let trace_parent = self.trace_parent();
        let time = self.event_time.get_or_insert_with(|| cloud_event::event_time(timestamp));
        Attributes {
            id: Bytes::from(derived_id(
                self.topology.name(),
                self.partition,
                self.input,
                self.forwarded,
            )),
            source: self.topology.name(),
            event_type,
            time: time.clone(),
            trace_parent,
        }
        .into_headers()
    }

    /// The trace of what is forwarded: that of the record at hand, and in it what the service does
    /// for this record. A tick begins no trace.
    fn trace_parent(&mut self) -> Option<Bytes> {
        let Input::Record(record) = self.input else { return None };
        let service = self.topology.name();
        let trace_parent = self.trace_parent.get_or_insert_with(|| {
            let header = record.headers.get(cloud_event::TRACE_PARENT)?;
            let parent = TraceParent::parse(header)?;
            Some(parent.processing(service, record).to_header())
        });
        trace_parent.clone()
    }

    pub(crate) fn get_raw(
        &self,
        store: StoreName,
        key: &[u8],
    ) -> Result<Option<Bytes>, StateError> {
        self.overlay.get(self.state, self.partition, (store, key))
    }

    pub(crate) fn check_store(&self, store: StoreName) -> Result<(), ProcessError> {
        if self.node.stores.contains(&store) {
            Ok(())
        } else {
            Err(self.not_connected(store.as_str()))
        }
    }

    fn not_connected(&self, what: &'static str) -> ProcessError {
        ProcessError::NotConnected { processor: self.node.name, what }
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Context({} of {})", self.node.name, self.topology.name())
    }
}

/// The id of an output: what it was made from, and the how-manieth output of that it is.
fn derived_id(service: &str, partition: Partition, input: Input<'_>, index: u32) -> String {
    const USUAL_BYTES: usize = 64;
    let mut id = String::with_capacity(USUAL_BYTES);
    id.push_str(service);
    // Writing to a string never fails.
    let _ = match input {
        Input::Record(record) => {
            id.push('/');
            id.push_str(record.source.topic.as_str());
            write!(id, "/{}/{}/{index}", record.source.partition.0, record.offset.0)
        }
        Input::Tick(tick) => write!(id, "/tick/{partition}/{}/{index}", tick.number),
    };
    id
}

fn decode_entry<V, C: Codec<V>>(
    place: &'static str,
    key: &[u8],
    bytes: &[u8],
) -> Result<V, ProcessError> {
    C::decode(None, bytes).map_err(|error| corrupt(place, key, error))
}

fn corrupt(place: &'static str, key: &[u8], error: DecodeError) -> ProcessError {
    let key = String::from_utf8_lossy(key).into_owned();
    ProcessError::CorruptEntry { place, key, error }
}
