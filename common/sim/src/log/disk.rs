//! The local stores of one place: what is on its disk survives the process, but may be an older,
//! whole position after a crash.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use streams::{KeyRange, Offset, Partition, StoreChange, StoreName, StoreWrite};

use crate::random::Random;

/// How many writes may be lost in a crash.
const UNSYNCED_WRITES_MAX: usize = 6;

/// The local stores of one place.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    tasks: BTreeMap<Partition, TaskStore>,
}

#[derive(Debug, Default)]
struct TaskStore {
    entries: BTreeMap<(StoreName, Bytes), Bytes>,
    /// The changelog position that the entries are at; `None` while they are nowhere.
    checkpoint: Option<Offset>,
    /// What it takes to undo the last writes, oldest first.
    unsynced: VecDeque<Undo>,
}

/// The entries before a write, with their former values.
#[derive(Debug)]
struct Undo {
    entries: Vec<((StoreName, Bytes), Option<Bytes>)>,
    checkpoint: Option<Offset>,
}

impl TaskStore {
    fn apply(&mut self, changes: &[StoreChange], checkpoint: Option<Offset>) {
        let mut undo = Undo { entries: Vec::new(), checkpoint: self.checkpoint };
        for StoreChange { store, key, value } in changes {
            let place = (*store, key.clone());
            let former = match value {
                Some(value) => self.entries.insert(place.clone(), value.clone()),
                None => self.entries.remove(&place),
            };
            undo.entries.push((place, former));
        }
        self.checkpoint = checkpoint;
        self.unsynced.push_back(undo);
        if self.unsynced.len() > UNSYNCED_WRITES_MAX {
            self.unsynced.pop_front();
        }
    }

    fn undo_last(&mut self) {
        let Some(undo) = self.unsynced.pop_back() else { return };
        for (place, former) in undo.entries.into_iter().rev() {
            match former {
                Some(value) => self.entries.insert(place, value),
                None => self.entries.remove(&place),
            };
        }
        self.checkpoint = undo.checkpoint;
    }
}

impl Disk {
    pub(crate) fn checkpoint(&self, partition: Partition) -> Option<Offset> {
        self.tasks.get(&partition).and_then(|task| task.checkpoint)
    }

    /// Writes changes and the position they lead to as one.
    pub(crate) fn write(&mut self, write: &StoreWrite) {
        let task = self.tasks.entry(write.partition).or_default();
        task.apply(&write.changes, Some(write.position));
    }

    /// Writes changes without a position: what a driver must not do.
    pub(crate) fn write_early(&mut self, partition: Partition, changes: &[StoreChange]) {
        let task = self.tasks.entry(partition).or_default();
        let checkpoint = task.checkpoint;
        task.apply(changes, checkpoint);
    }

    pub(crate) fn wipe(&mut self, partition: Partition) {
        self.tasks.remove(&partition);
    }

    /// The store of a task is one of another cluster: empty, at a position that was never there.
    pub(crate) fn swap(&mut self, partition: Partition) {
        let checkpoint = Some(Offset(u64::MAX / 2));
        self.tasks.insert(partition, TaskStore { checkpoint, ..TaskStore::default() });
    }

    /// The process is gone: each task's store is at its last position or an earlier one.
    pub(crate) fn crash(&mut self, random: &mut Random) {
        for task in self.tasks.values_mut() {
            for _ in 0..random.index(task.unsynced.len() + 1) {
                task.undo_last();
            }
            task.unsynced.clear();
        }
    }

    pub(crate) fn get(&self, partition: Partition, store: StoreName, key: &[u8]) -> Option<Bytes> {
        let task = self.tasks.get(&partition)?;
        task.entries.get(&(store, Bytes::copy_from_slice(key))).cloned()
    }

    pub(crate) fn range(
        &self,
        partition: Partition,
        store: StoreName,
        range: &KeyRange,
        limit: usize,
    ) -> Vec<(Bytes, Bytes)> {
        let Some(task) = self.tasks.get(&partition) else { return Vec::new() };
        task.entries
            .range((store, range.from.clone())..)
            .take_while(|((found, key), _)| *found == store && range.contains(key))
            .take(limit)
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: StoreName = StoreName::new("store");
    const TASK: Partition = Partition(1);

    fn put(key: &'static str, value: &'static str) -> StoreChange {
        let value = Some(Bytes::from_static(value.as_bytes()));
        StoreChange { store: STORE, key: Bytes::from_static(key.as_bytes()), value }
    }

    fn disk_with_writes(count: u64) -> Disk {
        let mut disk = Disk::default();
        for number in 1..=count {
            let changes = vec![put("a", ["odd", "even"][usize::from(number % 2 == 0)])];
            disk.write(&StoreWrite { partition: TASK, changes, position: Offset(number) });
        }
        disk
    }

    #[test]
    fn a_crash_leaves_entries_and_position_of_the_same_write() {
        let mut positions = Vec::new();
        for seed in 0..50 {
            let mut disk = disk_with_writes(9);
            disk.crash(&mut Random::new(seed));
            let position = disk.checkpoint(TASK).expect("only the last writes may be lost").0;
            let expected = if position.is_multiple_of(2) { "even" } else { "odd" };
            assert_eq!(disk.get(TASK, STORE, b"a").as_deref(), Some(expected.as_bytes()));
            positions.push(position);
        }
        assert_eq!((positions.iter().min(), positions.iter().max()), (Some(&3), Some(&9)));
    }

    #[test]
    fn a_range_stays_in_its_store_and_partition() {
        let mut disk = disk_with_writes(1);
        let other = StoreChange { store: StoreName::new("other"), ..put("b", "1") };
        let changes = vec![put("c", "1"), other];
        disk.write(&StoreWrite { partition: TASK, changes, position: Offset(2) });
        let keys = |limit| {
            let entries = disk.range(TASK, STORE, &KeyRange::all(), limit);
            entries.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        };
        assert_eq!(keys(9), ["a", "c"]);
        assert_eq!(keys(1), ["a"]);
        assert_eq!(disk.range(Partition(0), STORE, &KeyRange::all(), 9), []);
    }
}
