//! Writing the store: one checkpoint, one transaction.

use std::collections::BTreeMap;

use redb::{Database, ReadableTable, Table, WriteTransaction};
use streams::Offset;

use crate::embedded::encoding::write_record;
use crate::embedded::layout::{
    ABOUT, ByOffset, EXTENTS, OFFSETS, OffsetByKey, POSITION, ValueByKey, key_of, keys_name,
    records_name, state_name,
};
use crate::embedded::snapshot::packed;
use crate::embedded::trouble::Trouble;
use crate::frozen::{Frozen, FrozenGroup, FrozenPartition, FrozenTopic};
use crate::log::Retention;
use crate::tail::TailRecord;

/// A block of records ends once it has this many bytes: large enough to be packed well, small
/// enough that reading one record costs little.
const BLOCK_BYTES: usize = 64 * 1024;

type OffsetTable<'transaction> = Table<'transaction, (u32, u64), &'static [u8]>;

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
    transaction.open_table(ABOUT)?.insert(POSITION, frozen.position.0)?;
    Ok(transaction.commit()?)
}

fn write_topic(transaction: &WriteTransaction, topic: &FrozenTopic) -> Result<(), Trouble> {
    let name = topic.config.name.as_str();
    let mut extents = transaction.open_table(EXTENTS)?;
    let records_name = records_name(name);
    let mut records = transaction.open_table(ByOffset::new(&records_name))?;
    for partition in &topic.partitions {
        let extent = (partition.begin.0, partition.tail.end.0);
        extents.insert((name, partition.number), extent)?;
        match topic.config.retention {
            Retention::Forever => write_blocks(&mut records, partition)?,
            Retention::UntilConsumed { .. } => {
                remove_consumed(&mut records, partition)?;
                write_blocks(&mut records, partition)?;
            }
            Retention::Compacted => {
                let keys_name = keys_name(name);
                let mut keys = transaction.open_table(OffsetByKey::new(&keys_name))?;
                write_newest(&mut records, &mut keys, partition)?;
            }
        }
    }
    Ok(())
}

/// Removes the blocks that hold nothing any more that is wanted.
fn remove_consumed(
    records: &mut OffsetTable<'_>,
    partition: &FrozenPartition,
) -> Result<(), Trouble> {
    let number = partition.number;
    // The block before the first one that is wanted as a whole may be wanted in part.
    let until = if partition.begin >= partition.tail.base {
        partition.begin.0
    } else {
        let before = records.range((number, 0)..=(number, partition.begin.0))?.next_back();
        before.transpose()?.map_or(0, |(key, _)| key.value().1)
    };
    let consumed: Vec<u64> = records
        .range((number, 0)..(number, until))?
        .map(|row| row.map(|(key, _)| key.value().1))
        .collect::<Result<_, _>>()?;
    for base in consumed {
        records.remove((number, base))?;
    }
    Ok(())
}

/// Writes the records that are wanted as blocks.
fn write_blocks(records: &mut OffsetTable<'_>, partition: &FrozenPartition) -> Result<(), Trouble> {
    let wanted = partition.begin.0.saturating_sub(partition.tail.base.0) as usize;
    let mut rest = partition.tail.records.get(wanted..).unwrap_or_default();
    let mut block = Vec::with_capacity(BLOCK_BYTES + BLOCK_BYTES / 4);
    while let Some(first) = rest.first() {
        block.clear();
        while let Some((next, others)) = rest.split_first()
            && block.len() < BLOCK_BYTES
        {
            write_record(&mut block, &next.record);
            rest = others;
        }
        let base = (partition.number, first.record.offset.0);
        records.insert(base, packed(&block).as_slice())?;
    }
    Ok(())
}

/// Writes the newest record of each key, in the place of the one there was.
fn write_newest(
    records: &mut OffsetTable<'_>,
    keys: &mut Table<'_, &'static [u8], u64>,
    partition: &FrozenPartition,
) -> Result<(), Trouble> {
    let key = |stored: &TailRecord| {
        key_of(partition.number, stored.record.key.as_deref().unwrap_or_default())
    };
    let newest: BTreeMap<Vec<u8>, Offset> =
        partition.tail.records.iter().map(|stored| (key(stored), stored.record.offset)).collect();
    let mut bytes = Vec::new();
    for stored in partition.tail.records.iter() {
        let offset = stored.record.offset;
        let key = key(stored);
        if newest.get(&key) != Some(&offset) {
            continue;
        }
        let replaced = keys.insert(key.as_slice(), offset.0)?.map(|row| row.value());
        if let Some(replaced) = replaced {
            records.remove((partition.number, replaced))?;
        }
        bytes.clear();
        write_record(&mut bytes, &stored.record);
        records.insert((partition.number, offset.0), bytes.as_slice())?;
    }
    Ok(())
}

fn write_group(transaction: &WriteTransaction, group: &FrozenGroup) -> Result<(), Trouble> {
    let mut offsets = transaction.open_table(OFFSETS)?;
    for (of, offset) in &group.offsets {
        offsets.insert((group.name, of.topic.as_str(), of.partition.0), offset.0)?;
    }
    for ((store, partition), changes) in group.stores.iter() {
        let name = state_name(group.name, store.as_str());
        let mut table = transaction.open_table(ValueByKey::new(&name))?;
        for (key, value) in changes {
            let key = key_of(partition.0, key);
            match value {
                Some(value) => table.insert(key.as_slice(), value.as_ref())?,
                None => table.remove(key.as_slice())?,
            };
        }
    }
    Ok(())
}
