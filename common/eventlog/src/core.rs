//! The log in memory, as a plain state machine: no threads, no files, no clock.
//!
//! Commits are numbered from 1 in the order they are made; [`Core::committed`] is the last of
//! them. How far they are durable is for the owner to say ([`Core::advance_durable`]). Everything
//! that has to be called as a consequence (wakers, callbacks) is handed back, so that the owner
//! calls it after letting go of whatever lock it holds.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;

use bytes::Bytes;
use streams::{
    Assignment, CommitBatch, CommitOutcome, CommitPosition, ConsumedRecord, Fetched, KeyRange,
    Offset, Partition, ProducedRecord, StoreChange, StoreName, TaskPositions, TopicPartition,
};

use crate::budget::{Budget, Share};
use crate::error::Error;
use crate::group::{Group, SessionId};
use crate::log::{Appended, Membership, OnDurable, TopicConfig, Waker};
use crate::memtable::{Known, StorePartition, merged};
use crate::prepared::{Prepared, PreparedTask};
use crate::rotation::Rotation;
use crate::tail::{Tail, TailRecord};
use crate::topics::Topics;
use crate::waiting::{Due, Waiting};

/// One commit, as it can be kept and applied again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commit {
    /// A request from outside.
    Append(ProducedRecord),
    /// What a session of a group committed.
    Batch {
        /// The group.
        group: &'static str,
        /// What it committed.
        batch: CommitBatch,
    },
}

/// A position to read from, and the partition it is in.
pub(crate) struct Place<'core> {
    pub(crate) of: TopicPartition,
    pub(crate) from: Offset,
    pub(crate) tail: &'core Tail,
}

/// What is to be called once no lock is held any more.
pub type Wakers = Vec<Waker>;

/// The log in memory.
#[derive(Default)]
pub struct Core {
    pub(crate) topics: Topics,
    pub(crate) groups: BTreeMap<&'static str, Group>,
    sessions: BTreeMap<SessionId, &'static str>,
    next_session: u64,
    pub(crate) committed: CommitPosition,
    pub(crate) waiting: Waiting,
    /// Which store partitions a checkpoint merges.
    pub(crate) rotation: Rotation,
    /// About how much memory the records and unsaved store changes take that no checkpoint is
    /// being made of.
    pub(crate) active_bytes: usize,
    /// The same of those that one is being made of.
    pub(crate) frozen_bytes: usize,
}

impl Core {
    /// An empty log with these topics.
    pub fn new(topics: Vec<TopicConfig>, partitions: u32) -> Self {
        Core { topics: Topics::new(topics, partitions), ..Core::default() }
    }

    /// The number of partitions of every topic.
    pub fn partitions(&self) -> u32 {
        self.topics.partitions()
    }

    /// Joins a group. The wakers are those of all its sessions: the partitions are shared out
    /// anew.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`].
    pub fn join(
        &mut self,
        membership: Membership,
        waker: Waker,
    ) -> Result<(SessionId, Wakers), Error> {
        for topic in &membership.sources {
            self.topics.index_of(*topic)?;
        }
        self.next_session += 1;
        let session = SessionId(self.next_session);
        let name = membership.group;
        self.sessions.insert(session, name);
        let partitions = self.partitions();
        let group = self.groups.entry(name).or_default();
        group.join(session, membership, waker, partitions);
        Ok((session, group.wakers()))
    }

    /// Leaves the group.
    pub fn leave(&mut self, session: SessionId) -> Wakers {
        let partitions = self.partitions();
        let group = self.sessions.remove(&session).and_then(|name| self.groups.get_mut(name));
        let Some(group) = group else { return Wakers::new() };
        group.leave(session, partitions);
        group.wakers()
    }

    /// Tells a session which partitions it owns.
    pub fn assignment(&mut self, session: SessionId) -> Assignment {
        let group = self.sessions.get(&session).and_then(|name| self.groups.get_mut(name));
        group.map(|group| group.tell_assignment(session)).unwrap_or_default()
    }

    /// Where each of these partitions left off.
    pub fn positions(&self, session: SessionId, partitions: &[Partition]) -> Vec<TaskPositions> {
        let of = |partition: &Partition| {
            let group = self.group_of(session);
            let positions = group.map(|group| group.positions(session, *partition));
            TaskPositions { as_of: self.committed, ..positions.unwrap_or_default() }
        };
        partitions.iter().map(of).collect()
    }

    /// The end of each of these partitions.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`].
    pub fn ends(&self, of: &[TopicPartition]) -> Result<Vec<Offset>, Error> {
        of.iter().map(|of| Ok(self.topics.partition(*of)?.end())).collect()
    }

    /// Records from these positions on, about `records_max` in all.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::OutOfRange`].
    pub fn fetch(
        &self,
        from: &[(TopicPartition, Offset)],
        records_max: usize,
    ) -> Result<Fetched, Error> {
        let places = self.readable(from)?;
        Ok(Self::fetch_from(&places, records_max))
    }

    /// These positions, each with its partition.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::OutOfRange`].
    pub(crate) fn readable(
        &self,
        from: &[(TopicPartition, Offset)],
    ) -> Result<Vec<Place<'_>>, Error> {
        let place = |(of, from): &(TopicPartition, Offset)| {
            Ok(Place { of: *of, from: *from, tail: self.topics.readable(*of, *from)? })
        };
        from.iter().map(place).collect()
    }

    /// Records from these places on, about `records_max` in all. None may have been released.
    pub(crate) fn fetch_from(places: &[Place<'_>], records_max: usize) -> Fetched {
        let mut budget = Budget::new(places.len(), records_max);
        let mut fetched = Fetched::default();
        fetched.positions.reserve(places.len());
        for Place { of, from, tail } in places {
            let mut share = budget.share();
            let next = tail.read((*of, *from), &mut share, &mut fetched);
            budget.settle(&share);
            fetched.positions.push((*of, next));
        }
        fetched
    }

    /// Durable records of one partition from a position on.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`], [`Error::OutOfRange`].
    pub fn read(
        &self,
        of: TopicPartition,
        from: Offset,
        records_max: usize,
    ) -> Result<Vec<ConsumedRecord>, Error> {
        let mut records = Vec::new();
        let tail = self.topics.readable(of, from)?;
        let share = &mut Share::of_records(records_max);
        tail.read_durable((of, from), self.waiting.durable(), share, &mut records);
        Ok(records)
    }

    /// Commits a session's batch, unless it owns one of the partitions no more.
    pub fn commit(&mut self, session: SessionId, batch: CommitBatch) -> (CommitOutcome, Wakers) {
        match self.sessions.get(&session) {
            Some(group) => self.commit_prepared(session, Prepared::batch(group, batch)),
            None => (CommitOutcome::Fenced, Wakers::new()),
        }
    }

    /// Commits what a session has prepared for its group.
    pub(crate) fn commit_prepared(
        &mut self,
        session: SessionId,
        commit: Prepared,
    ) -> (CommitOutcome, Wakers) {
        let group = self.group_of(session);
        let is_owner =
            |task: &PreparedTask| group.is_some_and(|group| group.owns(session, task.partition));
        if !commit.tasks.iter().all(is_owner) {
            return (CommitOutcome::Fenced, Wakers::new());
        }
        match self.apply_prepared(commit) {
            Ok(wakers) => {
                let position = self.committed;
                (CommitOutcome::Committed { position, changelog_ends: Vec::new() }, wakers)
            }
            Err(error) => (CommitOutcome::Aborted { reason: error.to_string() }, Wakers::new()),
        }
    }

    /// Appends a record as a commit of its own.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`].
    pub fn append(&mut self, record: ProducedRecord) -> Result<(Appended, Wakers), Error> {
        let of = record.destination;
        self.append_prepared(of, Prepared::from(Commit::Append(record)))
    }

    /// Appends a record that was prepared.
    pub(crate) fn append_prepared(
        &mut self,
        of: TopicPartition,
        commit: Prepared,
    ) -> Result<(Appended, Wakers), Error> {
        let offset = self.topics.partition(of)?.end();
        let wakers = self.apply_prepared(commit)?;
        Ok((Appended { partition: of.partition, offset, position: self.committed }, wakers))
    }

    /// Makes the next commit, whoever it came from: the way commits that were kept are made again,
    /// in their order, after a restart.
    ///
    /// # Errors
    /// [`Error::UnknownTopic`]; then nothing has changed.
    pub fn apply(&mut self, commit: Commit) -> Result<Wakers, Error> {
        self.apply_prepared(Prepared::from(commit))
    }

    pub(crate) fn apply_prepared(&mut self, commit: Prepared) -> Result<Wakers, Error> {
        // Everything that could go wrong, before anything is done.
        for (of, _) in commit.tasks.iter().flat_map(|task| &task.outputs) {
            self.topics.partition(*of)?;
        }
        self.committed.0 += 1;
        let mut touched = Vec::new();
        for task in commit.tasks {
            for (of, record) in task.outputs {
                self.write(of, record, &mut touched);
            }
            let Some(group) = commit.group else { continue };
            let group = self.groups.entry(group).or_default();
            for change in task.changes {
                self.active_bytes += change_bytes(&change);
                group.stores.put(task.partition, change);
            }
            for (topic, offset) in task.offsets {
                let of = TopicPartition::new(topic, task.partition);
                debug_assert!(group.committed_offset(of) <= offset, "{of}: offsets never go back");
                group.offsets.insert(of, offset);
            }
        }
        Ok(self.readers(&touched))
    }

    /// Writes a record to a partition that there is.
    fn write(&mut self, of: TopicPartition, record: Bytes, touched: &mut Vec<TopicPartition>) {
        let Ok(tail) = self.topics.partition_mut(of) else { return };
        self.active_bytes += size_of::<TailRecord>() + record.len();
        tail.push(TailRecord { position: self.committed, record });
        if !touched.contains(&of) {
            touched.push(of);
        }
    }

    /// The wakers of the sessions that read these partitions, each once.
    fn readers(&self, touched: &[TopicPartition]) -> Wakers {
        let mut wakers = Wakers::new();
        for group in self.groups.values() {
            let mut readers: Vec<SessionId> =
                touched.iter().filter_map(|of| group.reader_of(*of)).collect();
            readers.sort_unstable();
            readers.dedup();
            wakers.extend(readers.iter().filter_map(|session| group.waker(*session)).cloned());
        }
        wakers
    }

    /// The value of a key of a session's store.
    pub fn get(
        &self,
        session: SessionId,
        partition: Partition,
        store: StoreName,
        key: &[u8],
    ) -> Option<Bytes> {
        match self.known(session, (store, partition), key) {
            Known::Changed(value) => value,
            Known::Unchanged => None,
        }
    }

    /// What memory knows of a key of a session's store.
    pub(crate) fn known(&self, session: SessionId, store: StorePartition, key: &[u8]) -> Known {
        self.group_of(session).map_or(Known::Unchanged, |group| group.stores.get(store, key))
    }

    /// At most `limit` entries of a session's store with keys in the range, in order.
    pub fn range(
        &self,
        session: SessionId,
        store: StorePartition,
        range: &KeyRange,
        limit: usize,
    ) -> Vec<(Bytes, Bytes)> {
        let changes = self.changes(session, store, range, limit);
        let Ok(entries) = merged::<Infallible>(changes, std::iter::empty(), limit);
        entries
    }

    /// What memory knows of a range of keys, as much as finding `limit` entries takes.
    pub(crate) fn changes(
        &self,
        session: SessionId,
        store: StorePartition,
        range: &KeyRange,
        limit: usize,
    ) -> Vec<(Bytes, Option<Bytes>)> {
        let group = self.group_of(session);
        group.map(|group| group.stores.range(store, range, limit)).unwrap_or_default()
    }

    /// The position of the newest commit.
    pub fn committed(&self) -> CommitPosition {
        self.committed
    }

    /// The position up to which commits are durable.
    pub fn durable(&self) -> CommitPosition {
        self.waiting.durable()
    }

    /// Says that all commits up to this position are durable. Gives back what is due by that.
    pub fn advance_durable(&mut self, durable: CommitPosition) -> Vec<Due> {
        assert!(durable <= self.committed, "only what is committed can be durable");
        self.waiting.advance(durable)
    }

    /// Has `then` called once commits up to `position` are durable: gives it back where it is due
    /// at once.
    pub fn when_durable(&mut self, position: CommitPosition, then: OnDurable) -> Option<Due> {
        self.waiting.add(position, then)
    }

    fn group_of(&self, session: SessionId) -> Option<&Group> {
        self.sessions.get(&session).and_then(|name| self.groups.get(name))
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Core")
            .field("committed", &self.committed)
            .field("durable", &self.durable())
            .field("sessions", &self.sessions)
            .finish_non_exhaustive()
    }
}

/// About how much memory a change takes until it is saved.
fn change_bytes(change: &StoreChange) -> usize {
    size_of::<StoreChange>() + change.key.len() + change.value.as_ref().map_or(0, Bytes::len)
}
