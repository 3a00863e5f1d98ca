//! Which partitions a session owns, which it was told that it owns, and the guards that the broker
//! does not have: it checks who a member is, not which partitions its offsets are of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use krafka::consumer::ConsumerGroupMetadata;
use streams::{Assignment, CommitBatch, Partition};

/// Counts the changes of what is owned: tells a partition that was kept from one that was lost and
/// came back.
type Since = u64;

/// What a session owns.
#[derive(Default)]
pub(crate) struct Ownership {
    changes: Since,
    owned: BTreeMap<Partition, Since>,
    /// What the session's user has been told.
    told: BTreeMap<Partition, Since>,
    /// How often the user was told something new.
    generation: u64,
    /// About to be given up: the user is told before they are.
    leaving: BTreeSet<Partition>,
    /// Who the session is in its group, as of the last poll.
    metadata: Option<Arc<ConsumerGroupMetadata>>,
    /// What is wrong with what the group shared out.
    trouble: Option<String>,
}

impl Ownership {
    /// The session owns these from now on.
    pub(crate) fn set_owned(&mut self, partitions: &BTreeSet<Partition>) {
        self.leaving.clear();
        if partitions.iter().eq(self.owned.keys()) {
            return;
        }
        self.changes += 1;
        self.owned.retain(|partition, _| partitions.contains(partition));
        for partition in partitions {
            self.owned.entry(*partition).or_insert(self.changes);
        }
    }

    /// All but these are to be given up. Says whether somebody believes to own one of them.
    pub(crate) fn begin_leaving(&mut self, remaining: &BTreeSet<Partition>) -> bool {
        let is_left = |partition: &&Partition| !remaining.contains(partition);
        self.leaving = self.owned.keys().filter(is_left).copied().collect();
        self.has_untold()
    }

    /// Whether there is one to be given up that the user believes to own.
    pub(crate) fn has_untold(&self) -> bool {
        self.leaving.iter().any(|partition| self.told.contains_key(partition))
    }

    /// Tells the user what it owns.
    pub(crate) fn assignment(&mut self) -> Assignment {
        let mut staying = self.owned.clone();
        staying.retain(|partition, _| !self.leaving.contains(partition));
        let told_before = std::mem::replace(&mut self.told, staying);
        if self.told != told_before {
            self.generation += 1;
        }
        let is_regained = |(partition, since): &(&Partition, &Since)| {
            told_before.get(partition).is_some_and(|told| told != *since)
        };
        Assignment {
            generation: self.generation,
            partitions: self.told.keys().copied().collect(),
            regained: self.told.iter().filter(is_regained).map(|(of, _)| *of).collect(),
        }
    }

    /// Whether offsets of all these tasks may be sent: their partitions are owned now, and without
    /// a break since the user was told so.
    pub(crate) fn may_commit(&self, batch: &CommitBatch) -> bool {
        batch.tasks.iter().all(|task| self.is_held(task.partition))
    }

    /// Whether a partition is owned as the user believes.
    pub(crate) fn is_held(&self, partition: Partition) -> bool {
        let since = self.owned.get(&partition);
        since.is_some() && since == self.told.get(&partition)
    }

    pub(crate) fn set_metadata(&mut self, metadata: Option<ConsumerGroupMetadata>) {
        self.metadata = metadata.map(Arc::new);
    }

    pub(crate) fn metadata(&self) -> Option<Arc<ConsumerGroupMetadata>> {
        self.metadata.clone()
    }

    pub(crate) fn set_trouble(&mut self, trouble: Option<String>) {
        self.trouble = trouble;
    }

    pub(crate) fn trouble(&self) -> Option<&String> {
        self.trouble.as_ref()
    }
}

/// The partitions of which a member has all topics, and what is wrong where it has some only: then
/// the group does not share out by `range`, or a topic has more partitions than the others.
pub(crate) fn whole_partitions(
    assigned: &BTreeSet<(String, Partition)>,
    topics: usize,
    partitions: u32,
) -> (BTreeSet<Partition>, Option<String>) {
    let mut counts: BTreeMap<Partition, usize> = BTreeMap::new();
    for (_, partition) in assigned {
        *counts.entry(*partition).or_default() += 1;
    }
    let is_whole =
        |(partition, count): &(&Partition, &usize)| **count == topics && partition.0 < partitions;
    let whole: BTreeSet<Partition> =
        counts.iter().filter(is_whole).map(|(partition, _)| *partition).collect();
    let odd = assigned.iter().find(|(_, partition)| !whole.contains(partition));
    let trouble = odd.map(|(topic, partition)| {
        format!(
            "partition {partition} of {topic} was assigned without that of the other topics: all \
             need {partitions} partitions, and the group the assignor `range`"
        )
    });
    (whole, trouble)
}

#[cfg(test)]
mod tests {
    use streams::TaskCommit;

    use super::*;

    fn set(of: &[u32]) -> BTreeSet<Partition> {
        of.iter().copied().map(Partition).collect()
    }

    fn batch(of: u32) -> CommitBatch {
        let partition = Partition(of);
        let (outputs, changes, offsets) = (Vec::new(), Vec::new(), Vec::new());
        CommitBatch { tasks: vec![TaskCommit { partition, outputs, changes, offsets }] }
    }

    fn owner_of(of: &[u32]) -> Ownership {
        let mut ownership = Ownership::default();
        ownership.set_owned(&set(of));
        ownership.assignment();
        ownership
    }

    #[test]
    fn a_partition_that_came_back_is_told_before_anything_is_committed_for_it() {
        let mut ownership = owner_of(&[0, 1]);
        assert!(ownership.may_commit(&batch(1)));

        ownership.set_owned(&set(&[0]));
        ownership.set_owned(&set(&[0, 1]));

        assert!(!ownership.may_commit(&batch(1)));
        assert!(ownership.may_commit(&batch(0)));
        assert_eq!(ownership.assignment().regained, [Partition(1)]);
        assert!(ownership.may_commit(&batch(1)));
        assert_eq!(ownership.assignment().regained, []);
    }

    #[test]
    fn one_that_is_given_up_is_committed_for_until_its_user_was_told() {
        let mut ownership = owner_of(&[0, 1]);

        assert!(ownership.begin_leaving(&set(&[0])));
        assert!(ownership.may_commit(&batch(1)));
        assert_eq!(ownership.assignment().partitions, [Partition(0)]);
        assert!(!ownership.has_untold());
        assert!(!ownership.may_commit(&batch(1)));

        ownership.set_owned(&set(&[0]));
        assert_eq!(ownership.assignment().generation, 2);
    }

    #[test]
    fn a_partition_is_owned_when_all_its_topics_are() {
        let assigned = |of: &[(&str, u32)]| -> BTreeSet<(String, Partition)> {
            of.iter().map(|(topic, number)| ((*topic).to_owned(), Partition(*number))).collect()
        };
        let all = assigned(&[("a", 0), ("b", 0), ("a", 1), ("b", 1)]);
        assert_eq!(whole_partitions(&all, 2, 4), (set(&[0, 1]), None));

        let some = assigned(&[("a", 0), ("b", 0), ("a", 1), ("b", 2)]);
        let (whole, trouble) = whole_partitions(&some, 2, 4);
        assert_eq!(whole, set(&[0]));
        assert!(trouble.is_some_and(|trouble| trouble.contains("partition 1 of a")));

        let (whole, trouble) = whole_partitions(&all, 2, 1);
        assert_eq!(whole, set(&[0]));
        assert!(trouble.is_some());
    }
}
