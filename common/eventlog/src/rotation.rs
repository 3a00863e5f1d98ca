//! Which store partitions a checkpoint merges into the stores below.
//!
//! A checkpoint saves all store changes, one after the other, which costs little. Merging them into
//! the stores below costs a page for nearly every key; but less, the more keys of a store partition
//! there are. So the store partitions take turns: they are dealt out to slots, and a checkpoint
//! merges the slot whose turn it is.

use streams::CommitPosition;

use crate::memtable::StorePartition;

/// The number of slots: how many checkpoints' changes are merged at once.
pub(crate) const SLOTS: usize = 32;

/// More slots are merged while the changes that are not take more than this.
const UNMERGED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// For each slot the position of the last checkpoint that merged it.
pub(crate) type MergedAt = [CommitPosition; SLOTS];

/// Whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Rotation {
    next: usize,
    merged_at: MergedAt,
}

/// The slots that a checkpoint merges.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Due([bool; SLOTS]);

impl Rotation {
    /// Goes on from where an earlier process left off.
    pub(crate) fn resumed(merged_at: MergedAt) -> Self {
        let oldest = (0..SLOTS).min_by_key(|slot| merged_at[*slot]);
        Rotation { next: oldest.unwrap_or_default(), merged_at }
    }

    /// The slots that a checkpoint at this position merges.
    pub(crate) fn turn(&mut self, position: CommitPosition, bytes: [usize; SLOTS]) -> Due {
        let mut due = Due::default();
        let mut unmerged: usize = bytes.iter().sum();
        for _ in 0..SLOTS {
            due.0[self.next] = true;
            self.merged_at[self.next] = position;
            unmerged -= bytes[self.next];
            self.next = (self.next + 1) % SLOTS;
            if unmerged <= UNMERGED_BYTES_MAX {
                break;
            }
        }
        due
    }

    pub(crate) fn merged_at(&self) -> MergedAt {
        self.merged_at
    }
}

impl Due {
    pub(crate) fn contains(&self, slot: usize) -> bool {
        self.0[slot]
    }
}

/// The slot of a store partition, always the same. The partitions of a store are in slots side by
/// side, so that its merging is spread out.
pub(crate) fn slot_of(group: &str, (store, partition): StorePartition) -> usize {
    let names = group.bytes().chain([0]).chain(store.as_str().bytes());
    // FNV-1a: what matters is only that it never changes.
    let hash = names.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    ((hash % SLOTS as u64) as usize + partition.0 as usize) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: [usize; SLOTS] = [0; SLOTS];

    #[test]
    fn every_slot_has_its_turn_once_in_a_round() {
        let mut rotation = Rotation::default();
        for position in 1..=SLOTS as u64 {
            rotation.turn(CommitPosition(position), NOTHING);
        }
        let mut merged_at = rotation.merged_at();
        merged_at.sort_unstable();
        let all: Vec<_> = (1..=SLOTS as u64).map(CommitPosition).collect();
        assert_eq!(merged_at.as_slice(), all);
    }

    #[test]
    fn slots_are_merged_out_of_turn_while_too_much_is_not() {
        let bytes = [UNMERGED_BYTES_MAX / 4; SLOTS];
        let due = Rotation::default().turn(CommitPosition(1), bytes);
        assert_eq!((0..SLOTS).filter(|slot| due.contains(*slot)).count(), SLOTS - 4);
    }

    #[test]
    fn an_interrupted_round_goes_on_with_the_slot_that_has_waited_longest() {
        let mut rotation = Rotation::default();
        rotation.turn(CommitPosition(1), NOTHING);
        rotation.turn(CommitPosition(2), NOTHING);
        let due = Rotation::resumed(rotation.merged_at()).turn(CommitPosition(3), NOTHING);
        assert!(due.contains(2));
    }
}
