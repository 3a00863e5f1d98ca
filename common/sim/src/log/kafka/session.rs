//! A client of the simulated broker as the real one is to be: a member of its group, two producers
//! that take turns, and the guards that the broker does not have.

use std::collections::{BTreeMap, BTreeSet};

use streams::{Assignment, CommitBatch, Partition};

use super::group::{Epoch, MemberId};
use super::transactions::{ProducerEpoch, ProducerName};
use crate::log::Place;
use crate::mutation::Mutation;

/// Counts how often a session was given partitions: tells a partition that it has kept from one
/// that it has lost and was given again.
type Since = u64;

/// A worker's connection to the broker.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) place: Place,
    pub(super) member: Option<MemberId>,
    pub(super) epoch: Epoch,
    changes: Since,
    owned: BTreeMap<Partition, Since>,
    /// What the worker has been told that it owns.
    told: BTreeMap<Partition, Since>,
    /// How often the worker was told something new.
    generation: u64,
    producers: Option<[ProducerEpoch; 2]>,
    turn: u8,
    /// Since topics were last cleaned up it has read some time all that there was. The lag before
    /// records are compacted is longer than a member may be silent: so whoever looked up an end and
    /// reads up to it finds what lay before it then.
    pub(super) caught_up: bool,
    /// The commit that is under way has to be given up.
    pub(super) revoked: bool,
}

impl Session {
    pub(super) fn new(place: Place) -> Self {
        Session {
            place,
            member: None,
            epoch: Epoch::default(),
            changes: 0,
            owned: BTreeMap::new(),
            told: BTreeMap::new(),
            generation: 0,
            producers: None,
            turn: 0,
            caught_up: false,
            revoked: false,
        }
    }

    pub(super) fn owned(&self) -> BTreeSet<Partition> {
        self.owned.keys().copied().collect()
    }

    /// The session owns these partitions from now on. A commit that is under way for one that it
    /// loses is given up before the loss is acknowledged.
    pub(super) fn set_owned(&mut self, partitions: &BTreeSet<Partition>) -> bool {
        if partitions.iter().eq(self.owned.keys()) {
            return false;
        }
        self.changes += 1;
        let changes = self.changes;
        let before = self.owned.len();
        self.owned.retain(|partition, _| partitions.contains(partition));
        self.revoked |= self.owned.len() < before;
        for partition in partitions {
            self.owned.entry(*partition).or_insert(changes);
        }
        true
    }

    /// Tells the worker what it owns.
    pub(super) fn assignment(&mut self, mutation: Option<Mutation>) -> Assignment {
        if self.told != self.owned {
            self.generation += 1;
        }
        let told_before = std::mem::replace(&mut self.told, self.owned.clone());
        let is_regained = |(partition, since): &(&Partition, &Since)| {
            mutation != Some(Mutation::LossUntold)
                && told_before.get(*partition).is_some_and(|told| told != *since)
        };
        Assignment {
            generation: self.generation,
            partitions: self.owned.keys().copied().collect(),
            regained: self.owned.iter().filter(is_regained).map(|(of, _)| *of).collect(),
        }
    }

    /// Whether offsets of all these tasks may be sent: their partitions are owned now, and without
    /// a break since the worker was told so.
    pub(super) fn may_commit(&self, batch: &CommitBatch) -> bool {
        batch.tasks.iter().all(|task| {
            let since = self.owned.get(&task.partition);
            since.is_some() && since == self.told.get(&task.partition)
        })
    }

    pub(super) fn producer_names(&self) -> [ProducerName; 2] {
        [0, 1].map(|turn| ProducerName { place: self.place, turn })
    }

    pub(super) fn set_producers(&mut self, epochs: [ProducerEpoch; 2]) {
        self.producers = Some(epochs);
    }

    /// What a producer could not be told for sure makes it unusable: both are to be initialised
    /// anew.
    pub(super) fn drop_producers(&mut self) {
        self.producers = None;
    }

    /// The producer whose turn it is.
    pub(super) fn next_producer(&mut self) -> Option<(ProducerName, ProducerEpoch)> {
        let epochs = self.producers?;
        self.turn ^= 1;
        let name = ProducerName { place: self.place, turn: self.turn };
        Some((name, epochs[usize::from(self.turn)]))
    }
}
