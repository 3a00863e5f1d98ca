//! Writing the store: one checkpoint, one transaction.

use redb::{Database, ReadableTable, WriteTransaction};
use streams::{Offset, Partition, StoreChange};

use crate::embedded::blocks::{BlockWriter, Blocks, pack};
use crate::embedded::commits::CommitBytes;
use crate::embedded::compaction::{Cleanness, compact};
use crate::embedded::layout::{
    ABOUT, ByOffset, CLEANNESS, EXTENTS, MERGED_AT, OFFSETS, POSITION, UNMERGED, ValueByKey,
    key_of, records_name, state_name,
};
use crate::embedded::trouble::Trouble;
use crate::frozen::{Frozen, FrozenGroup, FrozenPartition, FrozenTopic};
use crate::log::Retention;
use crate::prepared::{Prepared, PreparedTask};

/// Writes a checkpoint, durable when it returns. The log can then be opened with what it covers
/// within milliseconds, whatever happens to the process.
pub(crate) fn write(database: &Database, frozen: &Frozen) -> Result<(), Trouble> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    for topic in &frozen.topics {
        write_topic(&transaction, topic)?;
    }
    for group in &frozen.groups {
        write_group(&transaction, group)?;
    }
    write_unmerged(&transaction, frozen)?;
    transaction.open_table(ABOUT)?.insert(POSITION, frozen.position.0)?;
    Ok(transaction.commit()?)
}

fn write_topic(transaction: &WriteTransaction, topic: &FrozenTopic) -> Result<(), Trouble> {
    let name = topic.config.name.as_str();
    let mut extents = transaction.open_table(EXTENTS)?;
    let records_name = records_name(name);
    let mut blocks = transaction.open_table(ByOffset::new(&records_name))?;
    for partition in &topic.partitions {
        let extent = (partition.begin.0, partition.tail.end.0);
        extents.insert((name, partition.number), extent)?;
        if partition.begin > partition.tail.begin {
            remove_consumed(&mut blocks, partition)?;
        }
        let written = write_blocks(&mut blocks, partition)?;
        if topic.config.retention == Retention::Compacted && written > 0 {
            let key = (name, partition.number);
            let mut cleanness = transaction.open_table(CLEANNESS)?;
            let (clean_bytes, dirty_bytes) = cleanness.get(key)?.map_or((0, 0), |row| row.value());
            let mut now = Cleanness { clean_bytes, dirty_bytes: dirty_bytes + written };
            if now.is_due() {
                now = compact(&mut blocks, partition.number)?;
            }
            cleanness.insert(key, (now.clean_bytes, now.dirty_bytes))?;
        }
    }
    Ok(())
}

/// Removes the blocks that hold nothing any more that is wanted.
fn remove_consumed(blocks: &mut Blocks<'_>, partition: &FrozenPartition) -> Result<(), Trouble> {
    let number = partition.number;
    // The last block that begins before what is wanted may hold some of it.
    let until = if partition.begin >= partition.tail.base {
        partition.begin.0
    } else {
        let last = blocks.range((number, 0)..=(number, partition.begin.0))?.next_back();
        last.transpose()?.map_or(0, |(key, _)| key.value().1)
    };
    blocks.retain_in((number, 0)..(number, until), |_, _| false)?;
    Ok(())
}

/// Writes the records that are wanted, and says how many bytes that took.
fn write_blocks(blocks: &mut Blocks<'_>, partition: &FrozenPartition) -> Result<u64, Trouble> {
    let consumed = partition.begin.0.saturating_sub(partition.tail.base.0) as usize;
    let wanted = partition.tail.records.get(consumed..).unwrap_or_default();
    let mut writer = BlockWriter::new(partition.number);
    let first = partition.begin.max(partition.tail.base);
    for (offset, stored) in (first.0..).map(Offset).zip(wanted) {
        writer.add(blocks, offset, &stored.record)?;
    }
    writer.finish(blocks)?;
    Ok(writer.written)
}

/// Writes the offsets of a group, and merges the store changes whose turn it is into their tables.
fn write_group(transaction: &WriteTransaction, group: &FrozenGroup) -> Result<(), Trouble> {
    let mut offsets = transaction.open_table(OFFSETS)?;
    for (of, offset) in &group.offsets {
        offsets.insert((group.name, of.topic.as_str(), of.partition.0), offset.0)?;
    }
    for ((store, partition), changes) in group.stores.merging.iter() {
        let name = state_name(group.name, store.as_str());
        let mut table = transaction.open_table(ValueByKey::new(&name))?;
        for (key, value) in changes.iter() {
            let key = key_of(partition.0, key);
            match value {
                Some(value) => table.insert(key.as_slice(), value.as_ref())?,
                None => table.remove(key.as_slice())?,
            };
        }
    }
    Ok(())
}

/// Saves the store changes whose turn it is not, and removes those that have been merged since
/// they were saved.
fn write_unmerged(transaction: &WriteTransaction, frozen: &Frozen) -> Result<(), Trouble> {
    let mut merged_at = transaction.open_table(MERGED_AT)?;
    for (slot, position) in (0..).zip(frozen.merged_at) {
        merged_at.insert(slot, position.0)?;
    }
    let mut unmerged = transaction.open_table(UNMERGED)?;
    let all_merged = frozen.merged_at.into_iter().min().unwrap_or_default();
    unmerged.retain_in(..=(all_merged.0, u32::MAX), |_, _| false)?;
    for (number, group) in (0..).zip(&frozen.groups) {
        let tasks = newest_changes(&group.stores.unsaved);
        if !tasks.is_empty() {
            let commit = CommitBytes::new(&Prepared { group: Some(group.name), tasks });
            let bytes: Vec<u8> = commit.pieces().flatten().copied().collect();
            unmerged.insert((frozen.position.0, number), pack(&bytes).as_slice())?;
        }
    }
    Ok(())
}

/// The newest change of each key, by partition.
fn newest_changes(changes: &[(Partition, StoreChange)]) -> Vec<PreparedTask> {
    let mut newest: Vec<&(Partition, StoreChange)> = changes.iter().rev().collect();
    let key = |(partition, change): &(Partition, StoreChange)| {
        (*partition, change.store, change.key.clone())
    };
    newest.sort_by_cached_key(|change| key(change));
    newest.dedup_by_key(|change| key(change));
    let of_partition = |changes: &[&(Partition, StoreChange)]| PreparedTask {
        partition: changes[0].0,
        outputs: Vec::new(),
        changes: changes.iter().map(|(_, change)| change.clone()).collect(),
        offsets: Vec::new(),
    };
    newest.chunk_by(|one, next| one.0 == next.0).map(of_partition).collect()
}
