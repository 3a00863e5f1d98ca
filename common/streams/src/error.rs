//! What stops a worker.

use crate::context::ProcessError;
use crate::record::{Offset, Partition, TopicName};
use crate::state::StateError;

/// What stops a worker: going on could do harm, and trying again would not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A processor failed. Rules do not fail; this is a store that cannot be read, or an error in
    /// the wiring.
    #[error("processor {processor} failed in partition {partition}: {source}")]
    Process {
        /// The processor.
        processor: &'static str,
        /// The partition.
        partition: Partition,
        /// What it ran into.
        source: ProcessError,
    },
    /// A store cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// What the runtime itself keeps in a store is not what it wrote there.
    #[error("task state of partition {partition} cannot be read: {reason}")]
    TaskState {
        /// The partition.
        partition: Partition,
        /// What does not fit.
        reason: String,
    },
    /// The group's offset of a source and the one in the changelog differ: one of them was
    /// changed by hand or lost, and any choice between them would lose or repeat records.
    #[error(
        "partition {partition} of {topic}: the group's offset is {}, the changelog's is {}",
        display(*group), display(*changelog)
    )]
    OffsetsDiffer {
        /// The source.
        topic: TopicName,
        /// The partition.
        partition: Partition,
        /// The group's committed offset.
        group: Option<Offset>,
        /// The offset in the changelog.
        changelog: Option<Offset>,
    },
    /// Committed offsets lie where there are no records any more: some were lost, or never there.
    #[error("committed offsets do not fit the log: {reason}")]
    OutOfRange {
        /// Which ones.
        reason: String,
    },
    /// The driver answered a step with the result of another.
    #[error("the answer to a step is of another kind: {0}")]
    Protocol(&'static str),
}

fn display(offset: Option<Offset>) -> String {
    offset.map_or_else(|| "missing".to_owned(), |offset| offset.to_string())
}
