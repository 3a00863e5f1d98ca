//! A worker's connection to a log on Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use eventlog::{Error as LogError, Membership, OnDurable, Session, Waker};
use krafka::producer::TopicPartitionOffset;
use streams::{
    Assignment, CommitBatch, CommitOutcome, CommitPosition, Fetched, KeyRange, Offset, Partition,
    ProducedRecord, Restored, StateBacking, StateError, StateReader, StoreName, StoreWrite,
    TaskCommit, TaskPositions, TopicName, TopicPartition,
};

use crate::changelog::{Changelog, Service};
use crate::error::Error;
use crate::log::{Shared, WorkerNumber};
use crate::marks::{FreshMarks, Mark, marked};
use crate::membership::Member;
use crate::producers::{Failure, Positions, Producers};
use crate::reader::Reader;
use crate::records::taken;
use crate::store::Store;

/// A worker's connection to a [`KafkaLog`](crate::KafkaLog).
///
/// What it owns may change at any moment, but never in the middle of a call, and what its user
/// believes to own only in [`Session::assignment`]. It is for a thread of its own: its calls block,
/// on a runtime that cannot run within another one.
pub struct KafkaSession {
    service: Service,
    sources: Vec<TopicName>,
    /// `None` until [`Session::open`], and after a transaction without a sure outcome.
    producers: Option<Producers>,
    /// Leaves its group before the rest is closed, which takes a while: others wait for it.
    pub(crate) member: Member,
    reader: Reader,
    changelog: Changelog,
    store: Store,
    marks: FreshMarks,
    /// Partitions whose store is known to be of their changelog.
    checked: BTreeSet<Partition>,
    shared: Arc<Shared>,
    /// Freed last: until then nobody takes this session's place.
    worker: WorkerNumber,
}

impl KafkaSession {
    pub(crate) fn join(
        shared: &Arc<Shared>,
        service: &Service,
        membership: Membership,
        (worker, waker): (WorkerNumber, Waker),
    ) -> Result<Self, Error> {
        let settings = &shared.settings;
        let name = format!("{}-{}.redb", service.group, worker.number);
        let store = Store::open(&shared.slot.directory.join(name), &shared.cluster)?;
        let wake = Arc::clone(&waker);
        let ends = || Arc::clone(&shared.ends);
        Ok(KafkaSession {
            producers: None,
            member: Member::join(shared, &membership, waker)?,
            reader: Reader::new(settings, settings.reader(service.group), ends(), wake)?,
            changelog: Changelog::new(settings, service, ends())?,
            store,
            marks: FreshMarks::new(),
            checked: BTreeSet::new(),
            shared: Arc::clone(shared),
            sources: membership.sources,
            service: service.clone(),
            worker,
        })
    }

    /// Everything that a batch writes, in order. The mark of a changelog that has none comes last.
    fn records_of(
        &self,
        batch: CommitBatch,
        unmarked: &BTreeSet<Partition>,
    ) -> Vec<ProducedRecord> {
        let mut records = Vec::new();
        for task in batch.tasks {
            records.extend(task.outputs);
            let of = TopicPartition::new(self.service.changelog, task.partition);
            records.extend(task.changes.iter().map(|change| Service::record(of, change)));
            if unmarked.contains(&task.partition) {
                records.push(Mark::record(of));
            }
        }
        records
    }

    /// The partitions whose changelog a batch writes to first.
    fn unmarked(&self, batch: &CommitBatch) -> Result<BTreeSet<Partition>, LogError> {
        let mut unmarked = BTreeSet::new();
        for task in &batch.tasks {
            let of = task.partition;
            let is_marked = task.changes.is_empty()
                || self.marks.contains_key(&of)
                || self.store.mark(of)?.is_some();
            if !is_marked {
                unmarked.insert(of);
            }
        }
        Ok(unmarked)
    }

    /// Empties the stores of those partitions that were not made from their changelog, or so long
    /// ago that it does not tell all that has changed since.
    fn check_stores(&mut self, partitions: &[Partition]) -> Result<(), LogError> {
        let age_max = self.shared.settings.state_age_max;
        let mut marks = FreshMarks::new();
        let mut useless = BTreeSet::new();
        for of in partitions.iter().filter(|of| !self.checked.contains(of)) {
            match (self.store.age(*of)?, self.store.mark(*of)?) {
                (None, _) => {}
                (Some(age), Some(mark)) if age <= age_max => {
                    marks.insert(*of, mark);
                }
                _ => {
                    useless.insert(*of);
                }
            }
        }
        let Shared { settings, ends, .. } = self.shared.as_ref();
        let marked = marked(&marks, &self.service, settings, ends)?;
        useless.extend(marks.into_keys().filter(|of| !marked.contains(of)));
        for of in useless {
            let service = self.service.group;
            tracing::warn!(service, partition = %of, "state is read anew: its store is of no use");
            self.store.wipe(of)?;
        }
        self.checked.extend(partitions);
        Ok(())
    }

    fn try_commit(&mut self, batch: CommitBatch) -> Result<CommitOutcome, Failure> {
        let offsets: Vec<_> = batch.tasks.iter().flat_map(offsets_taken).collect();
        let partitions: Vec<Partition> = batch.tasks.iter().map(|task| task.partition).collect();
        self.changelog.rest();
        let unmarked = self.unmarked(&batch).map_err(|e| Failure::Aborted(e.to_string()))?;
        // Locked until the transaction has ended: a partition is not given up in the middle.
        let ownership = self.member.ownership();
        if !ownership.may_commit(&batch) {
            return Ok(CommitOutcome::Fenced);
        }
        let Some(member) = ownership.metadata() else {
            return Err(Failure::Aborted("the group is not known yet".to_owned()));
        };
        let records = self.records_of(batch, &unmarked);
        let Some(producers) = &mut self.producers else {
            return Err(Failure::Unknown("the session is not open".to_owned()));
        };
        let is_current = || self.member.is(&member);
        let positions = Positions { offsets: &offsets, member: &member, is_current: &is_current };
        let ends = producers.commit(&records, &positions)?;
        drop(ownership);
        self.marks.extend(marks_written(&records, &ends));
        let end_of = |of: Partition| ends.get(&of).map(|end| (of, *end));
        Ok(CommitOutcome::Committed {
            position: CommitPosition::default(),
            changelog_ends: partitions.into_iter().filter_map(end_of).collect(),
        })
    }
}

/// How far a task has taken each of its topics.
fn offsets_taken(task: &TaskCommit) -> impl Iterator<Item = TopicPartitionOffset> + '_ {
    let of = |topic| TopicPartition::new(topic, task.partition);
    task.offsets.iter().map(move |(topic, offset)| taken(of(*topic), *offset))
}

/// The marks among the records of a transaction: each is the last of its changelog.
fn marks_written<'a>(
    records: &'a [ProducedRecord],
    ends: &'a BTreeMap<Partition, Offset>,
) -> impl Iterator<Item = (Partition, Mark)> + 'a {
    records.iter().filter_map(|record| {
        let partition = record.destination.partition;
        let offset = Offset(ends.get(&partition)?.0.checked_sub(1)?);
        Some((partition, Mark::written(record, offset)?))
    })
}

impl StateReader for KafkaSession {
    fn get(
        &self,
        partition: Partition,
        store: StoreName,
        key: &[u8],
    ) -> Result<Option<Bytes>, StateError> {
        self.store.get(partition, store, key)
    }

    fn range(
        &self,
        partition: Partition,
        store: StoreName,
        range: &KeyRange,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StateError> {
        self.store.range(partition, store, range, limit)
    }
}

impl Session for KafkaSession {
    fn state_backing(&self) -> StateBacking {
        StateBacking::Changelog
    }

    fn assignment(&mut self) -> Result<Assignment, LogError> {
        let mut ownership = self.member.ownership();
        if let Some(trouble) = ownership.trouble() {
            tracing::warn!(group = self.service.group, trouble, "the group is not in order");
        }
        let assignment = ownership.assignment();
        drop(ownership);
        self.member.has_told();
        Ok(assignment)
    }

    /// Producers that are sure of their last transaction have nothing open.
    fn open(&mut self) -> Result<(), LogError> {
        if self.producers.is_none() {
            let Shared { settings, slot, .. } = self.shared.as_ref();
            let id = format!("{}-{}-{}", self.service.group, slot.id, self.worker.number);
            self.producers = Some(Producers::open(settings, &id, self.service.changelog)?);
        }
        Ok(())
    }

    fn positions(&mut self, partitions: &[Partition]) -> Result<Vec<TaskPositions>, LogError> {
        let of_partition =
            |of: Partition| self.sources.iter().map(move |topic| TopicPartition::new(*topic, of));
        let asked: Vec<_> = partitions.iter().copied().flat_map(of_partition).collect();
        self.check_stores(partitions)?;
        let timeout = self.shared.settings.request_timeout;
        let committed = self.member.committed(&asked, timeout)?;
        let positions_of = |of: &Partition| {
            let is_its = |(place, _): &&(TopicPartition, Offset)| place.partition == *of;
            let committed = committed.iter().filter(is_its);
            Ok(TaskPositions {
                committed: committed.map(|(place, offset)| (place.topic, *offset)).collect(),
                checkpoint: self.store.checkpoint(*of)?,
                as_of: CommitPosition::default(),
            })
        };
        partitions.iter().map(positions_of).collect()
    }

    fn ends(&mut self, of: &[TopicPartition]) -> Result<Vec<Offset>, LogError> {
        self.shared.ends.ends(of)
    }

    fn fetch(
        &mut self,
        from: &[(TopicPartition, Offset)],
        records_max: usize,
    ) -> Result<Fetched, LogError> {
        self.reader.fetch(from, records_max, Duration::ZERO)
    }

    fn commit(&mut self, batch: CommitBatch) -> CommitOutcome {
        match self.try_commit(batch) {
            Ok(outcome) => outcome,
            Err(Failure::Aborted(reason)) => CommitOutcome::Aborted { reason },
            Err(Failure::NotMember) => CommitOutcome::Fenced,
            Err(Failure::Unknown(reason)) => {
                self.producers = None;
                CommitOutcome::Unknown { reason }
            }
        }
    }

    fn restore(&mut self, partition: Partition, from: Offset) -> Result<Restored, LogError> {
        self.changelog.read(partition, from, &mut self.marks)
    }

    fn store(&mut self, writes: Vec<StoreWrite>) -> Result<(), LogError> {
        self.store.write(&writes, &self.marks)?;
        for write in &writes {
            self.marks.remove(&write.partition);
        }
        Ok(())
    }

    fn wipe(&mut self, partition: Partition) -> Result<(), LogError> {
        self.marks.remove(&partition);
        self.store.wipe(partition)
    }

    /// What was acknowledged is durable.
    fn when_durable(&self, _: CommitPosition, then: OnDurable) {
        then(Ok(()));
    }
}

impl fmt::Debug for KafkaSession {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KafkaSession")
            .field("group", &self.service.group)
            .field("worker", &self.worker.number)
            .finish_non_exhaustive()
    }
}
