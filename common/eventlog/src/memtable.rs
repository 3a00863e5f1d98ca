//! State stores in memory: the changes that a store below does not have yet.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use streams::{KeyRange, Partition, StoreChange, StoreName};

/// The newest changes of one store in one partition.
#[derive(Debug, Default)]
pub(crate) struct MemTable {
    /// Key to value, `None` for deleted.
    entries: BTreeMap<Bytes, Option<Bytes>>,
    bytes: usize,
}

/// About what an entry costs beside its bytes.
const ENTRY_BYTES: usize = 128;

/// One partition of one store.
pub type StorePartition = (StoreName, Partition);

/// The stores of one group: changes that are being merged into a store below, and those made
/// since, which hide the former, as both hide what lies below.
#[derive(Debug, Default)]
pub(crate) struct MemTables {
    active: BTreeMap<StorePartition, MemTable>,
    /// Shared with the checkpoint, which reads it without holding up commits.
    merging: Arc<BTreeMap<StorePartition, MemTable>>,
    /// The changes since the last checkpoint, in the order they were made.
    unsaved: Vec<(Partition, StoreChange)>,
}

/// What a checkpoint does about the stores of a group.
#[derive(Debug)]
pub(crate) struct FrozenStores {
    /// The changes to merge into the stores below.
    pub(crate) merging: Arc<BTreeMap<StorePartition, MemTable>>,
    /// Changes of other store partitions since the last checkpoint, in the order they were made:
    /// they are saved until those are merged too.
    pub(crate) unsaved: Vec<(Partition, StoreChange)>,
}

/// What memory knows of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It has this value, or `None`: it was deleted.
    Changed(Option<Bytes>),
    /// Nothing: what lies below holds.
    Unchanged,
}

impl MemTable {
    fn put(&mut self, key: Bytes, value: Option<Bytes>) {
        let value_bytes = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
        self.bytes += ENTRY_BYTES + key.len() + value_bytes(&value);
        let key_bytes = key.len();
        if let Some(former) = self.entries.insert(key, value) {
            self.bytes -= ENTRY_BYTES + key_bytes + value_bytes(&former);
        }
    }

    /// The changes in order of key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Bytes, Option<&Bytes>)> {
        self.entries.iter().map(|(key, value)| (key, value.as_ref()))
    }
}

impl MemTables {
    /// Makes a change.
    pub(crate) fn put(&mut self, partition: Partition, change: StoreChange) {
        self.unsaved.push((partition, change.clone()));
        self.put_saved(partition, change);
    }

    /// Makes a change that a checkpoint has saved before.
    pub(crate) fn put_saved(&mut self, partition: Partition, change: StoreChange) {
        let table = self.active.entry((change.store, partition)).or_default();
        table.put(change.key, change.value);
    }

    /// About how much memory each store partition takes whose changes are not being merged.
    pub(crate) fn bytes(&self) -> impl Iterator<Item = (StorePartition, usize)> {
        self.active.iter().map(|(store, table)| (*store, table.bytes))
    }

    pub(crate) fn get(&self, store: StorePartition, key: &[u8]) -> Known {
        let in_generation = |generation: &BTreeMap<StorePartition, MemTable>| {
            generation.get(&store).and_then(|table| table.entries.get(key)).cloned()
        };
        match in_generation(&self.active).or_else(|| in_generation(&self.merging)) {
            Some(value) => Known::Changed(value),
            None => Known::Unchanged,
        }
    }

    /// The changed keys in a range, in order, up to the one with which `limit` of them have a
    /// value: enough to find the first `limit` entries of the store, whatever lies below.
    pub(crate) fn range(
        &self,
        store: StorePartition,
        range: &KeyRange,
        limit: usize,
    ) -> Vec<(Bytes, Option<Bytes>)> {
        let empty = MemTable::default();
        let active = self.active.get(&store).unwrap_or(&empty);
        let merging = self.merging.get(&store).unwrap_or(&empty);
        let mut found = Vec::new();
        let mut with_value = 0;
        for (key, value) in newest_first(entries(active, range), entries(merging, range)) {
            if with_value == limit {
                break;
            }
            with_value += usize::from(value.is_some());
            found.push((key.clone(), value.clone()));
        }
        found
    }

    /// Sets apart what a checkpoint merges, the store partitions that are due, and what it saves.
    /// There must be no other one under way.
    pub(crate) fn freeze(&mut self, due: impl Fn(StorePartition) -> bool) -> FrozenStores {
        assert!(self.merging.is_empty(), "the checkpoint before has been released");
        let merging = self.active.extract_if(.., |store, _| due(*store)).collect();
        self.merging = Arc::new(merging);
        let mut unsaved = std::mem::take(&mut self.unsaved);
        unsaved.retain(|(partition, change)| !due((change.store, *partition)));
        FrozenStores { merging: Arc::clone(&self.merging), unsaved }
    }

    /// Forgets the changes that were being merged, which lie below by now.
    pub(crate) fn release(&mut self) {
        self.merging = Arc::default();
    }
}

/// The entries of a range of keys.
fn entries<'table>(
    table: &'table MemTable,
    range: &KeyRange,
) -> impl Iterator<Item = (&'table Bytes, &'table Option<Bytes>)> + use<'table> {
    // An upper end below the lower one is an empty range here, and a panic of the map's.
    let is_empty = range.until.as_ref().is_some_and(|until| *until <= range.from);
    let until = range.until.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let found =
        (!is_empty).then(|| table.entries.range::<Bytes, _>((Bound::Included(&range.from), until)));
    found.into_iter().flatten()
}

/// Two sorted sequences as one; where both have a key, the newer one's entry.
fn newest_first<Key: Ord, Value>(
    newer: impl Iterator<Item = (Key, Value)>,
    older: impl Iterator<Item = (Key, Value)>,
) -> impl Iterator<Item = (Key, Value)> {
    let mut newer = newer.peekable();
    let mut older = older.peekable();
    std::iter::from_fn(move || {
        skip_hidden(&mut newer, &mut older);
        match (newer.peek(), older.peek()) {
            (Some((newer_key, _)), Some((older_key, _))) if older_key < newer_key => older.next(),
            (Some(_), _) => newer.next(),
            (None, _) => older.next(),
        }
    })
}

/// Passes over an older entry that a newer one hides.
fn skip_hidden<Key: Ord, Value>(
    newer: &mut Peekable<impl Iterator<Item = (Key, Value)>>,
    older: &mut Peekable<impl Iterator<Item = (Key, Value)>>,
) {
    if let (Some((newer_key, _)), Some((older_key, _))) = (newer.peek(), older.peek())
        && newer_key == older_key
    {
        older.next();
    }
}

/// The first `limit` entries of a store, from the changes in memory as [`MemTables::range`] gave
/// them and the entries of the same range below, in order.
///
/// # Errors
/// The first error that `below` gives.
pub(crate) fn merged<Error>(
    changes: Vec<(Bytes, Option<Bytes>)>,
    below: impl Iterator<Item = Result<(Bytes, Bytes), Error>>,
    limit: usize,
) -> Result<Vec<(Bytes, Bytes)>, Error> {
    let mut changes = changes.into_iter().peekable();
    let mut entries = Vec::new();
    for entry in below {
        let (key, value) = entry?;
        while entries.len() < limit
            && let Some((changed_key, change)) = changes.next_if(|(changed, _)| *changed < key)
        {
            entries.extend(change.map(|value| (changed_key, value)));
        }
        if entries.len() == limit {
            return Ok(entries);
        }
        match changes.next_if(|(changed, _)| *changed == key) {
            Some((_, change)) => entries.extend(change.map(|value| (key, value))),
            None => entries.push((key, value)),
        }
    }
    let rest = changes.filter_map(|(key, value)| value.map(|value| (key, value)));
    let missing = limit.saturating_sub(entries.len());
    entries.extend(rest.take(missing));
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: StoreName = StoreName::new("stock");
    const PARTITION: Partition = Partition(0);
    const HERE: StorePartition = (STORE, PARTITION);

    fn put(tables: &mut MemTables, key: &'static str, value: Option<&'static str>) {
        let change = StoreChange {
            store: STORE,
            key: Bytes::from_static(key.as_bytes()),
            value: value.map(|value| Bytes::from_static(value.as_bytes())),
        };
        tables.put(PARTITION, change);
    }

    fn known(tables: &MemTables, key: &str) -> Known {
        tables.get(HERE, key.as_bytes())
    }

    fn changed(value: &'static str) -> Known {
        Known::Changed(Some(Bytes::from_static(value.as_bytes())))
    }

    fn keys(tables: &MemTables) -> Vec<Bytes> {
        let entries = tables.range(HERE, &KeyRange::all(), 9);
        entries.into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn changes_that_are_being_merged_are_seen_behind_those_made_since() {
        let mut tables = MemTables::default();
        put(&mut tables, "a", Some("old"));
        put(&mut tables, "b", Some("old"));
        put(&mut tables, "c", Some("old"));
        let frozen = tables.freeze(|_| true);
        put(&mut tables, "b", Some("new"));
        put(&mut tables, "c", None);

        assert_eq!(frozen.merging[&HERE].iter().count(), 3);
        assert!(frozen.unsaved.is_empty());
        assert_eq!(known(&tables, "a"), changed("old"));
        assert_eq!(known(&tables, "b"), changed("new"));
        assert_eq!(known(&tables, "c"), Known::Changed(None));
        assert_eq!(keys(&tables), ["a", "b", "c"]);

        tables.release();
        assert_eq!(known(&tables, "a"), Known::Unchanged);
        assert_eq!(keys(&tables), ["b", "c"]);
    }

    #[test]
    fn what_is_not_due_stays_and_is_saved_once() {
        let mut tables = MemTables::default();
        put(&mut tables, "a", Some("1"));

        let frozen = tables.freeze(|_| false);
        assert!(frozen.merging.is_empty());
        assert_eq!(frozen.unsaved.len(), 1);
        tables.release();
        assert_eq!(known(&tables, "a"), changed("1"));
        assert!(tables.freeze(|_| false).unsaved.is_empty());
    }

    #[test]
    fn the_memory_in_use_follows_the_changes() {
        let mut tables = MemTables::default();
        put(&mut tables, "a", Some("long value"));
        put(&mut tables, "a", Some("short"));
        let bytes: Vec<_> = tables.bytes().collect();
        assert_eq!(bytes, [(HERE, ENTRY_BYTES + "a".len() + "short".len())]);
    }

    #[test]
    fn a_merged_range_stops_at_its_limit_wherever_the_entries_come_from() {
        let entry = |key: &'static str| (Bytes::from(key), Bytes::from("below"));
        let change = |key: &'static str, value: Option<&'static str>| {
            (Bytes::from(key), value.map(Bytes::from))
        };
        let changes = vec![change("b", None), change("c", Some("new")), change("d", Some("new"))];
        let below = ["a", "b", "d", "e"].map(|key| Ok::<_, std::convert::Infallible>(entry(key)));
        let merge = |limit| {
            let Ok(merged) = merged(changes.clone(), below.clone().into_iter(), limit);
            merged.into_iter().map(|(key, _)| key).collect::<Vec<_>>()
        };
        assert_eq!(merge(9), ["a", "c", "d", "e"]);
        assert_eq!(merge(3), ["a", "c", "d"]);
        assert_eq!(merge(2), ["a", "c"]);
        assert_eq!(merge(0), [""; 0]);
    }
}
