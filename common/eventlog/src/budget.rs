//! How much one fetch brings, shared out fairly among the partitions it asks for.

/// A fetch brings about this much at most, so that a reader with a long way to go does not fill
/// the memory. It is above what a worker takes in one batch.
const FETCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a fetch may still bring.
#[derive(Debug)]
pub(crate) struct Budget {
    partitions: usize,
    records: usize,
    bytes: usize,
}

/// What one partition of a fetch may bring: at least one record, so that none is starved.
#[derive(Debug)]
pub(crate) struct Share {
    records: usize,
    bytes: usize,
    records_taken: usize,
    bytes_taken: usize,
}

impl Budget {
    pub(crate) fn new(partitions: usize, records_max: usize) -> Self {
        Budget { partitions, records: records_max, bytes: FETCH_BYTES_MAX }
    }

    /// The share of the next partition: an equal part of what those before it left.
    pub(crate) fn share(&mut self) -> Share {
        let partitions = self.partitions.max(1);
        self.partitions = partitions - 1;
        Share {
            records: self.records.div_ceil(partitions).max(1),
            bytes: self.bytes.div_ceil(partitions),
            records_taken: 0,
            bytes_taken: 0,
        }
    }

    /// Counts what a partition took of its share.
    pub(crate) fn settle(&mut self, share: &Share) {
        self.records = self.records.saturating_sub(share.records_taken);
        self.bytes = self.bytes.saturating_sub(share.bytes_taken);
    }
}

impl Share {
    /// A share for one reader of one partition.
    pub(crate) fn of_records(records_max: usize) -> Self {
        Budget::new(1, records_max).share()
    }

    /// Whether nothing more can be taken.
    pub(crate) fn is_used_up(&self) -> bool {
        self.records_taken >= self.records
            || (self.records_taken > 0 && self.bytes_taken >= self.bytes)
    }

    /// Takes a record of this size, where there is room for one.
    pub(crate) fn take(&mut self, record_bytes: usize) -> bool {
        if self.is_used_up() {
            return false;
        }
        self.records_taken += 1;
        self.bytes_taken += record_bytes;
        true
    }
}
