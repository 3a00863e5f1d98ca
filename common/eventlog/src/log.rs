//! The port: what the runtime needs of a log, and what a log promises.
//!
//! ```text
//!   partition   0   1   2   3   4   5   6   7   8
//!             +---+---+---+---+---+---+---+---+- -
//!             | a | b | x | c | d | m | e |   |
//!             +---+---+---+---+---+---+---+---+- -
//!                   ^ committed         ^       ^
//!                   offset of group     |       end: one past the last record, whether
//!                   (next to take)      |       committed or not
//!                                       last committed record
//! ```
//!
//! Offsets grow, but with gaps: `x` is a record of an aborted transaction and `m` a marker; neither
//! is ever read. A reader that wants to know whether it has seen everything compares its position
//! with the end; it never counts records.
//!
//! # Guarantees
//! 1. **Atomic**: outputs, store changes and offsets of a [`CommitBatch`] hold together or not at
//!    all, over all topics and stores.
//! 2. **Ordered**: records of a partition are read in the order of their offsets, and outputs of a
//!    commit get their offsets in the order they were given.
//! 3. **Committed only**: [`Session::fetch`] and [`StateReader`] show nothing of a commit that is
//!    open or was aborted.
//! 4. **Fenced**: each partition of a group has one owner. A commit for a partition that another
//!    session owns by now, or owned since this one was last told its assignment, is refused as
//!    [`CommitOutcome::Fenced`], whole.
//! 5. **Certain ends**: [`Session::ends`] is never below a record of a commit that was answered
//!    before the call began.
//! 6. **Durable in order**: a commit is on disk when the durable position has reached its
//!    [`CommitPosition`]; what is on disk after a crash is the commits up to some position at or
//!    above every one that was reported durable, with no gap.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use streams::{
    Assignment, CommitBatch, CommitOutcome, CommitPosition, ConsumedRecord, Fetched, Offset,
    Partition, ProducedRecord, Restored, StateBacking, StateReader, StoreWrite, TaskPositions,
    TopicName, TopicPartition,
};
pub use streams::{Retention, TopicConfig};

use crate::error::Error;

/// What a session needs to say of itself when it joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The group: the name of the service. Its partitions are shared out among its sessions, the
    /// same partition of all its topics to the same session.
    pub group: &'static str,
    /// The group's source topics, whose offsets it commits.
    pub sources: Vec<TopicName>,
}

/// Called when a session may have something new: records, another assignment, an answer.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// Called once the durable position has reached what it waited for, or never will.
pub type OnDurable = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// A log that sessions join and requests are appended to.
pub trait Log: RequestLog {
    /// A worker's connection to the log.
    type Session: Session;

    /// Joins a group. `waker` is called whenever the session may have something new.
    ///
    /// # Errors
    /// [`Error`] where the log cannot be reached or knows no such topic.
    fn join(&self, membership: Membership, waker: Waker) -> Result<Self::Session, Error>;
}

/// A worker's connection to the log. Calls block; they are made by the worker's own thread. When
/// it is dropped, its partitions pass to the other sessions of the group.
pub trait Session: StateReader + Send {
    /// Where state lives.
    fn state_backing(&self) -> StateBacking;

    /// The partitions owned now. One that was lost since the last call and is owned again is among
    /// the regained ones; until it has been told, commits for it are refused as those of a former
    /// owner.
    ///
    /// # Errors
    /// [`Error`] where the log cannot be reached.
    fn assignment(&mut self) -> Result<Assignment, Error>;

    /// Ends whatever transactions this session, or a dead one in its place, left open, one way or
    /// the other.
    ///
    /// # Errors
    /// [`Error`] where the log cannot be reached.
    fn open(&mut self) -> Result<(), Error>;

    /// Where each of these partitions left off.
    ///
    /// # Errors
    /// [`Error`] where the log or the local store cannot be read.
    fn positions(&mut self, partitions: &[Partition]) -> Result<Vec<TaskPositions>, Error>;

    /// The end of each of these partitions: one past its last record, committed or not.
    ///
    /// # Errors
    /// [`Error`] where the log cannot be reached.
    fn ends(&mut self, of: &[TopicPartition]) -> Result<Vec<Offset>, Error>;

    /// Committed records from these positions on, about `records_max` in all; empty at once where
    /// there are none.
    ///
    /// # Errors
    /// [`Error`] where the log cannot be reached or a position is out of range.
    fn fetch(
        &mut self,
        from: &[(TopicPartition, Offset)],
        records_max: usize,
    ) -> Result<Fetched, Error>;

    /// Commits a batch as one transaction.
    fn commit(&mut self, batch: CommitBatch) -> CommitOutcome;

    /// Committed changes of a task's changelog from this position on; no changes and the same
    /// position where there are none. Never called where the state lives in the log.
    ///
    /// # Errors
    /// [`Error`] where the log cannot be reached or the position is out of range.
    fn restore(&mut self, partition: Partition, from: Offset) -> Result<Restored, Error>;

    /// Writes to the local stores of tasks, all in one atomic write. Never called where the state
    /// lives in the log.
    ///
    /// # Errors
    /// [`Error`] where it is not sure that they were written: the same are to be written again.
    fn store(&mut self, writes: Vec<StoreWrite>) -> Result<(), Error>;

    /// Empties the local store of a task. Never called where the state lives in the log.
    ///
    /// # Errors
    /// [`Error`] where it cannot be written.
    fn wipe(&mut self, partition: Partition) -> Result<(), Error>;

    /// Calls `then` once the durable position has reached `position`: at once where it has, with
    /// an error where it never will.
    fn when_durable(&self, position: CommitPosition, then: OnDurable);
}

/// Where an appended record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its partition.
    pub partition: Partition,
    /// Its offset there.
    pub offset: Offset,
    /// Its place in the order of commits.
    pub position: CommitPosition,
}

/// A future without a name, so that the trait below can be used as an object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The way in for requests from outside, which belong to no group's transaction.
pub trait RequestLog: Send + Sync + 'static {
    /// Appends a record as a commit of its own.
    ///
    /// # Errors
    /// [`Error`] where the log cannot take it: nothing was written, or it is not known
    /// ([`Error::is_indefinite`]).
    fn append(&self, record: ProducedRecord) -> BoxFuture<'_, Result<Appended, Error>>;

    /// Waits until the durable position has reached `position`.
    ///
    /// # Errors
    /// [`Error`] where it never will.
    fn durable(&self, position: CommitPosition) -> BoxFuture<'_, Result<(), Error>>;

    /// Committed and durable records of one partition from a position on, about `records_max` at
    /// most, for readers outside any group.
    ///
    /// # Errors
    /// [`Error`] where the log cannot be read.
    fn read(
        &self,
        of: TopicPartition,
        from: Offset,
        records_max: usize,
    ) -> BoxFuture<'_, Result<Vec<ConsumedRecord>, Error>>;

    /// Committed and durable records of several partitions from these positions on, about
    /// `records_max` in all, for one reader outside any group that wants everything. Where there
    /// are none it waits for some, though not for ever: it may come back with nothing. A read that
    /// is given up loses nothing, since the next one says where it begins.
    ///
    /// # Errors
    /// [`Error`] where the log cannot be read or a position is out of range.
    fn follow<'a>(
        &'a self,
        from: &'a [(TopicPartition, Offset)],
        records_max: usize,
    ) -> BoxFuture<'a, Result<Fetched, Error>>;

    /// The end of each of these partitions, for readers outside any group: one past its last
    /// record, which need not be readable yet.
    ///
    /// # Errors
    /// [`Error`] where the log cannot be reached.
    fn ends<'a>(&'a self, of: &'a [TopicPartition]) -> BoxFuture<'a, Result<Vec<Offset>, Error>>;

    /// Whether the log takes commits; else why not, for `/readyz`.
    ///
    /// # Errors
    /// [`Error`] that says why not.
    fn health(&self) -> Result<(), Error>;

    /// The number of partitions of every topic.
    fn partitions(&self) -> u32;
}
