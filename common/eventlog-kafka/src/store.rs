//! The local store of a session: entries, and how far in the changelog they are, in one atomic
//! write.
//!
//! The broker has everything, so a write need not be on disk at once: after a crash the store is at
//! an older position, as a whole, and the rest is read from the changelog again.

use std::io::ErrorKind;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use eventlog::Error as LogError;
use redb::{
    Database, Durability, ReadOnlyTable, ReadableDatabase, TableDefinition, WriteTransaction,
};
use streams::{KeyRange, Offset, Partition, StateError, StoreChange, StoreName, StoreWrite};

use crate::clock::unix_ms;
use crate::error::Error;
use crate::marks::{FreshMarks, Mark};

/// Entries by partition, store and key, in one piece.
const ENTRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("entries");
/// By partition: the changelog position of its entries, and when they were written.
const CHECKPOINTS: TableDefinition<'_, u32, (u64, u64)> = TableDefinition::new("checkpoints");
/// By partition: where in its changelog its mark lies, and the mark.
const MARKS: TableDefinition<'_, u32, (u64, &[u8])> = TableDefinition::new("marks");
/// What the store is of.
const ABOUT: TableDefinition<'_, &str, &str> = TableDefinition::new("about");
const CLUSTER: &str = "cluster";

/// How much of a store is kept in memory. What does not fit is in the system's cache.
const CACHE_BYTES: usize = 16 * 1024 * 1024;
/// This much is read from the changelog again after a crash, at most, and a little more.
const UNSYNCED_BYTES_MAX: usize = 4 * 1024 * 1024;
const UNSYNCED_WRITES_MAX: usize = 200;

/// The local store of a session.
pub(crate) struct Store {
    path: PathBuf,
    database: Database,
    entries: ReadOnlyTable<&'static [u8], &'static [u8]>,
    unsynced_writes: usize,
    unsynced_bytes: usize,
}

impl Store {
    /// Opens a store, and empties it where it is of another cluster or cannot be read: what was in
    /// it can be had from the changelog.
    pub(crate) fn open(path: &Path, cluster: &str) -> Result<Self, Error> {
        let failed = |error: redb::Error| Error::directory(path, error);
        let store = match Self::try_open(path) {
            Err(error) if is_about_content(&error) => {
                tracing::warn!(path = %path.display(), %error, "state store is made anew");
                std::fs::remove_file(path).map_err(|error| Error::directory(path, error))?;
                Self::try_open(path)
            }
            opened => opened,
        };
        let mut store = store.map_err(failed)?;
        if store.cluster().map_err(failed)?.as_deref() != Some(cluster) {
            store.begin_anew(cluster).map_err(failed)?;
        }
        Ok(store)
    }

    /// Damaged files may make the store below panic.
    fn try_open(path: &Path) -> Result<Self, redb::Error> {
        let opened = catch_unwind(|| Self::open_file(path));
        opened.unwrap_or_else(|_| Err(redb::Error::Corrupted("it cannot be read".to_owned())))
    }

    fn open_file(path: &Path) -> Result<Self, redb::Error> {
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(path)?;
        let transaction = database.begin_write()?;
        transaction.open_table(ENTRIES)?;
        transaction.open_table(CHECKPOINTS)?;
        transaction.open_table(MARKS)?;
        transaction.open_table(ABOUT)?;
        transaction.commit()?;
        let entries = database.begin_read()?.open_table(ENTRIES)?;
        let (unsynced_writes, unsynced_bytes) = (0, 0);
        Ok(Store { path: path.to_owned(), database, entries, unsynced_writes, unsynced_bytes })
    }

    fn cluster(&self) -> Result<Option<String>, redb::Error> {
        let about = self.database.begin_read()?.open_table(ABOUT)?;
        Ok(about.get(CLUSTER)?.map(|cluster| cluster.value().to_owned()))
    }

    fn begin_anew(&mut self, cluster: &str) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        transaction.delete_table(ENTRIES)?;
        transaction.delete_table(CHECKPOINTS)?;
        transaction.delete_table(MARKS)?;
        transaction.open_table(ENTRIES)?;
        transaction.open_table(CHECKPOINTS)?;
        transaction.open_table(MARKS)?;
        transaction.open_table(ABOUT)?.insert(CLUSTER, cluster)?;
        transaction.commit()?;
        self.refresh()
    }

    /// How far in their changelog a partition's entries are.
    pub(crate) fn checkpoint(&self, partition: Partition) -> Result<Option<Offset>, LogError> {
        Ok(self.checkpoint_row(partition)?.map(|(offset, _)| Offset(offset)))
    }

    /// How long ago a partition's entries were written last.
    pub(crate) fn age(&self, partition: Partition) -> Result<Option<Duration>, LogError> {
        let age = |(_, at_ms)| Duration::from_millis(unix_ms().saturating_sub(at_ms));
        Ok(self.checkpoint_row(partition)?.map(age))
    }

    fn checkpoint_row(&self, partition: Partition) -> Result<Option<(u64, u64)>, LogError> {
        let read = || -> Result<Option<(u64, u64)>, redb::Error> {
            let checkpoints = self.database.begin_read()?.open_table(CHECKPOINTS)?;
            Ok(checkpoints.get(partition.0)?.map(|row| row.value()))
        };
        read().map_err(|error| self.failed(error))
    }

    pub(crate) fn mark(&self, partition: Partition) -> Result<Option<Mark>, LogError> {
        let read = || -> Result<Option<Mark>, redb::Error> {
            let marks = self.database.begin_read()?.open_table(MARKS)?;
            let row = marks.get(partition.0)?;
            Ok(row.map(|row| {
                let (offset, text) = row.value();
                Mark { offset: Offset(offset), text: Bytes::copy_from_slice(text) }
            }))
        };
        read().map_err(|error| self.failed(error))
    }

    /// Writes the changes of some partitions, the positions that they lead to, and the marks of
    /// those that have a new one.
    pub(crate) fn write(
        &mut self,
        writes: &[StoreWrite],
        marks: &FreshMarks,
    ) -> Result<(), LogError> {
        self.try_write(writes, marks).map_err(|error| self.failed(error))
    }

    fn try_write(&mut self, writes: &[StoreWrite], marks: &FreshMarks) -> Result<(), redb::Error> {
        let bytes: usize = writes.iter().flat_map(|write| &write.changes).map(size_bytes).sum();
        self.unsynced_bytes += bytes;
        self.unsynced_writes += writes.len();
        let is_due = self.unsynced_bytes >= UNSYNCED_BYTES_MAX
            || self.unsynced_writes >= UNSYNCED_WRITES_MAX;
        let mut transaction = self.database.begin_write()?;
        if is_due {
            sync(&mut transaction);
        } else {
            transaction.set_durability(Durability::None)?;
        }
        put_all(&transaction, writes, marks)?;
        transaction.commit()?;
        if is_due {
            (self.unsynced_writes, self.unsynced_bytes) = (0, 0);
        }
        self.refresh()
    }

    /// Removes all that is of a partition.
    pub(crate) fn wipe(&mut self, partition: Partition) -> Result<(), LogError> {
        let wipe = |database: &Database| -> Result<(), redb::Error> {
            let mut transaction = database.begin_write()?;
            sync(&mut transaction);
            let from = partition.0.to_be_bytes();
            let until = partition.0.saturating_add(1).to_be_bytes();
            transaction
                .open_table(ENTRIES)?
                .retain_in(from.as_slice()..until.as_slice(), |_, _| false)?;
            transaction.open_table(CHECKPOINTS)?.remove(partition.0)?;
            transaction.open_table(MARKS)?.remove(partition.0)?;
            Ok(transaction.commit()?)
        };
        wipe(&self.database).and_then(|()| self.refresh()).map_err(|error| self.failed(error))
    }

    /// Shows readers what was written.
    fn refresh(&mut self) -> Result<(), redb::Error> {
        self.entries = self.database.begin_read()?.open_table(ENTRIES)?;
        Ok(())
    }

    pub(crate) fn get(
        &self,
        partition: Partition,
        store: StoreName,
        key: &[u8],
    ) -> Result<Option<Bytes>, StateError> {
        let key = entry_key(partition, store, key);
        let found = self.entries.get(key.as_slice()).map_err(|error| unreadable(store, error))?;
        Ok(found.map(|value| Bytes::copy_from_slice(value.value())))
    }

    pub(crate) fn range(
        &self,
        partition: Partition,
        store: StoreName,
        range: &KeyRange,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StateError> {
        let prefix = entry_key(partition, store, b"");
        let from = entry_key(partition, store, &range.from);
        let rows = self.entries.range(from.as_slice()..).map_err(|e| unreadable(store, e))?;
        let mut found = Vec::new();
        for row in rows.take(limit) {
            let (key, value) = row.map_err(|error| unreadable(store, error))?;
            let Some(key) = key.value().strip_prefix(prefix.as_slice()) else { break };
            if !range.contains(key) {
                break;
            }
            found.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value.value())));
        }
        Ok(found)
    }

    fn failed(&self, error: redb::Error) -> LogError {
        Error::directory(&self.path, error).into()
    }
}

impl Drop for Store {
    /// An orderly end leaves nothing to be read again.
    fn drop(&mut self) {
        let synced = self.database.begin_write().map_err(redb::Error::from).and_then(|mut last| {
            sync(&mut last);
            Ok(last.commit()?)
        });
        if let Err(error) = synced {
            tracing::warn!(path = %self.path.display(), %error, "state store was not synced");
        }
    }
}

fn put_all(
    transaction: &WriteTransaction,
    writes: &[StoreWrite],
    marks: &FreshMarks,
) -> Result<(), redb::Error> {
    let mut entries = transaction.open_table(ENTRIES)?;
    let mut checkpoints = transaction.open_table(CHECKPOINTS)?;
    let mut marked = transaction.open_table(MARKS)?;
    for write in writes {
        for change in &write.changes {
            let key = entry_key(write.partition, change.store, &change.key);
            match &change.value {
                Some(value) => entries.insert(key.as_slice(), value.as_ref())?,
                None => entries.remove(key.as_slice())?,
            };
        }
        checkpoints.insert(write.partition.0, (write.position.0, unix_ms()))?;
        if let Some(Mark { offset, text }) = marks.get(&write.partition) {
            marked.insert(write.partition.0, (offset.0, text.as_ref()))?;
        }
    }
    Ok(())
}

/// Puts this write on disk, and what came before it. The store then opens within milliseconds,
/// whatever happens to the process.
fn sync(transaction: &mut WriteTransaction) {
    transaction.set_quick_repair(true);
}

/// Whether an error says that the file is not what it should be, rather than that it cannot be
/// read.
fn is_about_content(error: &redb::Error) -> bool {
    match error {
        redb::Error::Io(error) => {
            matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
        }
        redb::Error::DatabaseAlreadyOpen => false,
        _ => true,
    }
}

fn unreadable(store: StoreName, error: impl std::fmt::Display) -> StateError {
    StateError { store, reason: error.to_string() }
}

fn size_bytes(change: &StoreChange) -> usize {
    change.key.len() + change.value.as_ref().map_or(0, Bytes::len)
}

fn entry_key(partition: Partition, store: StoreName, key: &[u8]) -> Vec<u8> {
    [&partition.0.to_be_bytes(), store.as_str().as_bytes(), &[0], key].concat()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const STOCK: StoreName = StoreName::new("stock");
    const TASK: Partition = Partition(1);

    fn put(key: &'static str, value: &'static str) -> StoreChange {
        let value = Some(Bytes::from_static(value.as_bytes()));
        StoreChange { store: STOCK, key: Bytes::from_static(key.as_bytes()), value }
    }

    fn write(partition: Partition, changes: Vec<StoreChange>, position: u64) -> StoreWrite {
        StoreWrite { partition, changes, position: Offset(position) }
    }

    fn keys(store: &Store, partition: Partition, range: &KeyRange, limit: usize) -> Vec<Bytes> {
        let entries = store.range(partition, STOCK, range, limit).unwrap();
        entries.into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn entries_checkpoint_and_mark_are_kept_over_an_orderly_end() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("store.redb");
        let mark = Mark { offset: Offset(2), text: Bytes::from_static(b"mark") };
        let mut store = Store::open(&path, "cluster").unwrap();
        let marks = FreshMarks::from([(TASK, mark.clone())]);
        let first = write(TASK, vec![put("hat", "1"), put("socks", "1")], 3);
        store.write(&[first], &marks).unwrap();
        let removed = StoreChange { value: None, ..put("socks", "") };
        let second = write(TASK, vec![put("hat", "2"), removed], 5);
        store.write(&[second], &FreshMarks::new()).unwrap();
        drop(store);

        let store = Store::open(&path, "cluster").unwrap();
        assert_eq!(store.checkpoint(TASK), Ok(Some(Offset(5))));
        assert_eq!(store.mark(TASK), Ok(Some(mark)));
        assert_eq!(store.get(TASK, STOCK, b"hat").unwrap().as_deref(), Some(b"2".as_slice()));
        assert_eq!(store.get(TASK, STOCK, b"socks"), Ok(None));
        assert!(store.age(TASK).unwrap().is_some_and(|age| age < Duration::from_mins(1)));
        assert_eq!(store.age(Partition(0)), Ok(None));
    }

    #[test]
    fn a_store_of_another_cluster_and_one_that_is_damaged_begin_empty() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("store.redb");
        let mut store = Store::open(&path, "cluster").unwrap();
        store.write(&[write(TASK, vec![put("hat", "1")], 3)], &FreshMarks::new()).unwrap();
        drop(store);

        let store = Store::open(&path, "other cluster").unwrap();
        assert_eq!((store.checkpoint(TASK), store.get(TASK, STOCK, b"hat")), (Ok(None), Ok(None)));
        drop(store);
        for damage in ["not a store", ""] {
            std::fs::write(&path, damage).unwrap();
            let store = Store::open(&path, "cluster").unwrap();
            assert_eq!(store.checkpoint(TASK), Ok(None));
        }
    }

    #[test]
    fn a_partition_is_wiped_and_read_by_itself() {
        let directory = TempDir::new().unwrap();
        let mut store = Store::open(&directory.path().join("store.redb"), "cluster").unwrap();
        let other = StoreChange { store: StoreName::new("stocks"), ..put("a", "1") };
        let writes = [Partition(0), TASK, Partition(2)].map(|partition| {
            let changes = vec![put("a", "1"), put("b", "1"), put("c", "1"), other.clone()];
            write(partition, changes, 4)
        });
        store.write(&writes, &FreshMarks::new()).unwrap();
        assert_eq!(keys(&store, TASK, &KeyRange::all(), 9), ["a", "b", "c"]);
        assert_eq!(keys(&store, TASK, &KeyRange::all(), 2), ["a", "b"]);
        assert_eq!(keys(&store, TASK, &KeyRange::prefix(b"b"), 9), ["b"]);

        store.wipe(TASK).unwrap();

        assert_eq!(store.checkpoint(TASK), Ok(None));
        assert_eq!(keys(&store, TASK, &KeyRange::all(), 9), [""; 0]);
        assert_eq!(keys(&store, Partition(0), &KeyRange::all(), 9).len(), 3);
        assert_eq!(keys(&store, Partition(2), &KeyRange::all(), 9).len(), 3);
    }
}
