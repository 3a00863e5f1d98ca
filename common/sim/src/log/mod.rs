//! The simulated log: one interface, two modes. Unlike a real log it takes part in the simulation:
//! it says what it has decided as soon as it has, whether or not anybody has been told.

#[cfg(test)]
mod contract;
mod disk;
mod embedded;
mod kafka;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use eventlog::{Core, SessionId as CoreSessionId};
use streams::{
    Assignment, BatchInputs, CommitBatch, CommitPosition, ConsumedRecord, KeyRange, Offset,
    Partition, ProducedRecord, StateBacking, StateError, StateReader, Step, StepResult, StoreName,
    Timestamp, TopicPartition,
};

use crate::random::Random;

pub(crate) use disk::Disk;
pub(crate) use embedded::EmbeddedLog;
pub(crate) use kafka::KafkaLog;

/// One place where a worker of a service runs, whichever worker runs there now. It has a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The index of its service.
    pub(crate) service: usize,
    /// Its number among the instances of that service.
    pub(crate) instance: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.service, self.instance)
    }
}

/// A worker's connection to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionId(pub(crate) u64);

/// A commit as a worker asked for it, with what its batches had taken.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) place: Place,
    pub(crate) batch: CommitBatch,
    pub(crate) inputs: Vec<(Partition, BatchInputs)>,
    /// Up to where the worker had read its tables.
    pub(crate) tables: Vec<(TopicPartition, Offset)>,
    /// When the batches ended, by the worker's clock: the time of a tick among them.
    pub(crate) ended_at: Timestamp,
}

/// Something that holds for good from now on.
#[derive(Debug)]
pub(crate) enum Decided {
    Appended(ProducedRecord),
    Committed(Arc<Attempt>),
}

/// What became of a request that was to be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppendOutcome {
    Appended {
        offset: Offset,
        position: CommitPosition,
    },
    /// It was not written.
    Refused,
    /// It was written or not: the answer is lost.
    Unknown,
}

/// A step to be done for a session.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) session: SessionId,
    pub(crate) step: &'a Step,
    /// Of a commit.
    pub(crate) attempt: Option<&'a Arc<Attempt>>,
    /// The partitions whose tasks run, at the session's worker.
    pub(crate) running: &'a [Partition],
}

/// Trouble that the log makes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFault {
    /// The member of this session is taken for dead.
    SessionTimeout(SessionId),
    TransactionTimeout,
    /// Of the service at this index.
    OffsetsExpire(usize),
    CleanUp,
}

/// A log of the simulation.
pub(crate) trait SimulatedLog {
    fn backing(&self) -> StateBacking;

    fn join(&mut self, place: Place) -> SessionId;

    /// A session ends in order.
    fn leave(&mut self, session: SessionId);

    /// The process of these sessions is gone, without a word.
    fn crash(&mut self, sessions: &[SessionId], random: &mut Random);

    /// The disk of a place is empty from now on.
    fn lose_disk(&mut self, place: Place);

    /// The disk of a place is one of another cluster from now on.
    fn swap_disk(&mut self, place: Place, random: &mut Random);

    /// What the session knows of its partitions.
    fn assignment(&mut self, session: SessionId) -> Assignment;

    /// The session hears of its group, and the group of it. Whether anything changed for either:
    /// a partition that is given up is free to others only once the group has heard so.
    fn poll(&mut self, session: SessionId, random: &mut Random) -> bool;

    /// Does a step, or a part of it: `None` where it is not finished.
    fn perform(&mut self, request: &Request<'_>, random: &mut Random) -> Option<StepResult>;

    /// The stores of a session.
    fn state(&self, session: SessionId) -> State<'_>;

    fn append(&mut self, record: &ProducedRecord, random: &mut Random) -> AppendOutcome;

    fn is_durable(&self, position: CommitPosition) -> bool;

    /// Something that goes on behind everybody's back goes on by one piece. Whether there was any.
    fn background(&mut self, random: &mut Random) -> bool;

    fn fault(&mut self, fault: LogFault, random: &mut Random);

    /// From now on nothing fails, and whatever hangs comes to an end.
    fn heal(&mut self);

    /// Grows with whatever a waiting worker would be woken for.
    fn news(&self) -> u64;

    /// What has been decided since the last call, in order.
    fn take_decided(&mut self) -> Vec<Decided>;

    /// The offsets of the committed records of a partition from `from` up to `until`; `None` where
    /// there is one among them of which it is not decided whether it is committed.
    fn committed_between(
        &self,
        of: TopicPartition,
        from: Offset,
        until: Offset,
    ) -> Option<Vec<Offset>>;

    /// All committed records of a partition, whatever became of them since.
    fn history(&self, of: TopicPartition) -> Vec<ConsumedRecord>;

    /// The end of a partition.
    fn end(&self, of: TopicPartition) -> Offset;
}

/// Read access to the stores of a session.
#[derive(Clone, Copy)]
pub(crate) enum State<'a> {
    InLog(&'a Core, CoreSessionId),
    OnDisk(&'a Disk),
}

impl StateReader for State<'_> {
    fn get(
        &self,
        partition: Partition,
        store: StoreName,
        key: &[u8],
    ) -> Result<Option<Bytes>, StateError> {
        Ok(match self {
            State::InLog(core, session) => core.get(*session, partition, store, key),
            State::OnDisk(disk) => disk.get(partition, store, key),
        })
    }

    fn range(
        &self,
        partition: Partition,
        store: StoreName,
        range: &KeyRange,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StateError> {
        Ok(match self {
            State::InLog(core, session) => core.range(*session, (store, partition), range, limit),
            State::OnDisk(disk) => disk.range(partition, store, range, limit),
        })
    }
}
