//! Opening the two files and bringing the log in memory up to them.

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, StorageBackend};
use streams::{CommitPosition, Offset, Partition, TopicPartition};

use crate::core::Core;
use crate::embedded::encoding::Names;
use crate::embedded::journal::Journal;
use crate::embedded::layout::{self, About, EXTENTS, OFFSETS};
use crate::embedded::shared::State;
use crate::embedded::snapshot::Snapshot;
use crate::embedded::trouble::Trouble;
use crate::log::TopicConfig;
use crate::tail::Tail;

/// How much of the store is kept in memory beside what came since the last checkpoint. The pages
/// of the file that do not fit are in the system's cache, two microseconds away.
const STORE_CACHE_BYTES: usize = 32 * 1024 * 1024;
/// The journal is written once and read at the start only.
const JOURNAL_CACHE_BYTES: usize = 8 * 1024 * 1024;

/// The two files, open.
pub(crate) struct Databases {
    journal: Database,
    store: Database,
}

/// A log that was brought up to its files.
pub(crate) struct Opened {
    pub(crate) state: State,
    pub(crate) journal: Journal,
    pub(crate) store: Database,
}

/// Opens the files of a directory, and makes them where they are not there.
pub(crate) fn open_files(directory: &Path) -> Result<Databases, Trouble> {
    fs::create_dir_all(directory)?;
    let journal = FileBackend::new(open_file(&directory.join("journal.redb"))?)?;
    let store = FileBackend::new(open_file(&directory.join("store.redb"))?)?;
    let databases = open_backends(journal, store)?;
    // A file is only sure to be found again once its directory is on disk, and so on upwards.
    for directory in directory.canonicalize()?.ancestors().take(2) {
        File::open(directory)?.sync_all()?;
    }
    Ok(databases)
}

fn open_file(path: &Path) -> Result<File, std::io::Error> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Opens what two backends hold.
pub(crate) fn open_backends(
    journal: impl StorageBackend,
    store: impl StorageBackend,
) -> Result<Databases, Trouble> {
    let journal =
        Builder::new().set_cache_size(JOURNAL_CACHE_BYTES).create_with_backend(journal)?;
    let store = Builder::new().set_cache_size(STORE_CACHE_BYTES).create_with_backend(store)?;
    Ok(Databases { journal, store })
}

/// Reads how far the store is, and makes the commits of the journal that come after it again.
pub(crate) fn load(
    databases: Databases,
    topics: &[TopicConfig],
    partitions: u32,
) -> Result<Opened, Trouble> {
    let Databases { journal, store } = databases;
    let store_about = checked(layout::about(&store)?, partitions)?;
    let journal_about = checked(layout::about(&journal)?, partitions)?;
    // The journal is made first: a store without one has lost what the journal held.
    match (&journal_about, &store_about) {
        (None, Some(_)) => return Err(Trouble::corrupt("there is a store but no journal")),
        (None, None) => layout::create_journal(&journal, partitions)?,
        (Some(_), _) => {}
    }
    let position = match store_about {
        Some(about) => about.position,
        None => {
            layout::create_store(&store, partitions)?;
            0
        }
    };
    let mut names = Names::new(topics);
    let mut core = Core::new(topics.to_vec(), partitions);
    core.committed = CommitPosition(position);
    load_store(&mut core, &store, &mut names)?;
    let journal = Journal::replayed_into(&mut core, journal, &mut names)?;
    let committed = core.committed();
    core.advance_durable(committed);
    let state = State {
        core,
        queue: Vec::new(),
        journal_waits: false,
        snapshot: Arc::new(Snapshot::open(&store, topics)?),
        checkpointed: CommitPosition(position),
        checkpoint_wanted: CommitPosition(0),
        checkpoint_awaits: None,
        closing: false,
    };
    Ok(Opened { state, journal, store })
}

/// What a file says about itself, where that is what is wanted.
fn checked(about: Option<About>, partitions: u32) -> Result<Option<About>, Trouble> {
    match about {
        Some(about) if !about.is_current => {
            Err(Trouble::corrupt("its layout is not the one that this version writes"))
        }
        Some(about) if about.partitions != partitions => {
            Err(Trouble::Partitions { found: about.partitions, wanted: partitions })
        }
        about => Ok(about),
    }
}

/// Reads where the partitions of the store end, and how far the groups have come.
fn load_store(core: &mut Core, store: &Database, names: &mut Names) -> Result<(), Trouble> {
    let transaction = store.begin_read()?;
    for row in transaction.open_table(EXTENTS)?.iter()? {
        let (key, extent) = row?;
        let (topic, partition) = key.value();
        let (begin, end) = extent.value();
        let of = TopicPartition::new(names.topic(topic)?, Partition(partition));
        let tail =
            core.topics.partition_mut(of).map_err(|error| Trouble::corrupt(error.to_string()))?;
        *tail = Tail::above(Offset(begin), Offset(end));
    }
    for row in transaction.open_table(OFFSETS)?.iter()? {
        let (key, offset) = row?;
        let (group, topic, partition) = key.value();
        let of = TopicPartition::new(names.topic(topic)?, Partition(partition));
        let group = core.groups.entry(names.kept(group)).or_default();
        group.offsets.insert(of, Offset(offset.value()));
    }
    Ok(())
}
