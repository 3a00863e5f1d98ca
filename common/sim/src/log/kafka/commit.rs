//! A commit as the broker sees it: records one after the other, offsets, and the end, with time
//! between them in which the world goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use eventlog::{Error, changelog_record};
use streams::{
    CommitBatch, CommitOutcome, CommitPosition, Offset, Partition, ProducedRecord, Timestamp,
    TopicPartition,
};

use super::KafkaLog;
use super::group::Refusal;
use super::transactions::{Fate, PendingOffsets, TransactionId};
use crate::log::{Attempt, Decided, SessionId};
use crate::mutation::Mutation;
use crate::random::Random;

/// A commit that is under way.
#[derive(Debug)]
pub(super) struct OpenCommit {
    transaction: TransactionId,
    records: Vec<ProducedRecord>,
    written: usize,
    changelog_ends: BTreeMap<Partition, Offset>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Records,
    Offsets,
    End,
    /// Only where a mutation keeps them out of the transaction.
    OffsetsAfterwards,
}

impl OpenCommit {
    pub(super) fn is_of(&self, transaction: TransactionId) -> bool {
        self.transaction == transaction
    }
}

/// An end of a transaction that is still on its way to the broker.
#[derive(Clone, Copy, Debug)]
pub(super) struct LateEnd(pub(super) TransactionId);

impl KafkaLog {
    /// Does the next part of a commit. `None` where more parts follow.
    pub(super) fn commit_part(
        &mut self,
        session: SessionId,
        batch: &CommitBatch,
        attempt: Option<&Arc<Attempt>>,
        random: &mut Random,
    ) -> Option<CommitOutcome> {
        let Some(mut open) = self.commits.remove(&session) else {
            return self.begin_commit(session, batch, attempt);
        };
        let outcome = match open.stage {
            _ if self.sessions[&session].revoked && !self.is(Mutation::NoFencing) => {
                self.abort(open.transaction);
                Some(CommitOutcome::Fenced)
            }
            Stage::Records => self.write_records(session, &mut open, random),
            Stage::Offsets => self.send_offsets(session, &mut open, batch),
            Stage::End => self.end_commit(session, &mut open, random),
            Stage::OffsetsAfterwards => self.send_offsets_afterwards(session, &open, batch),
        };
        if outcome.is_none() {
            self.commits.insert(session, open);
        }
        outcome
    }

    fn begin_commit(
        &mut self,
        id: SessionId,
        batch: &CommitBatch,
        attempt: Option<&Arc<Attempt>>,
    ) -> Option<CommitOutcome> {
        let is_fenced_off = self.is(Mutation::NoFencing);
        let session = self.sessions.get_mut(&id)?;
        session.revoked = false;
        if !session.may_commit(batch) && !is_fenced_off {
            return Some(CommitOutcome::Fenced);
        }
        let place = session.place;
        let Some((name, epoch)) = session.next_producer() else {
            return Some(unknown("no producer"));
        };
        // The broker takes nothing new of a producer whose last transaction it has not finished.
        if let Some(unfinished) = self.transactions.unfinished(name) {
            self.write_markers(unfinished);
        }
        let Ok(transaction) = self.transactions.begin(name, epoch, attempt.cloned()) else {
            return Some(self.fenced_producer(id));
        };
        if self.is(Mutation::StoreBeforeCommit) {
            let disk = self.disks.entry(place).or_default();
            for task in &batch.tasks {
                disk.write_early(task.partition, &task.changes);
            }
        }
        let records = self.records_of(place.service, batch);
        let (written, changelog_ends, stage) = (0, BTreeMap::new(), Stage::Records);
        let open = OpenCommit { transaction, records, written, changelog_ends, stage };
        self.commits.insert(id, open);
        None
    }

    /// Everything that a batch writes, in order.
    fn records_of(&self, service: usize, batch: &CommitBatch) -> Vec<ProducedRecord> {
        let changelog = self.services[service].changelog;
        let mut records = Vec::new();
        for task in &batch.tasks {
            records.extend(task.outputs.iter().cloned());
            let to = TopicPartition::new(changelog, task.partition);
            records.extend(
                task.changes.iter().map(|change| changelog_record(to, Timestamp::EPOCH, change)),
            );
        }
        records
    }

    fn write_records(
        &mut self,
        session: SessionId,
        open: &mut OpenCommit,
        random: &mut Random,
    ) -> Option<CommitOutcome> {
        if self.transactions.check(open.transaction).is_err() {
            return Some(self.fenced_producer(session));
        }
        let changelog = self.services[self.sessions[&session].place.service].changelog;
        let left = open.records.len() - open.written;
        let count = if random.chance(self.options.interleave) { random.index(left) } else { left };
        for record in &open.records[open.written..open.written + count] {
            let of = record.destination;
            let Some(partition) = self.partitions.get_mut(&of) else {
                self.abort(open.transaction);
                return Some(aborted(&Error::UnknownTopic(of.topic).to_string()));
            };
            let offset = partition.append(record, Some(open.transaction));
            self.transactions.add_partition(open.transaction, of);
            if of.topic == changelog {
                open.changelog_ends.insert(of.partition, offset.next());
            }
        }
        self.news += 1;
        open.written += count;
        if open.written == open.records.len() {
            open.stage = Stage::Offsets;
        }
        None
    }

    fn send_offsets(
        &mut self,
        id: SessionId,
        open: &mut OpenCommit,
        batch: &CommitBatch,
    ) -> Option<CommitOutcome> {
        open.stage = Stage::End;
        if self.is(Mutation::OffsetsOutsideTransaction) {
            return None;
        }
        if self.transactions.check(open.transaction).is_err() {
            return Some(self.fenced_producer(id));
        }
        let session = &self.sessions[&id];
        let service = session.place.service;
        let group = &self.services[service].group;
        let check = session
            .member
            .map_or(Err(Refusal::UnknownMember), |member| group.check(member, session.epoch));
        match check {
            Err(refusal) if !self.is(Mutation::NoFencing) => {
                self.abort(open.transaction);
                Some(match refusal {
                    Refusal::UnknownMember => CommitOutcome::Fenced,
                    Refusal::StaleEpoch => aborted("illegal generation"),
                })
            }
            _ => {
                let record = self.services[service].group.write_offsets();
                let offsets = PendingOffsets { record, offsets: offsets_of(batch) };
                self.transactions.add_offsets(open.transaction, service, offsets);
                None
            }
        }
    }

    fn end_commit(
        &mut self,
        session: SessionId,
        open: &mut OpenCommit,
        random: &mut Random,
    ) -> Option<CommitOutcome> {
        let transaction = open.transaction;
        if self.transactions.check(transaction).is_err() {
            return Some(self.fenced_producer(session));
        }
        if !self.healed && random.chance(self.options.commit_aborted) {
            self.abort(transaction);
            return Some(aborted("simulated"));
        }
        if !self.healed && random.chance(self.options.commit_unknown) {
            match random.below(3) {
                0 => self.decide_committed(transaction),
                1 => self.late.push(LateEnd(transaction)),
                _ => {}
            }
            if self.is(Mutation::UnknownTakenAsAborted) {
                self.abort(transaction);
                return Some(aborted("no answer"));
            }
            self.sessions.get_mut(&session)?.drop_producers();
            return Some(unknown("no answer"));
        }
        self.decide_committed(transaction);
        if self.is(Mutation::OffsetsOutsideTransaction) {
            open.stage = Stage::OffsetsAfterwards;
            return None;
        }
        Some(committed(open))
    }

    fn send_offsets_afterwards(
        &mut self,
        session: SessionId,
        open: &OpenCommit,
        batch: &CommitBatch,
    ) -> Option<CommitOutcome> {
        let service = self.sessions[&session].place.service;
        let group = &mut self.services[service].group;
        let record = group.write_offsets();
        group.commit_offsets(record, offsets_of(batch));
        Some(committed(open))
    }

    /// The end of a transaction has come to the broker.
    pub(super) fn decide_committed(&mut self, transaction: TransactionId) {
        if self.transactions.check(transaction).is_ok() {
            self.transactions.decide(transaction, Fate::Committed);
            if let Some(attempt) = self.transactions.attempt(transaction) {
                self.decided.push(Decided::Committed(Arc::clone(attempt)));
            }
        }
    }

    fn abort(&mut self, transaction: TransactionId) {
        if self.transactions.check(transaction).is_ok() {
            self.transactions.decide(transaction, Fate::Aborted);
        }
    }

    fn fenced_producer(&mut self, session: SessionId) -> CommitOutcome {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.drop_producers();
        }
        unknown("producer fenced")
    }
}

fn committed(open: &OpenCommit) -> CommitOutcome {
    let changelog_ends = open.changelog_ends.iter().map(|(of, end)| (*of, *end)).collect();
    CommitOutcome::Committed { position: CommitPosition::default(), changelog_ends }
}

fn aborted(reason: &str) -> CommitOutcome {
    CommitOutcome::Aborted { reason: reason.to_owned() }
}

fn unknown(reason: &str) -> CommitOutcome {
    CommitOutcome::Unknown { reason: reason.to_owned() }
}

fn offsets_of(batch: &CommitBatch) -> Vec<(TopicPartition, Offset)> {
    let of_task = |task: &streams::TaskCommit| {
        let partition = task.partition;
        let at = move |(topic, offset)| (TopicPartition::new(topic, partition), offset);
        task.offsets.clone().into_iter().map(at)
    };
    batch.tasks.iter().flat_map(of_task).collect()
}
