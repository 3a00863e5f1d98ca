//! The newest records of one partition, in memory.

use std::sync::Arc;

use streams::{CommitPosition, ConsumedRecord, Offset};

use crate::budget::Share;

/// A record and the commit that wrote it.
#[derive(Clone, Debug)]
pub(crate) struct TailRecord {
    /// The place of its commit, by which readers outside know whether it is durable.
    pub(crate) position: CommitPosition,
    /// The record.
    pub(crate) record: ConsumedRecord,
}

/// The newest records of one partition, without a gap: those that a checkpoint is being made of,
/// and behind them those that came since. What is older lies below, in a store, or nowhere.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// The offset of the first record here.
    base: u64,
    /// Shared with the checkpoint, which reads it without holding up commits.
    frozen: Arc<Vec<TailRecord>>,
    active: Vec<TailRecord>,
}

/// The records of one partition that a checkpoint writes.
#[derive(Clone, Debug)]
pub(crate) struct FrozenTail {
    /// One past the last of them.
    pub(crate) end: Offset,
    /// The records, without a gap.
    pub(crate) records: Arc<Vec<TailRecord>>,
}

impl Tail {
    /// An empty tail whose first record will have this offset.
    pub(crate) fn starting_at(base: Offset) -> Self {
        Tail { base: base.0, ..Tail::default() }
    }

    /// The offset of the first record here: what is before it lies below.
    pub(crate) fn base(&self) -> Offset {
        Offset(self.base)
    }

    /// The offset that the next record gets.
    pub(crate) fn end(&self) -> Offset {
        Offset(self.base + (self.frozen.len() + self.active.len()) as u64)
    }

    pub(crate) fn push(&mut self, stored: TailRecord) {
        debug_assert_eq!(stored.record.offset, self.end());
        self.active.push(stored);
    }

    /// The records from `from` on, which must not be below the base.
    pub(crate) fn records_from(&self, from: Offset) -> impl Iterator<Item = &TailRecord> {
        assert!(from.0 >= self.base, "records before {} are not in memory", self.base);
        let skipped = (from.0 - self.base) as usize;
        let frozen = self.frozen.get(skipped..).unwrap_or_default();
        let skipped_active = skipped.saturating_sub(self.frozen.len());
        let active = self.active.get(skipped_active..).unwrap_or_default();
        frozen.iter().chain(active)
    }

    /// Copies records from `from` on into `into` while the share lasts, and returns where the
    /// next read begins.
    pub(crate) fn read(
        &self,
        from: Offset,
        share: &mut Share,
        into: &mut Vec<ConsumedRecord>,
    ) -> Offset {
        let mut position = from;
        for stored in self.records_from(from) {
            if !share.take(&stored.record) {
                break;
            }
            position = stored.record.offset.next();
            into.push(stored.record.clone());
        }
        position
    }

    /// Sets the records that are here apart for a checkpoint. There must be no other one under way.
    pub(crate) fn freeze(&mut self) -> FrozenTail {
        assert!(self.frozen.is_empty(), "the checkpoint before has been released");
        self.frozen = Arc::new(std::mem::take(&mut self.active));
        FrozenTail { end: self.end(), records: Arc::clone(&self.frozen) }
    }

    /// Forgets the frozen records, which lie below by now.
    pub(crate) fn release(&mut self) {
        self.base += self.frozen.len() as u64;
        self.frozen = Arc::default();
    }
}
