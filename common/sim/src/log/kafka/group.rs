//! The group coordinator: members, who is to own what, and committed offsets. Partitions change
//! hands one by one (KIP-848): a new owner gets one when the former has given it up, or is taken
//! for dead.

use std::collections::{BTreeMap, BTreeSet};

use streams::{Offset, Partition, TopicPartition};

use crate::random::Random;

/// A member of a group, for as long as it is one. Chosen by chance, and so is its rank among the
/// members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MemberId(u64);

/// What a member has to know to commit offsets: it grows whenever the group changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Epoch(pub(super) u64);

/// Why the coordinator takes no offsets of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no member.
    UnknownMember,
    /// It has not heard of the last change.
    StaleEpoch,
}

#[derive(Debug, Default)]
struct Member {
    epoch: Epoch,
    /// What it may believe to own.
    held: BTreeSet<Partition>,
}

/// One consumer group.
#[derive(Debug, Default)]
pub(super) struct Group {
    epoch: Epoch,
    members: BTreeMap<MemberId, Member>,
    offsets: BTreeMap<TopicPartition, Committed>,
    last_record: u64,
}

/// A committed offset, and the record in the log of offsets that says so.
#[derive(Clone, Copy, Debug)]
struct Committed {
    offset: Offset,
    record: RecordNumber,
}

/// A place in the log of offsets. Of two records that hold for the same partition the later one
/// counts, in whichever order their transactions are marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RecordNumber(u64);

impl Group {
    pub(super) fn join(&mut self, random: &mut Random) -> MemberId {
        let id = MemberId(random.bits());
        self.members.insert(id, Member::default());
        self.epoch.0 += 1;
        id
    }

    /// The member is gone, or taken for it: what it held is free.
    pub(super) fn remove(&mut self, member: MemberId) {
        if self.members.remove(&member).is_some() {
            self.epoch.0 += 1;
        }
    }

    /// What the member may believe to own, as far as the group knows; `None` of no member.
    pub(super) fn held(&self, id: MemberId) -> Option<&BTreeSet<Partition>> {
        self.members.get(&id).map(|member| &member.held)
    }

    /// What the member is to own once everybody has given up what is not theirs any more: a range
    /// of partitions, in the order of the members' names.
    fn target(&self, member: MemberId, partitions: u32) -> BTreeSet<Partition> {
        let count = self.members.len() as u32;
        let index = self.members.keys().take_while(|known| **known != member).count() as u32;
        let share = |index: u32| partitions / count * index + (partitions % count).min(index);
        (share(index)..share(index + 1)).map(Partition).collect()
    }

    /// The member says what it owns and is told what it owns from now on: nothing that another one
    /// may still believe to own.
    ///
    /// # Errors
    /// [`Refusal::UnknownMember`]: it owns nothing.
    pub(super) fn heartbeat(
        &mut self,
        id: MemberId,
        owned: &BTreeSet<Partition>,
        partitions: u32,
    ) -> Result<(Epoch, BTreeSet<Partition>), Refusal> {
        if !self.members.contains_key(&id) {
            return Err(Refusal::UnknownMember);
        }
        let of_others: BTreeSet<Partition> = self
            .members
            .iter()
            .filter(|(other, _)| **other != id)
            .flat_map(|(_, member)| member.held.iter().copied())
            .collect();
        let mut told = self.target(id, partitions);
        told.retain(|partition| !of_others.contains(partition));
        let epoch = self.epoch;
        if let Some(member) = self.members.get_mut(&id) {
            member.epoch = epoch;
            // What it still owns stays its own until it has said that it has given it up.
            member.held = owned.union(&told).copied().collect();
        }
        Ok((epoch, told))
    }

    /// Offsets are written to the log of offsets; nobody sees them yet.
    pub(super) fn write_offsets(&mut self) -> RecordNumber {
        self.last_record += 1;
        RecordNumber(self.last_record)
    }

    /// Offsets hold from now on, unless newer ones do.
    pub(super) fn commit_offsets(
        &mut self,
        record: RecordNumber,
        offsets: impl IntoIterator<Item = (TopicPartition, Offset)>,
    ) {
        for (of, offset) in offsets {
            let known = self.offsets.entry(of).or_insert(Committed { offset, record });
            if known.record < record {
                *known = Committed { offset, record };
            }
        }
    }

    pub(super) fn offset(&self, of: TopicPartition) -> Option<Offset> {
        self.offsets.get(&of).map(|committed| committed.offset)
    }

    /// Forgets the offsets of these partitions.
    pub(super) fn expire_offsets(&mut self, mut expires: impl FnMut(TopicPartition) -> bool) {
        self.offsets.retain(|of, _| !expires(*of));
    }

    /// Whether offsets of this member are taken. Of which partitions they are does not matter.
    pub(super) fn check(&self, member: MemberId, epoch: Epoch) -> Result<(), Refusal> {
        match self.members.get(&member) {
            None => Err(Refusal::UnknownMember),
            Some(known) if known.epoch != epoch => Err(Refusal::StaleEpoch),
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITIONS: u32 = 3;

    /// A group with this many members, in the order of their names.
    fn group_of(count: usize) -> (Group, Vec<MemberId>) {
        let (mut group, mut random) = (Group::default(), Random::new(7));
        for _ in 0..count {
            group.join(&mut random);
        }
        let members = group.members.keys().copied().collect();
        (group, members)
    }

    fn set(of: &[u32]) -> BTreeSet<Partition> {
        of.iter().copied().map(Partition).collect()
    }

    #[test]
    fn a_partition_changes_hands_when_its_owner_has_given_it_up() {
        let (mut group, members) = group_of(2);
        let [first, second] = members.try_into().unwrap();
        let all = set(&[0, 1, 2]);
        // As it would be had the second one joined later.
        group.members.get_mut(&first).unwrap().held = all.clone();

        let told = group.heartbeat(second, &set(&[]), PARTITIONS).unwrap().1;
        assert_eq!(told, set(&[]), "the first has not heard of it");
        let told = group.heartbeat(first, &all, PARTITIONS).unwrap().1;
        assert_eq!(told, set(&[0, 1]));
        let told = group.heartbeat(second, &set(&[]), PARTITIONS).unwrap().1;
        assert_eq!(told, set(&[]), "the first has not given it up");
        group.heartbeat(first, &set(&[0, 1]), PARTITIONS).unwrap();
        let told = group.heartbeat(second, &set(&[]), PARTITIONS).unwrap().1;
        assert_eq!(told, set(&[2]));
    }

    #[test]
    fn of_two_offsets_the_one_written_later_counts() {
        let mut group = Group::default();
        let of = TopicPartition::new(streams::TopicName::new("topic"), Partition(0));
        let (first, second) = (group.write_offsets(), group.write_offsets());
        group.commit_offsets(second, [(of, Offset(7))]);
        group.commit_offsets(first, [(of, Offset(3))]);
        assert_eq!(group.offset(of), Some(Offset(7)));
    }

    #[test]
    fn offsets_are_refused_by_member_and_epoch_and_by_nothing_else() {
        let (mut group, members) = group_of(1);
        let first = members[0];
        let (epoch, all) = group.heartbeat(first, &set(&[]), PARTITIONS).unwrap();
        assert_eq!(all, set(&[0, 1, 2]));
        assert_eq!(group.check(first, epoch), Ok(()));

        let second = group.join(&mut Random::new(8));
        let (newer, _) = group.heartbeat(second, &set(&[]), PARTITIONS).unwrap();
        assert_eq!(group.check(first, epoch), Ok(()), "it is told with its next heartbeat");
        group.heartbeat(first, &all, PARTITIONS).unwrap();
        assert_eq!(group.check(first, epoch), Err(Refusal::StaleEpoch));
        assert_eq!(group.check(first, newer), Ok(()));

        group.remove(first);
        assert_eq!(group.check(first, newer), Err(Refusal::UnknownMember));
        let told = group.heartbeat(second, &set(&[]), PARTITIONS).unwrap().1;
        assert_eq!(told, all, "what a dead member held is free");
    }
}
