//! The conversation between a worker and its driver: the worker says a [`Step`], the driver does
//! it on a log and tells the [`StepResult`].

use timestamp::Timestamp;

use crate::commit::{CommitBatch, CommitOutcome, CommitPosition, StoreChange};
use crate::record::{ConsumedRecord, Offset, Partition, TopicName, TopicPartition};

/// What a worker wants done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// End whatever transactions this worker, or a dead one in its place, left open.
    Open,
    /// Say where each of these tasks left off.
    LoadPositions(Vec<Partition>),
    /// Say the end of each of these partitions, as a reader of uncommitted records sees it.
    LookUpEnds(Vec<TopicPartition>),
    /// Read committed changes of a task's changelog.
    ReadChangelog {
        /// The task's partition.
        partition: Partition,
        /// Where to begin.
        from: Offset,
    },
    /// Write to the local stores of these tasks, in one atomic write.
    WriteStores(Vec<StoreWrite>),
    /// Empty the task's local store.
    WipeStore(Partition),
    /// Read committed records.
    Fetch(Vec<(TopicPartition, Offset)>),
    /// Commit as one transaction.
    Commit(CommitBatch),
    /// Nothing: ask again, the batch is not finished. Lets the driver see to other things between
    /// two pieces of a large batch.
    Continue,
    /// Nothing until there is news, or until this time.
    Wait(Option<Timestamp>),
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepResult {
    /// `Open`, `WriteStores`, `WipeStore`, `Continue` or `Wait` is done.
    Done,
    /// Of `LoadPositions`, in the order asked for.
    Positions(Vec<TaskPositions>),
    /// Of `LookUpEnds`, in the order asked for.
    Ends(Vec<Offset>),
    /// Of `ReadChangelog`.
    Changelog(Restored),
    /// Of `Fetch`.
    Fetched(Fetched),
    /// Of `Commit`.
    Committed(CommitOutcome),
    /// Of `ReadChangelog` and `Fetch`: there is no such position (any more).
    OutOfRange {
        /// Which one, for the operator.
        reason: String,
    },
    /// The step could not be done for now; the worker tries again a little later.
    Failed {
        /// Why, for the operator.
        reason: String,
    },
}

/// Where state lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateBacking {
    /// In the log: a commit changes stores and log in one write. There is no changelog.
    Log,
    /// In local stores beside the log, each task's with a changelog on the log.
    Changelog,
}

/// Which partitions a worker owns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// Grows with each change in the group.
    pub generation: u64,
    /// The partitions, in order.
    pub partitions: Vec<Partition>,
    /// Those of them that were another's since the worker was last told that it owns them: what it
    /// knows of them is stale.
    pub regained: Vec<Partition>,
}

/// Where a task left off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskPositions {
    /// The group's committed offsets, for those sources that have one. Stable: no transaction
    /// that carries offsets of this partition is open any more.
    pub committed: Vec<(TopicName, Offset)>,
    /// The changelog position that the local store holds, where state is kept beside the log and
    /// a store is there.
    pub checkpoint: Option<Offset>,
    /// A place in the order of commits that is not before any that changed the task's state.
    pub as_of: CommitPosition,
}

/// What a fetch brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// The records, of each partition in order of offset.
    pub records: Vec<ConsumedRecord>,
    /// For each partition asked for, in the order asked for, where its next fetch begins: after the
    /// last record, and after anything behind it that is known to hold no record.
    pub positions: Vec<(TopicPartition, Offset)>,
    /// A place in the order of commits that is not before any of the records.
    pub as_of: CommitPosition,
}

/// A piece of a changelog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The store changes, oldest first.
    pub changes: Vec<StoreChange>,
    /// Where the next piece begins.
    pub position: Offset,
}

/// What is written to a task's local store in one piece: changes, and the changelog position that
/// they bring it to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreWrite {
    /// The task's partition.
    pub partition: Partition,
    /// The changes, in order.
    pub changes: Vec<StoreChange>,
    /// The changelog position after them.
    pub position: Offset,
}
