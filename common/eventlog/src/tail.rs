//! The newest records of one partition, in memory.

use std::sync::Arc;

use bytes::Bytes;
use streams::{CommitPosition, ConsumedRecord, Fetched, Offset, TopicPartition};

use crate::budget::Share;
use crate::encoding::decode_record;

/// A record and the commit that wrote it.
#[derive(Clone, Debug)]
pub(crate) struct TailRecord {
    /// The place of its commit, by which readers outside know whether it is durable.
    pub(crate) position: CommitPosition,
    /// The record, encoded.
    pub(crate) record: Bytes,
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

impl TailRecord {
    #[expect(clippy::expect_used, reason = "what was encoded here can be decoded here")]
    fn decode(&self, of: TopicPartition, offset: Offset) -> ConsumedRecord {
        decode_record(&self.record, of, offset).expect("a record that was encoded")
    }
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

    /// Adds a record at the end.
    pub(crate) fn push(&mut self, stored: TailRecord) {
        self.active.push(stored);
    }

    /// The records from `from` on with their offsets. They must not be below the base.
    fn records_from(&self, from: Offset) -> impl Iterator<Item = (Offset, &TailRecord)> {
        assert!(from.0 >= self.base, "records before {} are not in memory", self.base);
        let skipped = (from.0 - self.base) as usize;
        let frozen = self.frozen.get(skipped..).unwrap_or_default();
        let skipped_active = skipped.saturating_sub(self.frozen.len());
        let active = self.active.get(skipped_active..).unwrap_or_default();
        (from.0..).map(Offset).zip(frozen.iter().chain(active))
    }

    /// Reads records from `from` on while the share lasts, and returns where the next read begins.
    pub(crate) fn read(
        &self,
        (of, from): (TopicPartition, Offset),
        share: &mut Share,
        into: &mut Fetched,
    ) -> Offset {
        let mut position = from;
        for (offset, stored) in self.records_from(from) {
            if !share.take(stored.record.len()) {
                break;
            }
            position = offset.next();
            into.as_of = into.as_of.max(stored.position);
            into.records.push(stored.decode(of, offset));
        }
        position
    }

    /// Reads records from `from` on whose commits are durable, while the share lasts.
    pub(crate) fn read_durable(
        &self,
        (of, from): (TopicPartition, Offset),
        durable: CommitPosition,
        share: &mut Share,
        into: &mut Vec<ConsumedRecord>,
    ) {
        let readable = self.records_from(from).take_while(|(_, stored)| stored.position <= durable);
        let taken = readable.take_while(|(_, stored)| share.take(stored.record.len()));
        into.extend(taken.map(|(offset, stored)| stored.decode(of, offset)));
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
