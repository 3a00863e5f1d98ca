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
}

/// A group: its sessions, its offsets and its stores.
#[derive(Default)]
pub(crate) struct Group {
    members: BTreeMap<SessionId, Member>,
    generation: u64,
    /// The owner of each partition, by number; empty while there is no member.
    owners: Vec<SessionId>,
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
        self.members.insert(session, Member { sources: membership.sources, waker });
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
        self.owners.clear();
        let count = self.members.len();
        for (index, session) in self.members.keys().enumerate() {
            let all = partitions as usize;
            let share = all / count + usize::from(index < all % count);
            self.owners.extend(std::iter::repeat_n(*session, share));
        }
    }

    pub(crate) fn assignment(&self, session: SessionId) -> Assignment {
        let owned = (0..).zip(&self.owners).filter(|(_, owner)| **owner == session);
        Assignment {
            generation: self.generation,
            partitions: owned.map(|(partition, _)| Partition(partition)).collect(),
        }
    }

    pub(crate) fn owns(&self, session: SessionId, partition: Partition) -> bool {
        self.owners.get(partition.0 as usize) == Some(&session)
    }

    /// The wakers of all its sessions, for when partitions changed hands.
    pub(crate) fn wakers(&self) -> Vec<Waker> {
        self.members.values().map(|member| member.waker.clone()).collect()
    }

    /// The owner of a partition, where the topic is one of its sources.
    pub(crate) fn reader_of(&self, of: TopicPartition) -> Option<SessionId> {
        let owner = self.owners.get(of.partition.0 as usize)?;
        self.members[owner].sources.contains(&of.topic).then_some(*owner)
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
        TaskPositions { committed: committed.collect(), checkpoint: None }
    }

    /// The offset the group has committed, 0 where there is none.
    pub(crate) fn committed_offset(&self, of: TopicPartition) -> Offset {
        self.offsets.get(&of).copied().unwrap_or_default()
    }
}
