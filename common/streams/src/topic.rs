//! Typed names: topics and stores that know what they hold.

use std::fmt;
use std::marker::PhantomData;

use crate::codec::Json;
use crate::record::TopicName;

/// Remembers types without holding values of them.
type Types<K, V, C> = PhantomData<fn() -> (K, V, C)>;

/// A topic with keys `K` and values `V`, written with codec `C`. A constant, made once in one
/// place; everybody who reads or writes the topic uses it.
pub struct Topic<K, V, C = Json> {
    name: TopicName,
    types: Types<K, V, C>,
}

impl<K, V, C> Topic<K, V, C> {
    /// The topic of this name.
    pub const fn new(name: &'static str) -> Self {
        Topic { name: TopicName::new(name), types: PhantomData }
    }

    /// Its name.
    pub const fn name(&self) -> TopicName {
        self.name
    }
}

impl<K, V, C> fmt::Debug for Topic<K, V, C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Topic({})", self.name)
    }
}

/// How long the records of a topic are kept. Never is it age that ends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// All of them, for ever.
    Forever,
    /// The newest record of each key.
    Compacted,
    /// Until each of these services has committed past them.
    UntilConsumed {
        /// The names of the services.
        by: &'static [&'static str],
    },
}

/// A topic as the system wants it. All topics of one log have the same number of partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// Its name.
    pub name: TopicName,
    /// How long its records are kept.
    pub retention: Retention,
}

/// The name of a state store, unique within its topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreName(&'static str);

impl StoreName {
    /// The store of this name.
    pub const fn new(name: &'static str) -> Self {
        StoreName(name)
    }

    /// The name.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

/// A key-value store with keys `K` and values `V`, written with codec `C`. Each task has its own
/// part of it: the keys of its partition.
pub struct Store<K, V, C = Json> {
    name: StoreName,
    types: Types<K, V, C>,
}

impl<K, V, C> Store<K, V, C> {
    /// The store of this name.
    pub const fn new(name: &'static str) -> Self {
        Store { name: StoreName::new(name), types: PhantomData }
    }

    /// Its name.
    pub const fn name(&self) -> StoreName {
        self.name
    }
}

impl<K, V, C> fmt::Debug for Store<K, V, C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Store({})", self.name)
    }
}
