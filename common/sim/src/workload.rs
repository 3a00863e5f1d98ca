//! What a simulation is about: the services that run, what clients ask of them, and what must hold.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use eventlog::TopicConfig;
use streams::{
    Condition, ConsumedRecord, Partition, ProducedRecord, StoreName, Timestamp, TopicName, Topology,
};

use crate::failure::Violation;
use crate::random::Random;

/// Names a call of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// What a client asks, as the HTTP edge of a service does it: a request is appended, then entries
/// are read that show what became of it; or they are just read.
#[derive(Debug)]
pub struct Call {
    /// The request, for a call that changes something.
    pub request: Option<ProducedRecord>,
    /// What is read, after the request has been taken.
    pub read: Read,
}

/// A read of entries of one partition of a service's stores.
pub struct Read {
    /// The index of the service.
    pub service: usize,
    /// The partition.
    pub partition: Partition,
    /// The entries. The first decides what counts as a miss.
    pub entries: Vec<(StoreName, Bytes)>,
    /// Answer only when this holds; a certain miss is answered at once.
    pub until: Option<Condition>,
    /// How long the owner may wait, in milliseconds.
    pub timeout_ms: u64,
}

impl fmt::Debug for Read {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "service {} partition {} ", self.service, self.partition)?;
        formatter.debug_list().entries(&self.entries).finish()
    }
}

/// What a client hears. Whatever it hears has been durable before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// The request was not written.
    Refused,
    /// The request was written or not.
    Lost,
    /// The request is written; what became of it could not be read in time.
    Accepted,
    /// The entries, in the order asked for.
    Found(Vec<Option<Bytes>>),
    /// The entries as they were when the time had passed without the condition holding.
    TimedOut(Vec<Option<Bytes>>),
    /// Nothing could be read in time.
    Unavailable,
}

/// The system at rest: nothing fails, nothing is under way.
pub trait AtRest {
    /// The entries of a service's store, of all partitions, as their owners hold them.
    fn entries(&self, service: usize, store: StoreName) -> Vec<(Partition, Bytes, Bytes)>;

    /// The committed records of a topic, in order within each partition.
    fn records(&self, topic: TopicName) -> Vec<ConsumedRecord>;
}

/// What a simulation is about.
pub trait Workload {
    /// The topics of the log.
    fn topics(&self) -> Vec<TopicConfig>;

    /// The services, each of which runs as several instances.
    fn services(&self) -> Vec<Arc<Topology>>;

    /// How long everything takes at most to come to rest once nothing fails any more, in
    /// milliseconds of simulated time.
    fn settle_ms(&self) -> u64;

    /// A client begins a call.
    fn next_call(&mut self, id: CallId, now: Timestamp, random: &mut Random) -> Call;

    /// A client hears what its call came to.
    ///
    /// # Errors
    /// [`Violation`] where that cannot be.
    fn answered(&mut self, id: CallId, outcome: &CallOutcome) -> Result<(), Violation>;

    /// A record holds from now on. Those of one task come in the order in which it wrote them.
    ///
    /// # Errors
    /// [`Violation`] where there must be no such record.
    fn committed(&mut self, record: &ProducedRecord) -> Result<(), Violation>;

    /// Everything has come to rest.
    ///
    /// # Errors
    /// [`Violation`] of what must hold then.
    fn at_rest(&mut self, system: &dyn AtRest) -> Result<(), Violation>;
}
