//! Groups: who owns which partition, and how far each has come.

use std::collections::BTreeMap;

use streams::{Assignment, Offset, Partition, TaskPositions, TopicName, TopicPartition};

use crate::log::{Membership, Waker};
use crate::memtable::MemTables;

/// A session, for as long as it is joined. Never used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub(crate) u64);

/// A session of a group.
struct Member {
    sources: Vec<TopicName>,
    waker: Waker,
    /// The partitions it was last told to own, each with since when.
    told: BTreeMap<Partition, Generation>,
}

/// How often the partitions had been shared out.
type Generation = u64;

/// The owner of a partition.
#[derive(Clone, Copy)]
struct Owner {
    session: SessionId,
    /// Without a break since then.
    since: Generation,
}

/// A group: its sessions, its offsets and its stores.
#[derive(Default)]
pub(crate) struct Group {
    members: BTreeMap<SessionId, Member>,
    generation: Generation,
    /// The owner of each partition, by number; empty while there is no member.
    owners: Vec<Owner>,
    pub(crate) offsets: BTreeMap<TopicPartition, Offset>,
    pub(crate) stores: MemTables,
}

impl Group {
    /// Adds a session and shares the partitions out anew.
    pub(crate) fn join(
        &mut self,
        session: SessionId,
        membership: Membership,
        waker: Waker,
        partitions: u32,
    ) {
        let member = Member { sources: membership.sources, waker, told: BTreeMap::new() };
        self.members.insert(session, member);
        self.share_out(partitions);
    }

    /// Removes a session and shares its partitions out among the rest.
    pub(crate) fn leave(&mut self, session: SessionId, partitions: u32) {
        self.members.remove(&session);
        self.share_out(partitions);
    }

    /// Each session gets a range of partitions, in the order in which they joined; the first ones
    /// get one more where they do not come out even.
    fn share_out(&mut self, partitions: u32) {
        self.generation += 1;
        let since = self.generation;
        let former = std::mem::take(&mut self.owners);
        let count = self.members.len();
        for (index, session) in self.members.keys().enumerate() {
            let all = partitions as usize;
            let share = all / count + usize::from(index < all % count);
            self.owners.extend(std::iter::repeat_n(Owner { session: *session, since }, share));
        }
        for (owner, former) in self.owners.iter_mut().zip(former) {
            if owner.session == former.session {
                *owner = former;
            }
        }
    }

    /// Tells a session which partitions it owns.
    pub(crate) fn tell_assignment(&mut self, session: SessionId) -> Assignment {
        let mut assignment = Assignment { generation: self.generation, ..Assignment::default() };
        let Some(member) = self.members.get_mut(&session) else { return assignment };
        let told_before = std::mem::take(&mut member.told);
        for (partition, owner) in (0..).map(Partition).zip(&self.owners) {
            if owner.session != session {
                continue;
            }
            assignment.partitions.push(partition);
            if told_before.get(&partition).is_some_and(|since| *since != owner.since) {
                assignment.regained.push(partition);
            }
            member.told.insert(partition, owner.since);
        }
        assignment
    }

    /// Whether a session owns a partition, and has done so without a break since it was told.
    pub(crate) fn owns(&self, session: SessionId, partition: Partition) -> bool {
        let told = self.members.get(&session).and_then(|member| member.told.get(&partition));
        self.owners.get(partition.0 as usize).is_some_and(|owner| {
            owner.session == session && told.is_none_or(|since| *since == owner.since)
        })
    }

    /// The wakers of all its sessions, for when partitions changed hands.
    pub(crate) fn wakers(&self) -> Vec<Waker> {
        self.members.values().map(|member| member.waker.clone()).collect()
    }

    /// The owner of a partition, where the topic is one of its sources.
    pub(crate) fn reader_of(&self, of: TopicPartition) -> Option<SessionId> {
        let owner = self.owners.get(of.partition.0 as usize)?.session;
        self.members[&owner].sources.contains(&of.topic).then_some(owner)
    }

    pub(crate) fn waker(&self, session: SessionId) -> Option<&Waker> {
        self.members.get(&session).map(|member| &member.waker)
    }

    pub(crate) fn positions(&self, session: SessionId, partition: Partition) -> TaskPositions {
        let sources = self.members.get(&session).map(|member| member.sources.as_slice());
        let committed = sources.unwrap_or_default().iter().filter_map(|topic| {
            let offset = self.offsets.get(&TopicPartition::new(*topic, partition))?;
            Some((*topic, *offset))
        });
        TaskPositions { committed: committed.collect(), ..TaskPositions::default() }
    }

    /// The offset the group has committed, 0 where there is none.
    pub(crate) fn committed_offset(&self, of: TopicPartition) -> Offset {
        self.offsets.get(&of).copied().unwrap_or_default()
    }
}
