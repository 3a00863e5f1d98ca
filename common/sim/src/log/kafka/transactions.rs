//! The transaction coordinator: producers with their epochs, and transactions that are decided in
//! one moment and marked in each partition some time later.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use streams::{Offset, TopicPartition};

use super::group::RecordNumber;
use crate::log::{Attempt, Place};

/// A transaction, never used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TransactionId(usize);

/// A transactional id: a place has two, which take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ProducerName {
    pub(super) place: Place,
    pub(super) turn: u8,
}

/// A producer as the broker knows it: a request with a lower epoch is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ProducerEpoch(u32);

/// Whether what a transaction wrote holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    Committed,
    Aborted,
}

/// Where a marker is still to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Marker {
    Partition(TopicPartition),
    /// In the partition that holds the offsets of this service's group.
    Offsets(usize),
}

/// The request is one of a producer that another one has taken the place of, or whose transaction
/// the broker has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fenced;

/// Offsets that hold when the transaction is marked as committed.
#[derive(Clone, Debug)]
pub(super) struct PendingOffsets {
    pub(super) record: RecordNumber,
    pub(super) offsets: Vec<(TopicPartition, Offset)>,
}

#[derive(Debug)]
struct Transaction {
    producer: ProducerName,
    epoch: ProducerEpoch,
    fate: Fate,
    /// Where it has written, and has no marker yet.
    unmarked: BTreeSet<Marker>,
    offsets: Option<PendingOffsets>,
    attempt: Option<Arc<Attempt>>,
}

#[derive(Debug, Default)]
struct Producer {
    epoch: u32,
    current: Option<TransactionId>,
}

/// All transactions there ever were.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    all: Vec<Transaction>,
    producers: BTreeMap<ProducerName, Producer>,
    /// Decided transactions that have markers to be written.
    unmarked: BTreeSet<TransactionId>,
}

impl Transactions {
    pub(super) fn fate(&self, of: TransactionId) -> Fate {
        self.all[of.0].fate
    }

    /// The producer begins anew under the next epoch. Gives its transaction, which is to be ended:
    /// it is aborted unless it was decided already.
    pub(super) fn init(&mut self, name: ProducerName) -> (ProducerEpoch, Option<TransactionId>) {
        let producer = self.producers.entry(name).or_default();
        producer.epoch += 1;
        let (epoch, current) = (ProducerEpoch(producer.epoch), producer.current.take());
        if let Some(current) = current {
            self.decide(current, Fate::Aborted);
        }
        (epoch, current)
    }

    /// The transaction that the producer ended last, where it has no markers yet: the next one
    /// waits for them.
    pub(super) fn unfinished(&self, name: ProducerName) -> Option<TransactionId> {
        let current = self.producers.get(&name)?.current?;
        (self.fate(current) != Fate::Open).then_some(current)
    }

    pub(super) fn begin(
        &mut self,
        name: ProducerName,
        epoch: ProducerEpoch,
        attempt: Option<Arc<Attempt>>,
    ) -> Result<TransactionId, Fenced> {
        let producer = self.producers.entry(name).or_default();
        if producer.epoch != epoch.0 {
            return Err(Fenced);
        }
        let id = TransactionId(self.all.len());
        producer.current = Some(id);
        self.all.push(Transaction {
            producer: name,
            epoch,
            fate: Fate::Open,
            unmarked: BTreeSet::new(),
            offsets: None,
            attempt,
        });
        Ok(id)
    }

    /// Whether requests of this transaction are still taken.
    pub(super) fn check(&self, of: TransactionId) -> Result<(), Fenced> {
        let transaction = &self.all[of.0];
        let known = self.producers.get(&transaction.producer);
        let is_current = known.is_some_and(|producer| {
            producer.epoch == transaction.epoch.0 && producer.current == Some(of)
        });
        if is_current && transaction.fate == Fate::Open { Ok(()) } else { Err(Fenced) }
    }

    /// The transaction writes to a partition.
    pub(super) fn add_partition(&mut self, to: TransactionId, partition: TopicPartition) {
        self.all[to.0].unmarked.insert(Marker::Partition(partition));
    }

    /// The transaction carries offsets of a group.
    pub(super) fn add_offsets(
        &mut self,
        to: TransactionId,
        service: usize,
        offsets: PendingOffsets,
    ) {
        let transaction = &mut self.all[to.0];
        transaction.unmarked.insert(Marker::Offsets(service));
        transaction.offsets = Some(offsets);
    }

    /// The outcome is written down and holds from now on. What was decided before stays.
    pub(super) fn decide(&mut self, of: TransactionId, fate: Fate) {
        let transaction = &mut self.all[of.0];
        if transaction.fate == Fate::Open {
            transaction.fate = fate;
            if !transaction.unmarked.is_empty() {
                self.unmarked.insert(of);
            }
        }
    }

    /// The coordinator ends a transaction that is open for too long, and fences its producer.
    pub(super) fn time_out(&mut self, of: TransactionId) {
        if self.check(of).is_ok() {
            let name = self.all[of.0].producer;
            let producer = self.producers.entry(name).or_default();
            producer.epoch += 1;
            producer.current = None;
            self.decide(of, Fate::Aborted);
        }
    }

    /// What a committed transaction was made for.
    pub(super) fn attempt(&self, of: TransactionId) -> Option<&Arc<Attempt>> {
        self.all[of.0].attempt.as_ref()
    }

    /// The open transactions.
    pub(super) fn open(&self) -> Vec<TransactionId> {
        let current = self.producers.values().filter_map(|producer| producer.current);
        current.filter(|of| self.fate(*of) == Fate::Open).collect()
    }

    /// Decided transactions that have markers to be written.
    pub(super) fn unmarked(&self) -> impl Iterator<Item = TransactionId> + '_ {
        self.unmarked.iter().copied()
    }

    /// Where a decided transaction has markers to be written.
    pub(super) fn markers(&self, of: TransactionId) -> Vec<Marker> {
        self.all[of.0].unmarked.iter().copied().collect()
    }

    /// A marker is written. Where it is one of offsets and the transaction is committed, these
    /// hold from now on.
    pub(super) fn marked(&mut self, of: TransactionId, marker: Marker) -> Option<PendingOffsets> {
        let transaction = &mut self.all[of.0];
        transaction.unmarked.remove(&marker);
        let is_finished = transaction.unmarked.is_empty();
        let holds = matches!(marker, Marker::Offsets(_)) && transaction.fate == Fate::Committed;
        let offsets = transaction.offsets.take_if(|_| holds);
        if is_finished {
            self.unmarked.remove(&of);
        }
        offsets
    }

    /// Whether a transaction that has not been marked carries offsets of this partition of a
    /// service's group.
    pub(super) fn has_pending_offsets(&self, service: usize, of: TopicPartition) -> bool {
        let carried = |(known, _): &(TopicPartition, Offset)| *known == of;
        let carries = |id: TransactionId| {
            let transaction = &self.all[id.0];
            transaction.unmarked.contains(&Marker::Offsets(service))
                && transaction.offsets.iter().flat_map(|pending| &pending.offsets).any(carried)
        };
        self.open().into_iter().chain(self.unmarked()).any(carries)
    }
}
