//! Keeping the newest record of each key of a compacted topic.

use std::collections::HashMap;

use redb::ReadableTable;
use streams::Offset;

use crate::embedded::blocks::{BlockWriter, Blocks, records, unpack};
use crate::embedded::trouble::Trouble;
use crate::encoding::record_key;

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
                writer.add(blocks, offset, bytes)?;
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use redb::backends::InMemoryBackend;
    use redb::{Database, WriteTransaction};
    use streams::{Headers, Partition, ProducedRecord, Timestamp, TopicName, TopicPartition};

    use super::*;
    use crate::embedded::layout::ByOffset;
    use crate::encoding::encode_record;

    const PARTITION: u32 = 1;

    fn transaction() -> WriteTransaction {
        let backend = InMemoryBackend::new();
        let database = Database::builder().create_with_backend(backend).unwrap();
        database.begin_write().unwrap()
    }

    fn record(key: Option<&str>) -> ProducedRecord {
        let topic = TopicName::new("levels");
        ProducedRecord {
            destination: TopicPartition::new(topic, Partition(PARTITION)),
            timestamp: Timestamp::EPOCH,
            key: key.map(|key| Bytes::copy_from_slice(key.as_bytes())),
            value: Some(Bytes::from(vec![1; 500])),
            headers: Headers::default(),
        }
    }

    fn write(blocks: &mut Blocks<'_>, partition: u32, from: u64, keys: &[Option<&str>]) {
        let mut writer = BlockWriter::new(partition);
        for (offset, key) in (from..).zip(keys) {
            writer.add(blocks, Offset(offset), &encode_record(&record(*key))).unwrap();
        }
        writer.finish(blocks).unwrap();
    }

    /// The offsets and keys of a partition.
    fn content(blocks: &Blocks<'_>, partition: u32) -> Vec<(u64, Option<String>)> {
        let mut content = Vec::new();
        for row in blocks.range((partition, 0)..=(partition, u64::MAX)).unwrap() {
            let (key, value) = row.unwrap();
            let block = unpack(value.value()).unwrap();
            for record in records(Offset(key.value().1), &block) {
                let (offset, bytes) = record.unwrap();
                let key = record_key(bytes).unwrap();
                let key = key.map(|key| String::from_utf8_lossy(key).into_owned());
                content.push((offset.0, key));
            }
        }
        content
    }

    fn some(key: &str) -> Option<String> {
        Some(key.to_owned())
    }

    #[test]
    fn the_newest_record_of_each_key_stays_at_its_offset() {
        let transaction = transaction();
        let mut blocks = transaction.open_table(ByOffset::new("blocks")).unwrap();
        write(&mut blocks, PARTITION, 0, &[Some("a"), Some("b"), None, Some("a")]);
        write(&mut blocks, PARTITION, 10, &[Some("c"), None, Some("b"), Some("c")]);
        write(&mut blocks, PARTITION + 1, 0, &[Some("a"), Some("a")]);

        let cleanness = compact(&mut blocks, PARTITION).unwrap();

        let newest = [(3, some("a")), (11, None), (12, some("b")), (13, some("c"))];
        assert_eq!(content(&blocks, PARTITION), newest);
        assert_eq!(content(&blocks, PARTITION + 1).len(), 2);
        assert!(!cleanness.is_due());
    }

    #[test]
    fn many_blocks_become_few() {
        let transaction = transaction();
        let mut blocks = transaction.open_table(ByOffset::new("blocks")).unwrap();
        let names: Vec<String> = (0..1_000).map(|number| (number % 300).to_string()).collect();
        let keys: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
        write(&mut blocks, PARTITION, 0, &keys);

        compact(&mut blocks, PARTITION).unwrap();

        let offsets: Vec<u64> = content(&blocks, PARTITION).iter().map(|record| record.0).collect();
        assert_eq!(offsets, (700..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn compaction_is_due_once_a_partition_has_doubled() {
        let due = |clean_bytes, dirty_bytes| Cleanness { clean_bytes, dirty_bytes }.is_due();
        assert!(!due(0, DIRTY_BYTES_MIN));
        assert!(due(0, DIRTY_BYTES_MIN + 1));
        assert!(!due(DIRTY_BYTES_MIN * 3, DIRTY_BYTES_MIN * 3));
        assert!(due(DIRTY_BYTES_MIN * 3, DIRTY_BYTES_MIN * 3 + 1));
    }
}
