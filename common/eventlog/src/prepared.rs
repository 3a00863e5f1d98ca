//! A commit as the log keeps it: its records encoded.

use bytes::Bytes;
use streams::{CommitBatch, Offset, Partition, StoreChange, TaskCommit, TopicName, TopicPartition};

use crate::core::Commit;
use crate::encoding::encode_record;

/// A commit whose records are encoded. Making it needs no lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prepared {
    /// The group whose stores and offsets it changes; `None` for a request from outside.
    pub(crate) group: Option<&'static str>,
    pub(crate) tasks: Vec<PreparedTask>,
}

/// What one task commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PreparedTask {
    pub(crate) partition: Partition,
    /// Where each record goes, and the record.
    pub(crate) outputs: Vec<(TopicPartition, Bytes)>,
    pub(crate) changes: Vec<StoreChange>,
    pub(crate) offsets: Vec<(TopicName, Offset)>,
}

impl Prepared {
    pub(crate) fn batch(group: &'static str, batch: CommitBatch) -> Self {
        let task = |task: TaskCommit| PreparedTask {
            partition: task.partition,
            outputs: task
                .outputs
                .iter()
                .map(|record| (record.destination, encode_record(record)))
                .collect(),
            changes: task.changes,
            offsets: task.offsets,
        };
        Prepared { group: Some(group), tasks: batch.tasks.into_iter().map(task).collect() }
    }

    pub(crate) fn append(destination: TopicPartition, record: Bytes) -> Self {
        let task = PreparedTask {
            partition: destination.partition,
            outputs: vec![(destination, record)],
            changes: Vec::new(),
            offsets: Vec::new(),
        };
        Prepared { group: None, tasks: vec![task] }
    }
}

impl From<Commit> for Prepared {
    fn from(commit: Commit) -> Self {
        match commit {
            Commit::Append(record) => Prepared::append(record.destination, encode_record(&record)),
            Commit::Batch { group, batch } => Prepared::batch(group, batch),
        }
    }
}
