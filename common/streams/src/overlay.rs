//! The store changes of a batch that is not committed yet.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::commit::StoreChange;
use crate::record::Partition;
use crate::state::{KeyRange, StateError, StateReader};
use crate::topic::StoreName;

/// Changes by store and key, over the committed state. Ordered maps, so that the same changes are
/// always written in the same order.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    stores: BTreeMap<StoreName, BTreeMap<Bytes, Option<Bytes>>>,
}

impl Overlay {
    /// Whether nothing is changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.stores.is_empty()
    }

    /// Sets a key to a value, or deletes it.
    pub(crate) fn set(&mut self, store: StoreName, key: Bytes, value: Option<Bytes>) {
        self.stores.entry(store).or_default().insert(key, value);
    }

    /// The value of a key, as changed or else as committed.
    pub(crate) fn get(
        &self,
        state: &dyn StateReader,
        partition: Partition,
        (store, key): (StoreName, &[u8]),
    ) -> Result<Option<Bytes>, StateError> {
        match self.stores.get(&store).and_then(|changes| changes.get(key)) {
            Some(change) => Ok(change.clone()),
            None => state.get(partition, store, key),
        }
    }

    /// At most `limit` entries of a store in the range, committed state and changes together.
    pub(crate) fn range(
        &self,
        state: &dyn StateReader,
        partition: Partition,
        store: StoreName,
        (range, limit): (&KeyRange, usize),
    ) -> Result<Vec<(Bytes, Bytes)>, StateError> {
        let changes: Vec<(&Bytes, &Option<Bytes>)> = self
            .stores
            .get(&store)
            .into_iter()
            .flat_map(|changes| changes.range(range.from.clone()..))
            .take_while(|(key, _)| range.contains(key))
            .collect();
        // Each change hides at most one committed entry.
        let committed =
            state.range(partition, store, range, limit.saturating_add(changes.len()))?;
        let mut entries: BTreeMap<Bytes, Bytes> = committed.into_iter().collect();
        for (key, change) in changes {
            match change {
                Some(value) => entries.insert(key.clone(), value.clone()),
                None => entries.remove(key),
            };
        }
        Ok(entries.into_iter().take(limit).collect())
    }

    /// The changes, each key once, in order of store and key.
    pub(crate) fn into_changes(self) -> Vec<StoreChange> {
        self.stores
            .into_iter()
            .flat_map(|(store, changes)| {
                changes.into_iter().map(move |(key, value)| StoreChange { store, key, value })
            })
            .collect()
    }
}
