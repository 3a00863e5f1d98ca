//! Bringing the log in memory up to its files.

use std::fs::File;
use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable};
use streams::{CommitPosition, Offset, Partition, TopicPartition};

use crate::core::Core;
use crate::embedded::blocks::unpack;
use crate::embedded::commits::{Names, read_commit};
use crate::embedded::files::Databases;
use crate::embedded::journal::Journal;
use crate::embedded::layout::{self, EXTENTS, MERGED_AT, OFFSETS, UNMERGED};
use crate::embedded::shared::State;
use crate::embedded::snapshot::Snapshot;
use crate::embedded::trouble::Trouble;
use crate::log::TopicConfig;
use crate::rotation::{MergedAt, Rotation, slot_of};
use crate::tail::Tail;

/// A log that was brought up to its files.
pub(crate) struct Opened {
    pub(crate) state: State,
    pub(crate) journal: Journal,
    pub(crate) store: Database,
    pub(crate) lock: Option<File>,
}

/// Reads how far the store is, and makes the commits of the journal that come after it again.
pub(crate) fn load(
    databases: Databases,
    topics: &[TopicConfig],
    partitions: u32,
) -> Result<Opened, Trouble> {
    let Databases { journal, store, lock } = databases;
    check_layout(&journal, partitions)?;
    let position = check_layout(&store, partitions)?;
    let mut names = Names::new(topics);
    let mut core = Core::new(topics.to_vec(), partitions);
    core.committed = CommitPosition(position);
    load_places(&mut core, &store, &mut names)?;
    load_unmerged(&mut core, &store, &mut names)?;
    let journal = Journal::replayed_into(&mut core, journal, &mut names)?;
    let committed = core.committed();
    core.advance_durable(committed);
    let state = State {
        core,
        queue: Vec::new(),
        journal_waits: false,
        snapshot: Arc::new(Snapshot::open(&store)?),
        checkpointed: CommitPosition(position),
        checkpoint_wanted: CommitPosition(0),
        checkpoint_awaits: None,
        closing: false,
    };
    Ok(Opened { state, journal, store, lock })
}

/// Checks that a file is one that this version writes, for this number of partitions. Returns the
/// position of the last commit in it, 0 in a journal.
fn check_layout(database: &Database, partitions: u32) -> Result<u64, Trouble> {
    match layout::about(database)? {
        None => Err(Trouble::corrupt("a file is not part of a log")),
        Some(about) if !about.is_current => {
            Err(Trouble::corrupt("its layout is not the one that this version writes"))
        }
        Some(about) if about.partitions != partitions => {
            Err(Trouble::Partitions { found: about.partitions, wanted: partitions })
        }
        Some(about) => Ok(about.position),
    }
}

/// Reads where the partitions of the store end, and how far the groups have come.
fn load_places(core: &mut Core, store: &Database, names: &mut Names) -> Result<(), Trouble> {
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

/// Reads the store changes that are not merged into their tables.
fn load_unmerged(core: &mut Core, store: &Database, names: &mut Names) -> Result<(), Trouble> {
    let transaction = store.begin_read()?;
    let mut merged_at = MergedAt::default();
    for row in transaction.open_table(MERGED_AT)?.iter()? {
        let (slot, position) = row?;
        if let Some(merged_at) = merged_at.get_mut(slot.value() as usize) {
            *merged_at = CommitPosition(position.value());
        }
    }
    core.rotation = Rotation::resumed(merged_at);
    for row in transaction.open_table(UNMERGED)?.iter()? {
        let (key, saved) = row?;
        let saved_at = CommitPosition(key.value().0);
        let commit = read_commit(&unpack(saved.value())?, names)?;
        let Some(group) = commit.group else { continue };
        let stores = &mut core.groups.entry(group).or_default().stores;
        for task in commit.tasks {
            let partition = task.partition;
            let unmerged = task
                .changes
                .into_iter()
                .filter(|change| merged_at[slot_of(group, (change.store, partition))] < saved_at);
            unmerged.for_each(|change| stores.put_saved(partition, change));
        }
    }
    Ok(())
}
