//! The files of a log: one directory, one process.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

#[cfg(any(test, feature = "test-util"))]
use redb::StorageBackend;
use redb::backends::FileBackend;
use redb::{Builder, Database};

use crate::embedded::layout;
use crate::embedded::trouble::Trouble;

/// How much of the store is kept in memory beside what came since the last checkpoint. Pages that
/// do not fit are in the system's cache, two microseconds away.
const STORE_CACHE_BYTES: usize = 16 * 1024 * 1024;
/// The journal is written once and read at the start only.
const JOURNAL_CACHE_BYTES: usize = 4 * 1024 * 1024;

/// The two files, open, and what keeps other processes away from them.
pub(crate) struct Databases {
    pub(crate) journal: Database,
    pub(crate) store: Database,
    /// `None` where the files are not in a directory.
    pub(crate) lock: Option<File>,
}

/// Opens the files of a directory, and makes them where they are not there.
pub(crate) fn open(directory: &Path, partitions: u32) -> Result<Databases, Trouble> {
    fs::create_dir_all(directory)?;
    let lock = lock(directory)?;
    let journal = directory.join("journal.redb");
    let store = directory.join("store.redb");
    // The journal is made first: a store without one has lost what the journal held.
    if !journal.try_exists()? {
        if store.try_exists()? {
            return Err(Trouble::corrupt("there is a store but no journal"));
        }
        create(&journal, |database| layout::create_journal(database, partitions))?;
    }
    if !store.try_exists()? {
        create(&store, |database| layout::create_store(database, partitions))?;
    }
    let journal = journal_builder().create_with_backend(backend(&journal)?)?;
    let store = store_builder().create_with_backend(backend(&store)?)?;
    Ok(Databases { journal, store, lock: Some(lock) })
}

/// Keeps other processes away, as long as the file is open.
fn lock(directory: &Path) -> Result<File, Trouble> {
    let file =
        OpenOptions::new().write(true).create(true).truncate(false).open(directory.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Trouble::InUse),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Makes a file that is there as a whole or not at all, whenever the power goes: under another
/// name first.
fn create(
    path: &Path,
    fill: impl FnOnce(&Database) -> Result<(), redb::Error>,
) -> Result<(), Trouble> {
    let unfinished = path.with_extension("unfinished");
    File::create(&unfinished)?;
    let database = Builder::new().create_with_backend(backend(&unfinished)?)?;
    fill(&database)?;
    drop(database);
    File::open(&unfinished)?.sync_all()?;
    fs::rename(&unfinished, path)?;
    // The name is on disk once its directory is, and the directory's own once the one above is; any
    // of them may just have been made.
    for directory in path.canonicalize()?.ancestors().skip(1) {
        match File::open(directory).and_then(|directory| directory.sync_all()) {
            // What may not be read was not made here.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
            synced => synced?,
        }
    }
    Ok(())
}

fn backend(path: &Path) -> Result<FileBackend, Trouble> {
    Ok(FileBackend::new(OpenOptions::new().read(true).write(true).open(path)?)?)
}

fn journal_builder() -> Builder {
    let mut builder = Builder::new();
    // The journal is short: checking all of it costs milliseconds.
    builder.set_cache_size(JOURNAL_CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

fn store_builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(STORE_CACHE_BYTES);
    builder
}

/// Opens what two backends hold, and fills them where they are empty.
#[cfg(any(test, feature = "test-util"))]
pub(crate) fn open_backends(
    journal: impl StorageBackend,
    store: impl StorageBackend,
    partitions: u32,
) -> Result<Databases, Trouble> {
    let journal = journal_builder().create_with_backend(journal)?;
    let store = store_builder().create_with_backend(store)?;
    if layout::about(&journal)?.is_none() {
        layout::create_journal(&journal, partitions)?;
        layout::create_store(&store, partitions)?;
    }
    Ok(Databases { journal, store, lock: None })
}
