//! What a checkpoint of the log writes, set apart so that commits go on meanwhile.

use std::collections::BTreeMap;

use streams::{CommitPosition, Offset, Partition, TopicPartition};

use crate::core::{Core, Place};
use crate::group::Group;
use crate::log::{Retention, TopicConfig};
use crate::memtable::FrozenStores;
use crate::rotation::{MergedAt, SLOTS, slot_of};
use crate::tail::{FrozenTail, Tail};

/// Everything that a checkpoint covers and the one before did not.
#[derive(Debug)]
pub(crate) struct Frozen {
    /// The last commit it covers.
    pub(crate) position: CommitPosition,
    pub(crate) topics: Vec<FrozenTopic>,
    pub(crate) groups: Vec<FrozenGroup>,
    /// For each slot of store partitions the last checkpoint that merged them, after this one.
    pub(crate) merged_at: MergedAt,
}

/// The new records of a topic.
#[derive(Debug)]
pub(crate) struct FrozenTopic {
    pub(crate) config: TopicConfig,
    pub(crate) partitions: Vec<FrozenPartition>,
}

/// The new records of a partition.
#[derive(Debug)]
pub(crate) struct FrozenPartition {
    pub(crate) number: u32,
    /// The first offset that is still wanted; what is before it, new or old, can go.
    pub(crate) begin: Offset,
    pub(crate) tail: FrozenTail,
}

/// The offsets of a group, all of them, and the changes of its stores.
#[derive(Debug)]
pub(crate) struct FrozenGroup {
    pub(crate) name: &'static str,
    pub(crate) offsets: Vec<(TopicPartition, Offset)>,
    pub(crate) stores: FrozenStores,
}

impl Core {
    /// Sets everything that is committed and not frozen yet apart for a checkpoint. What was
    /// frozen before must have been released.
    pub(crate) fn freeze(&mut self) -> Frozen {
        self.frozen_bytes = std::mem::take(&mut self.active_bytes);
        let groups = &self.groups;
        let freeze_topic = |topic: &mut crate::topics::Topic| {
            let config = topic.config;
            let freeze_tail = |(number, tail): (u32, &mut Tail)| {
                let of = TopicPartition::new(config.name, Partition(number));
                let begin = first_wanted(&config.retention, groups, of).max(tail.begin());
                FrozenPartition { number, begin, tail: tail.freeze() }
            };
            let partitions = (0..).zip(&mut topic.tails).map(freeze_tail).collect();
            FrozenTopic { config, partitions }
        };
        let topics = self.topics.iter_mut().map(freeze_topic).collect();
        let due = self.rotation.turn(self.committed, unmerged_bytes(&self.groups));
        let freeze_group = |(name, group): (&&'static str, &mut Group)| FrozenGroup {
            name,
            offsets: group.offsets.iter().map(|(of, offset)| (*of, *offset)).collect(),
            stores: group.stores.freeze(|store| due.contains(slot_of(name, store))),
        };
        let groups = self.groups.iter_mut().map(freeze_group).collect();
        let merged_at = self.rotation.merged_at();
        Frozen { position: self.committed, topics, groups, merged_at }
    }

    /// Forgets what was frozen: it lies in the store by now.
    pub(crate) fn release(&mut self, frozen: &Frozen) {
        for (topic, frozen) in self.topics.iter_mut().zip(&frozen.topics) {
            for (tail, frozen) in topic.tails.iter_mut().zip(&frozen.partitions) {
                tail.release(frozen.begin);
            }
        }
        for group in self.groups.values_mut() {
            group.stores.release();
        }
        self.frozen_bytes = 0;
    }
}

/// About how much memory the changes take that are not merged, by slot.
fn unmerged_bytes(groups: &BTreeMap<&'static str, Group>) -> [usize; SLOTS] {
    let mut bytes = [0; SLOTS];
    for (name, group) in groups {
        for (store, store_bytes) in group.stores.bytes() {
            bytes[slot_of(name, store)] += store_bytes;
        }
    }
    bytes
}

/// Records of a partition that are wanted of the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) of: TopicPartition,
    pub(crate) from: Offset,
    /// Where the records in the store end, and those in memory begin.
    pub(crate) until: Offset,
}

/// Those of these places, by their index, whose records have been released.
pub(crate) fn released(places: &[Place<'_>]) -> Vec<(usize, Wanted)> {
    let wanted = |(index, place): (usize, &Place<'_>)| {
        let Place { of, from, tail } = *place;
        let until = tail.base();
        (from < until).then_some((index, Wanted { of, from, until }))
    };
    places.iter().enumerate().filter_map(wanted).collect()
}

/// The first offset of a partition that one of its consumers has still to read.
fn first_wanted(
    retention: &Retention,
    groups: &BTreeMap<&'static str, Group>,
    of: TopicPartition,
) -> Offset {
    let Retention::UntilConsumed { by } = retention else { return Offset(0) };
    let committed =
        |name: &&str| groups.get(*name).map_or(Offset(0), |group| group.committed_offset(of));
    by.iter().map(committed).min().unwrap_or_default()
}
