//! The newest records of one partition, in memory.

use std::sync::Arc;

use streams::{CommitPosition, ConsumedRecord, Fetched, Offset};

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
    /// The offset of the first record there is, here or below.
    begin: Offset,
    /// The offset of the first record here.
    base: u64,
    /// Shared with the checkpoint, which reads it without holding up commits.
    frozen: Arc<Vec<TailRecord>>,
    active: Vec<TailRecord>,
}

/// The records of one partition that a checkpoint writes.
#[derive(Clone, Debug)]
pub(crate) struct FrozenTail {
    /// The offset of the first record there is, here or below.
    pub(crate) begin: Offset,
    /// The offset of the first of them.
    pub(crate) base: Offset,
    /// One past the last of them.
    pub(crate) end: Offset,
    /// The records, without a gap.
    pub(crate) records: Arc<Vec<TailRecord>>,
}

impl Tail {
    /// An empty tail, with records from `begin` on below, whose own first will be at `base`.
    pub(crate) fn above(begin: Offset, base: Offset) -> Self {
        Tail { begin, base: base.0, ..Tail::default() }
    }

    /// The offset of the first record there is. What was before it is gone.
    pub(crate) fn begin(&self) -> Offset {
        self.begin
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

    /// Reads records from `from` on while the share lasts, and returns where the next read begins.
    pub(crate) fn read(&self, from: Offset, share: &mut Share, into: &mut Fetched) -> Offset {
        let mut position = from;
        for stored in self.records_from(from) {
            if !share.take(&stored.record) {
                break;
            }
            position = stored.record.offset.next();
            into.as_of = into.as_of.max(stored.position);
            into.records.push(stored.record.clone());
        }
        position
    }

    /// Reads records from `from` on whose commits are durable, while the share lasts.
    pub(crate) fn read_durable(
        &self,
        from: Offset,
        durable: CommitPosition,
        share: &mut Share,
        into: &mut Vec<ConsumedRecord>,
    ) {
        let readable = self.records_from(from).take_while(|stored| stored.position <= durable);
        let taken = readable.take_while(|stored| share.take(&stored.record));
        into.extend(taken.map(|stored| stored.record.clone()));
    }

    /// Sets the records that are here apart for a checkpoint. There must be no other one under way.
    pub(crate) fn freeze(&mut self) -> FrozenTail {
        assert!(self.frozen.is_empty(), "the checkpoint before has been released");
        self.frozen = Arc::new(std::mem::take(&mut self.active));
        FrozenTail {
            begin: self.begin,
            base: self.base(),
            end: self.end(),
            records: Arc::clone(&self.frozen),
        }
    }

    /// Forgets the frozen records, which lie below by now, as far as they are after `begin`.
    pub(crate) fn release(&mut self, begin: Offset) {
        self.begin = begin;
        self.base += self.frozen.len() as u64;
        self.frozen = Arc::default();
    }
}
