//! Keeping the newest record of each key of a compacted topic.

use std::collections::HashMap;

use redb::ReadableTable;
use streams::Offset;

use crate::embedded::blocks::{BlockWriter, Blocks, records, unpack};
use crate::embedded::encoding::{record_key, write_bytes};
use crate::embedded::trouble::Trouble;

/// So small a partition is not worth it.
const DIRTY_BYTES_MIN: u64 = 256 * 1024;

/// How many bytes of a partition's blocks the last compaction left, and how many were written
/// since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cleanness {
    pub(crate) clean_bytes: u64,
    pub(crate) dirty_bytes: u64,
}

impl Cleanness {
    /// Whether enough has come that going over all of it is worth it: as much as there was, so
    /// that each record is gone over about twice.
    pub(crate) fn is_due(self) -> bool {
        self.dirty_bytes > self.clean_bytes.max(DIRTY_BYTES_MIN)
    }
}

/// Writes the blocks of a partition anew, with the newest record of each key. A block at a time is
/// in memory, and the keys.
pub(crate) fn compact(blocks: &mut Blocks<'_>, partition: u32) -> Result<Cleanness, Trouble> {
    let bases: Vec<u64> = blocks
        .range((partition, 0)..=(partition, u64::MAX))?
        .map(|row| row.map(|(key, _)| key.value().1))
        .collect::<Result<_, _>>()?;
    let mut newest: HashMap<Option<Vec<u8>>, Offset> = HashMap::new();
    for base in &bases {
        let block = read(blocks, partition, *base)?;
        for record in records(Offset(*base), &block) {
            let (offset, bytes) = record?;
            newest.insert(record_key(bytes)?.map(<[u8]>::to_vec), offset);
        }
    }
    let mut writer = BlockWriter::new(partition);
    for base in &bases {
        let block = read(blocks, partition, *base)?;
        blocks.remove((partition, *base))?;
        for record in records(Offset(*base), &block) {
            let (offset, bytes) = record?;
            if newest.get(&record_key(bytes)?.map(<[u8]>::to_vec)) == Some(&offset) {
                writer.add(blocks, offset, |into| write_bytes(into, bytes))?;
            }
        }
    }
    writer.finish(blocks)?;
    Ok(Cleanness { clean_bytes: writer.written, dirty_bytes: 0 })
}

fn read(blocks: &Blocks<'_>, partition: u32, base: u64) -> Result<Vec<u8>, Trouble> {
    let row = blocks.get((partition, base))?;
    row.map_or(Ok(Vec::new()), |row| unpack(row.value()))
}
