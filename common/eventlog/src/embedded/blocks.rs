//! Records packed in blocks: the rows of a topic in the store.

use redb::Table;
use streams::Offset;

use crate::embedded::trouble::Trouble;
use crate::encoding::{Malformed, Reader, write_bytes, write_number};

/// A block ends once it has this many bytes: large enough to be packed well, small enough that
/// reading one record costs little.
const BLOCK_BYTES: usize = 64 * 1024;

/// The blocks of a topic, by partition and the offset of the first record.
pub(crate) type Blocks<'transaction> = Table<'transaction, (u32, u64), &'static [u8]>;

/// Packs records of one partition, which come in the order of their offsets.
pub(crate) struct BlockWriter {
    partition: u32,
    base: Offset,
    bytes: Vec<u8>,
    /// How many bytes of blocks were written.
    pub(crate) written: u64,
}

impl BlockWriter {
    pub(crate) fn new(partition: u32) -> Self {
        BlockWriter { partition, base: Offset(0), bytes: Vec::new(), written: 0 }
    }

    /// Adds a record.
    pub(crate) fn add(
        &mut self,
        blocks: &mut Blocks<'_>,
        offset: Offset,
        record: &[u8],
    ) -> Result<(), Trouble> {
        if self.bytes.is_empty() {
            self.base = offset;
        }
        write_number(&mut self.bytes, offset.0 - self.base.0);
        write_bytes(&mut self.bytes, record);
        if self.bytes.len() >= BLOCK_BYTES {
            self.finish(blocks)?;
        }
        Ok(())
    }

    /// Ends the block that was begun.
    pub(crate) fn finish(&mut self, blocks: &mut Blocks<'_>) -> Result<(), Trouble> {
        if !self.bytes.is_empty() {
            let packed = pack(&self.bytes);
            self.written += packed.len() as u64;
            blocks.insert((self.partition, self.base.0), packed.as_slice())?;
            self.bytes.clear();
        }
        Ok(())
    }
}

/// The records of an unpacked block, each with its offset and without its length.
pub(crate) fn records(
    base: Offset,
    block: &[u8],
) -> impl Iterator<Item = Result<(Offset, &[u8]), Malformed>> {
    let mut rest = Reader(block);
    std::iter::from_fn(move || {
        if rest.is_finished() {
            return None;
        }
        let offset = rest.number().map(|distance| Offset(base.0 + distance));
        Some(offset.and_then(|offset| Ok((offset, rest.bytes()?))))
    })
}

/// Bytes as they are stored.
pub(crate) fn pack(bytes: &[u8]) -> Vec<u8> {
    lz4_flex::block::compress_prepend_size(bytes)
}

/// Bytes as they were before they were stored.
pub(crate) fn unpack(stored: &[u8]) -> Result<Vec<u8>, Trouble> {
    /// More than this LZ4 cannot make of a byte: a larger size is not one to ask memory for.
    const EXPANSION_MAX: usize = 256;
    let (size, packed) = lz4_flex::block::uncompressed_size(stored)?;
    if size > packed.len().saturating_mul(EXPANSION_MAX) {
        return Err(Trouble::corrupt(format!("a block says that it holds {size} bytes")));
    }
    Ok(lz4_flex::block::decompress(packed, size)?)
}
