//! What the stores must hold: what the commits of each task have changed.

use std::collections::BTreeMap;

use bytes::Bytes;
use streams::{KeyRange, Partition, StateError, StateReader, StoreChange, StoreName};

use crate::log::Attempt;

/// The entries of one task's stores.
pub(crate) type Entries = BTreeMap<(StoreName, Bytes), Bytes>;

/// The state of every task, by service and partition, as its commits have made it.
#[derive(Debug, Default)]
pub(crate) struct CommittedState {
    tasks: BTreeMap<(usize, Partition), Entries>,
}

impl CommittedState {
    pub(crate) fn committed(&mut self, attempt: &Attempt) {
        for task in &attempt.batch.tasks {
            let entries = self.tasks.entry((attempt.place.service, task.partition)).or_default();
            apply(entries, &task.changes);
        }
    }

    pub(crate) fn of(&self, service: usize, partition: Partition) -> Entries {
        self.tasks.get(&(service, partition)).cloned().unwrap_or_default()
    }
}

/// Makes changes to entries.
pub(crate) fn apply(entries: &mut Entries, changes: &[StoreChange]) {
    for StoreChange { store, key, value } in changes {
        let place = (*store, key.clone());
        match value {
            Some(value) => entries.insert(place, value.clone()),
            None => entries.remove(&place),
        };
    }
}

/// Whether this is where the runtime keeps a task's input offsets beside its state: the one entry
/// that says how the inputs were cut into batches.
pub(crate) fn is_offsets(store: StoreName, key: &[u8]) -> bool {
    store.as_str() == "task" && key == b"offsets"
}

/// The first difference between two states.
pub(crate) fn difference(one: &Entries, other: &Entries) -> Option<String> {
    let places = one.keys().chain(other.keys());
    places.filter(|place| one.get(*place) != other.get(*place)).min().map(|place| {
        let (store, key) = place;
        let (one, other) = (one.get(place), other.get(place));
        format!("{store} {key:?}: {one:?} and {other:?}")
    })
}

/// Entries as a task reads them.
#[derive(Debug, Default)]
pub(crate) struct EntriesReader(pub(crate) Entries);

impl StateReader for EntriesReader {
    fn get(&self, _: Partition, store: StoreName, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        Ok(self.0.get(&(store, Bytes::copy_from_slice(key))).cloned())
    }

    fn range(
        &self,
        _: Partition,
        store: StoreName,
        range: &KeyRange,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StateError> {
        let from = (store, range.from.clone());
        let inside = self.0.range(from..).take_while(|((found, key), _)| {
            *found == store && range.until.as_ref().is_none_or(|until| key < until)
        });
        Ok(inside.take(limit).map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }
}
