//! What can go wrong with a log.

use std::path::PathBuf;

use streams::{Offset, StateError, TopicName, TopicPartition};

/// What can go wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another process has the directory.
    #[error("data directory {} is in use by another process", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The directory cannot be used.
    #[error("data directory {} cannot be used: {reason}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The content of the directory is not what this log wrote.
    #[error("data directory {} is corrupt: {reason}", path.display())]
    Corrupt {
        /// The directory.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The directory was made with other settings.
    #[error("data directory {} has {found} partitions, not {wanted}", path.display())]
    Partitions {
        /// The directory.
        path: PathBuf,
        /// What it has.
        found: u32,
        /// What was asked for.
        wanted: u32,
    },
    /// No such topic on this log.
    #[error("topic {0} is not on this log")]
    UnknownTopic(TopicName),
    /// A position before the first record or after the end.
    #[error("position {position} of {of} is out of range")]
    OutOfRange {
        /// The partition.
        of: TopicPartition,
        /// The position asked for.
        position: Offset,
    },
    /// A write failed. It is never tried again: the log takes no more commits until a restart.
    #[error("the log cannot write: {reason}")]
    Failed {
        /// What the system said.
        reason: String,
    },
    /// Too much is waiting to be written; try again later.
    #[error("the log is overloaded")]
    Overloaded,
    /// The log does not answer; a write may have happened or not.
    #[error("the log is not reachable: {reason}")]
    Unreachable {
        /// What the client said.
        reason: String,
    },
    /// A state store cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Error {
    /// Whether a write that ended with this error may have happened all the same.
    pub fn is_indefinite(&self) -> bool {
        matches!(self, Error::Failed { .. } | Error::Unreachable { .. })
    }
}
