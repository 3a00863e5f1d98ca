//! One partition: records, markers and what is left of aborted transactions, each at an offset.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use streams::{ConsumedRecord, Offset, ProducedRecord, TopicPartition};

use super::transactions::{Fate, TransactionId, Transactions};

/// What lies at an offset.
#[derive(Debug)]
struct Entry {
    /// `None` is a marker.
    record: Option<ConsumedRecord>,
    transaction: Option<TransactionId>,
    /// No reader sees it any more; the simulation remembers it.
    compacted: bool,
}

/// One partition of one topic.
#[derive(Debug, Default)]
pub(super) struct PartitionLog {
    entries: Vec<Entry>,
    /// The first offset that readers can ask for: what is before it was purged.
    start: Offset,
    /// Up to where it may be compacted: what lies there has been there for long.
    compactable: Offset,
    /// The first offset of each transaction without a marker here.
    open: BTreeMap<TransactionId, Offset>,
}

/// A piece of a partition as a reader of committed records sees it.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) records: Vec<&'a ConsumedRecord>,
    /// Where the next piece begins.
    pub(super) position: Offset,
}

impl PartitionLog {
    /// The high watermark: one past the last entry, of whatever kind.
    pub(super) fn end(&self) -> Offset {
        Offset(self.entries.len() as u64)
    }

    /// Readers of committed records get no further: the first offset of a transaction that has no
    /// marker yet, decided or not.
    pub(super) fn last_stable(&self) -> Offset {
        self.open.values().min().copied().unwrap_or_else(|| self.end())
    }

    pub(super) fn append(
        &mut self,
        record: &ProducedRecord,
        transaction: Option<TransactionId>,
    ) -> Offset {
        let offset = self.end();
        let record = ConsumedRecord {
            source: record.destination,
            offset,
            timestamp: record.timestamp,
            key: record.key.clone(),
            value: record.value.clone(),
            headers: record.headers.clone(),
        };
        self.entries.push(Entry { record: Some(record), transaction, compacted: false });
        if let Some(transaction) = transaction {
            self.open.entry(transaction).or_insert(offset);
        }
        offset
    }

    /// The marker that ends a transaction here.
    pub(super) fn mark(&mut self, transaction: TransactionId) {
        if self.open.remove(&transaction).is_some() {
            self.entries.push(Entry {
                record: None,
                transaction: Some(transaction),
                compacted: false,
            });
        }
    }

    pub(super) fn is_out_of_range(&self, position: Offset) -> bool {
        position < self.start || position > self.end()
    }

    /// At most `records_max` committed records from a position on.
    pub(super) fn read(
        &self,
        from: Offset,
        records_max: usize,
        transactions: &Transactions,
    ) -> Piece<'_> {
        let until = self.last_stable();
        let mut piece = Piece { records: Vec::new(), position: from };
        for (offset, entry) in self.entries_between(from, until) {
            if is_committed(entry, transactions) && !entry.compacted {
                if piece.records.len() == records_max {
                    return piece;
                }
                piece.records.extend(&entry.record);
            }
            piece.position = offset.next();
        }
        piece
    }

    fn entries_between(
        &self,
        from: Offset,
        until: Offset,
    ) -> impl Iterator<Item = (Offset, &Entry)> {
        let until = (until.0 as usize).min(self.entries.len());
        let from = (from.0 as usize).min(until);
        (from as u64..).map(Offset).zip(&self.entries[from..until])
    }

    /// The offsets of the committed records from `from` up to `until`, compacted or not; `None`
    /// where one of them is not decided.
    pub(super) fn committed_between(
        &self,
        from: Offset,
        until: Offset,
        transactions: &Transactions,
    ) -> Option<Vec<Offset>> {
        let mut committed = Vec::new();
        for (offset, entry) in self.entries_between(from, until) {
            if entry.record.is_none() {
                continue;
            }
            match entry.transaction.map_or(Fate::Committed, |of| transactions.fate(of)) {
                Fate::Open => return None,
                Fate::Committed => committed.push(offset),
                Fate::Aborted => {}
            }
        }
        Some(committed)
    }

    /// All committed records, compacted or not.
    pub(super) fn history(&self, transactions: &Transactions) -> Vec<ConsumedRecord> {
        let committed = self.entries.iter().filter(|entry| is_committed(entry, transactions));
        committed.filter_map(|entry| entry.record.clone()).collect()
    }

    /// Leaves of each key the newest record among those that have been here for long, and nothing
    /// of aborted transactions. What is here now will have been for long the next time.
    pub(super) fn compact(&mut self, transactions: &Transactions) {
        let until = self.compactable.min(self.last_stable()).0 as usize;
        let mut kept: BTreeSet<Bytes> = BTreeSet::new();
        for entry in self.entries[..until].iter_mut().rev() {
            let key = entry.record.as_ref().and_then(|record| record.key.clone());
            let is_newest =
                is_committed(entry, transactions) && key.is_some_and(|key| kept.insert(key));
            entry.compacted = entry.record.is_some() && !is_newest;
        }
        self.compactable = self.end();
    }

    /// Forgets what lies before this offset.
    pub(super) fn purge(&mut self, before: Offset) {
        self.start = self.start.max(before.min(self.end()));
    }
}

fn is_committed(entry: &Entry, transactions: &Transactions) -> bool {
    entry.record.is_some()
        && entry.transaction.is_none_or(|of| transactions.fate(of) == Fate::Committed)
}

/// All partitions.
pub(super) type Partitions = BTreeMap<TopicPartition, PartitionLog>;
