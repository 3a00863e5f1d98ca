//! What a worker wants written, as one value: all of it becomes visible, or nothing does.

use bytes::Bytes;

use crate::record::{Offset, Partition, ProducedRecord, TopicName};
use crate::topic::StoreName;

/// One change of a state store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreChange {
    /// The store.
    pub store: StoreName,
    /// The key.
    pub key: Bytes,
    /// The new value; `None` deletes the key.
    pub value: Option<Bytes>,
}

/// What one task's batch comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskCommit {
    /// The task's partition.
    pub partition: Partition,
    /// Records to write, in order.
    pub outputs: Vec<ProducedRecord>,
    /// The store changes, each key once, in key order.
    pub changes: Vec<StoreChange>,
    /// For every source topic the position after the last record taken.
    pub offsets: Vec<(TopicName, Offset)>,
}

impl TaskCommit {
    /// About how many bytes the commit writes.
    pub fn size_bytes(&self) -> usize {
        let outputs: usize = self.outputs.iter().map(ProducedRecord::size_bytes).sum();
        let changes: usize = self
            .changes
            .iter()
            .map(|change| change.key.len() + change.value.as_ref().map_or(0, Bytes::len))
            .sum();
        outputs + changes
    }
}

/// What one worker commits in one transaction: the batches of all its tasks that have one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitBatch {
    /// One entry a task, in order of partition.
    pub tasks: Vec<TaskCommit>,
}

/// A place in the log's order of commits. Whatever is committed at it is on disk once the log's
/// durable position has reached it; a log that answers a commit only when it is durable may
/// always give the same one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitPosition(pub u64);

/// What became of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// All of it holds.
    Committed {
        /// Its place in the order of commits.
        position: CommitPosition,
        /// For each task of the batch the end of its changelog after this commit, where the log
        /// keeps changelogs; else empty.
        changelog_ends: Vec<(Partition, Offset)>,
    },
    /// None of it holds; the same records can be taken again.
    Aborted {
        /// What the log said.
        reason: String,
    },
    /// It may hold or not: only a new start of the worker's session tells.
    Unknown {
        /// What the log said.
        reason: String,
    },
    /// None of it holds: a partition of the batch is another member's by now.
    Fenced,
}
