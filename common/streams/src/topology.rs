//! The topology: which processor takes which topic, what it may touch, where its outputs go. A
//! value, built by a free function, checked before anything runs.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use crate::codec::{Codec, DecodeError, Key};
use crate::context::{Context, ProcessError, Record, Tick};
use crate::record::{ConsumedRecord, TopicName};
use crate::topic::{Store, StoreName, Topic};
use crate::window::SessionStore;

/// The store in which the runtime keeps what it must remember of a task itself.
pub(crate) const TASK_STORE: StoreName = StoreName::new("task");

/// Where the records of a source come from, which decides what an undecodable one means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From outside: a bad record is a client's mistake. It goes to the dead letters.
    Requests,
    /// From another processor: a bad record means that something of ours is wrong. It goes to the
    /// dead letters, and the service reports itself degraded until it is put back. An event of an
    /// unknown type is a newer writer's and is skipped.
    Internal,
}

/// What starts a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    Stream { topic: TopicName, origin: Origin },
    Timer { while_not_empty: StoreName },
}

/// Why a processor did not take a record.
pub(crate) enum Rejection {
    Bad(DecodeError),
    Process(ProcessError),
}

impl From<ProcessError> for Rejection {
    fn from(error: ProcessError) -> Self {
        Rejection::Process(error)
    }
}

impl From<DecodeError> for Rejection {
    fn from(error: DecodeError) -> Self {
        Rejection::Bad(error)
    }
}

type OnRecord =
    Box<dyn Fn(&mut Context<'_>, &ConsumedRecord) -> Result<(), Rejection> + Send + Sync>;
type OnTick = Box<dyn Fn(&mut Context<'_>, Tick) -> Result<(), ProcessError> + Send + Sync>;

pub(crate) enum Handler {
    Record(OnRecord),
    Tick(OnTick),
}

/// A processor with its wiring.
pub(crate) struct Node {
    pub(crate) name: &'static str,
    pub(crate) trigger: Trigger,
    pub(crate) stores: Vec<StoreName>,
    pub(crate) tables: Vec<TopicName>,
    pub(crate) sinks: Vec<TopicName>,
    pub(crate) handler: Handler,
}

type CheckEntry = Box<dyn Fn(&ConsumedRecord) -> Result<(), DecodeError> + Send + Sync>;

/// A topic of which every instance holds a whole copy.
pub(crate) struct Table {
    pub(crate) topic: TopicName,
    pub(crate) check: CheckEntry,
}

/// The processors of one service and how they are connected.
pub struct Topology {
    name: &'static str,
    dead_letters: TopicName,
    streams: Vec<Node>,
    timers: Vec<Node>,
    tables: Vec<Table>,
    stores: Vec<StoreName>,
}

impl Topology {
    /// The service's name: its consumer group, and the first part of the names derived from it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The topics that the tasks read, each task its own partition, in a fixed order.
    pub fn sources(&self) -> impl Iterator<Item = TopicName> + '_ {
        self.streams.iter().filter_map(|node| match node.trigger {
            Trigger::Stream { topic, .. } => Some(topic),
            Trigger::Timer { .. } => None,
        })
    }

    /// The sources whose records come from outside.
    pub fn request_sources(&self) -> impl Iterator<Item = TopicName> + '_ {
        self.streams.iter().filter_map(|node| match node.trigger {
            Trigger::Stream { topic, origin: Origin::Requests } => Some(topic),
            _ => None,
        })
    }

    /// The sources that a read which finds nothing waits for: requests, and what is only kept to
    /// be read.
    pub(crate) fn sources_before_misses(&self) -> impl Iterator<Item = TopicName> + '_ {
        self.streams.iter().filter_map(|node| match node.trigger {
            Trigger::Stream { topic, origin } => {
                (origin == Origin::Requests || node.sinks.is_empty()).then_some(topic)
            }
            Trigger::Timer { .. } => None,
        })
    }

    /// The topics of which each instance holds a whole copy.
    pub fn tables(&self) -> impl ExactSizeIterator<Item = TopicName> + '_ {
        self.tables.iter().map(|table| table.topic)
    }

    /// The topics that its processors write.
    pub fn sinks(&self) -> BTreeSet<TopicName> {
        let processors = self.streams.iter().chain(&self.timers);
        processors.flat_map(|node| node.sinks.iter().copied()).collect()
    }

    /// The state stores, in order of name, with the runtime's own.
    pub fn stores(&self) -> &[StoreName] {
        &self.stores
    }

    /// The topic that takes what cannot be decoded.
    pub fn dead_letters(&self) -> TopicName {
        self.dead_letters
    }

    /// The topic that holds the changelogs of this service's tasks, where state lives in local
    /// stores beside the log.
    pub fn changelog_name(&self) -> String {
        format!("{}-changelog", self.name)
    }

    /// The topology as text: one line a processor, and what it is connected to.
    pub fn describe(&self) -> String {
        let mut text = format!("Topology: {}\n", self.name);
        for table in &self.tables {
            let _ = writeln!(text, "  table {}", table.topic);
        }
        for node in self.streams.iter().chain(&self.timers) {
            let _ = match node.trigger {
                Trigger::Stream { topic, origin: Origin::Requests } => {
                    writeln!(text, "  requests {topic} -> {}", node.name)
                }
                Trigger::Stream { topic, origin: Origin::Internal } => {
                    writeln!(text, "  stream {topic} -> {}", node.name)
                }
                Trigger::Timer { while_not_empty } => {
                    writeln!(text, "  tick while {while_not_empty} has entries -> {}", node.name)
                }
            };
            describe_names(&mut text, "stores", &node.stores);
            describe_names(&mut text, "joins", &node.tables);
            describe_names(&mut text, "to", &node.sinks);
        }
        text
    }

    pub(crate) fn streams(&self) -> &[Node] {
        &self.streams
    }

    pub(crate) fn timers(&self) -> &[Node] {
        &self.timers
    }

    pub(crate) fn table_checks(&self) -> &[Table] {
        &self.tables
    }
}

impl fmt::Debug for Topology {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.describe())
    }
}

fn describe_names<T: fmt::Display>(text: &mut String, label: &str, names: &[T]) {
    if !names.is_empty() {
        let names: Vec<String> = names.iter().map(T::to_string).collect();
        let _ = writeln!(text, "    {label}: {}", names.join(", "));
    }
}

/// What is wrong with a topology.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// No processor reads a topic.
    #[error("topology {topology} reads no topic")]
    NoSource {
        /// The topology.
        topology: &'static str,
    },
    /// Two processors, or a processor and a table, read the same topic.
    #[error("topology {topology} reads topic {topic} twice")]
    SourceTwice {
        /// The topology.
        topology: &'static str,
        /// The topic.
        topic: TopicName,
    },
    /// Two processors have the same name.
    #[error("topology {topology} has two processors named {processor}")]
    ProcessorTwice {
        /// The topology.
        topology: &'static str,
        /// The name.
        processor: &'static str,
    },
    /// A store's name is the runtime's, or is empty or has other characters than `a-z`, digits and
    /// hyphens, which could not be part of a key in a changelog.
    #[error("topology {topology} cannot have a store named {store:?}")]
    StoreName {
        /// The topology.
        topology: &'static str,
        /// The name.
        store: StoreName,
    },
    /// A processor joins a topic that is no table of the topology.
    #[error("processor {processor} joins {topic}, which is no table of topology {topology}")]
    NoTable {
        /// The topology.
        topology: &'static str,
        /// The processor.
        processor: &'static str,
        /// The topic.
        topic: TopicName,
    },
    /// `with_store`, `join` or `to` was called before any processor was added.
    #[error("topology {topology} wires something before its first processor")]
    NothingToWire {
        /// The topology.
        topology: &'static str,
    },
}

/// Builds a [`Topology`]. `stream`, `requests` and `timer` add a processor; the calls after one
/// say what that processor may touch.
pub struct TopologyBuilder {
    topology: Topology,
    last: Option<Last>,
    nothing_to_wire: bool,
}

#[derive(Clone, Copy)]
enum Last {
    Stream,
    Timer,
}

impl fmt::Debug for TopologyBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.topology.fmt(formatter)
    }
}

impl TopologyBuilder {
    /// An empty topology of the service of this name, with the topic that takes what it cannot
    /// decode.
    pub fn new(name: &'static str, dead_letters: TopicName) -> Self {
        let topology = Topology {
            name,
            dead_letters,
            streams: Vec::new(),
            timers: Vec::new(),
            tables: Vec::new(),
            stores: vec![TASK_STORE],
        };
        TopologyBuilder { topology, last: None, nothing_to_wire: false }
    }

    /// Keeps a whole copy of a topic on every instance: the newest value of each key.
    #[must_use]
    pub fn table<K, V, C>(mut self, topic: &Topic<K, V, C>) -> Self
    where
        K: Key + 'static,
        C: Codec<V> + 'static,
        V: 'static,
    {
        let check = Box::new(|record: &ConsumedRecord| match &record.value {
            Some(_) => decode::<K, V, C>(record).map(|_| ()),
            None => Ok(()),
        });
        self.topology.tables.push(Table { topic: topic.name(), check });
        self
    }

    /// A processor that takes the records of a topic written by a service. One that writes to no
    /// topic is an index: a read that finds nothing waits for what was written there before.
    #[must_use]
    pub fn stream<K, V, C>(
        self,
        topic: &Topic<K, V, C>,
        name: &'static str,
        process: impl Fn(&mut Context<'_>, Record<K, V>) -> Result<(), ProcessError>
        + Send
        + Sync
        + 'static,
    ) -> Self
    where
        K: Key + 'static,
        C: Codec<V> + 'static,
        V: 'static,
    {
        self.source(topic, name, Origin::Internal, process)
    }

    /// A processor that takes the records of a topic written from outside.
    #[must_use]
    pub fn requests<K, V, C>(
        self,
        topic: &Topic<K, V, C>,
        name: &'static str,
        process: impl Fn(&mut Context<'_>, Record<K, V>) -> Result<(), ProcessError>
        + Send
        + Sync
        + 'static,
    ) -> Self
    where
        K: Key + 'static,
        C: Codec<V> + 'static,
        V: 'static,
    {
        self.source(topic, name, Origin::Requests, process)
    }

    fn source<K, V, C>(
        mut self,
        topic: &Topic<K, V, C>,
        name: &'static str,
        origin: Origin,
        process: impl Fn(&mut Context<'_>, Record<K, V>) -> Result<(), ProcessError>
        + Send
        + Sync
        + 'static,
    ) -> Self
    where
        K: Key + 'static,
        C: Codec<V> + 'static,
        V: 'static,
    {
        let handler: OnRecord = Box::new(move |context, record| {
            let record = decode::<K, V, C>(record)?;
            Ok(process(context, record)?)
        });
        self.topology.streams.push(Node {
            name,
            trigger: Trigger::Stream { topic: topic.name(), origin },
            stores: Vec::new(),
            tables: Vec::new(),
            sinks: Vec::new(),
            handler: Handler::Record(handler),
        });
        self.last = Some(Last::Stream);
        self
    }

    /// A processor that takes one tick a second, as long as this store has entries.
    #[must_use]
    pub fn timer<K, V, C, F>(
        mut self,
        while_not_empty: &Store<K, V, C>,
        name: &'static str,
        process: F,
    ) -> Self
    where
        F: Fn(&mut Context<'_>, Tick) -> Result<(), ProcessError> + Send + Sync + 'static,
    {
        self.topology.timers.push(Node {
            name,
            trigger: Trigger::Timer { while_not_empty: while_not_empty.name() },
            stores: Vec::new(),
            tables: Vec::new(),
            sinks: Vec::new(),
            handler: Handler::Tick(Box::new(process)),
        });
        self.last = Some(Last::Timer);
        self.with_store(while_not_empty)
    }

    /// The last processor reads and writes this store. To say so twice says no more.
    #[must_use]
    pub fn with_store<K, V, C>(self, store: &Store<K, V, C>) -> Self {
        let name = store.name();
        self.wire(|node| {
            if !node.stores.contains(&name) {
                node.stores.push(name);
            }
        })
    }

    /// The last processor reads and writes this session store.
    #[must_use]
    pub fn with_sessions<K, V, C>(self, sessions: &SessionStore<K, V, C>) -> Self {
        let name = sessions.name();
        self.wire(|node| node.stores.push(name))
    }

    /// The last processor looks things up in this table.
    #[must_use]
    pub fn join<K, V, C>(self, table: &Topic<K, V, C>) -> Self {
        let name = table.name();
        self.wire(|node| node.tables.push(name))
    }

    /// The last processor writes to this topic.
    #[must_use]
    pub fn to<K, V, C>(self, topic: &Topic<K, V, C>) -> Self {
        let name = topic.name();
        self.wire(|node| node.sinks.push(name))
    }

    fn wire(mut self, connect: impl FnOnce(&mut Node)) -> Self {
        let node = match self.last {
            Some(Last::Stream) => self.topology.streams.last_mut(),
            Some(Last::Timer) => self.topology.timers.last_mut(),
            None => None,
        };
        match node {
            Some(node) => connect(node),
            None => self.nothing_to_wire = true,
        }
        self
    }

    /// The topology, checked.
    ///
    /// # Errors
    /// The first [`TopologyError`] found.
    pub fn build(mut self) -> Result<Topology, TopologyError> {
        let topology = &mut self.topology;
        if self.nothing_to_wire {
            return Err(TopologyError::NothingToWire { topology: topology.name });
        }
        if topology.streams.is_empty() {
            return Err(TopologyError::NoSource { topology: topology.name });
        }
        let nodes = || topology.streams.iter().chain(&topology.timers);
        check_names(topology.name, nodes())?;
        check_tables(topology)?;
        let stores: Vec<StoreName> = nodes().flat_map(|node| node.stores.clone()).collect();
        check_stores(topology.name, &stores)?;
        topology.stores.extend(stores);
        topology.stores.sort_unstable();
        topology.stores.dedup();
        Ok(self.topology)
    }
}

fn check_names<'a>(
    topology: &'static str,
    nodes: impl Iterator<Item = &'a Node>,
) -> Result<(), TopologyError> {
    let mut names = BTreeSet::new();
    for node in nodes {
        if !names.insert(node.name) {
            return Err(TopologyError::ProcessorTwice { topology, processor: node.name });
        }
    }
    Ok(())
}

fn check_tables(topology: &Topology) -> Result<(), TopologyError> {
    let mut read = BTreeSet::new();
    for topic in topology.sources().chain(topology.tables()) {
        if !read.insert(topic) {
            return Err(TopologyError::SourceTwice { topology: topology.name, topic });
        }
    }
    for node in topology.streams.iter().chain(&topology.timers) {
        for topic in &node.tables {
            if !topology.tables().any(|table| table == *topic) {
                return Err(TopologyError::NoTable {
                    topology: topology.name,
                    processor: node.name,
                    topic: *topic,
                });
            }
        }
    }
    Ok(())
}

fn check_stores(topology: &'static str, stores: &[StoreName]) -> Result<(), TopologyError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    for store in stores {
        let name = store.as_str();
        if name.is_empty() || *store == TASK_STORE || !name.bytes().all(plain) {
            return Err(TopologyError::StoreName { topology, store: *store });
        }
    }
    Ok(())
}

/// The typed record in a raw one.
fn decode<K: Key, V, C: Codec<V>>(record: &ConsumedRecord) -> Result<Record<K, V>, DecodeError> {
    let key = record.key.as_ref().ok_or_else(|| DecodeError::Malformed("no key".to_owned()))?;
    let value =
        record.value.as_ref().ok_or_else(|| DecodeError::Malformed("no value".to_owned()))?;
    let event_type = record.headers.get_str(crate::cloud_event::TYPE);
    Ok(Record {
        key: K::decode(key)?,
        value: C::decode(event_type, value)?,
        timestamp: record.timestamp,
    })
}
