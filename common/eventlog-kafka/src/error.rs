//! Why a log on Kafka cannot be used, and what its client's errors mean to a log's user.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Why a log on Kafka cannot be used. None of these goes away by itself but
/// [`Error::Unreachable`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No broker answered in time.
    #[error("no answer from Kafka at {bootstrap_servers} within {} s: {reason}", waited.as_secs())]
    Unreachable {
        /// Whom we asked.
        bootstrap_servers: String,
        /// For how long.
        waited: Duration,
        /// What the client said last.
        reason: String,
    },
    /// A topic is there, but not as the system needs it. It is never changed: its records may
    /// belong to somebody.
    #[error("topic {topic} has {setting} {found}, and {wanted} is needed")]
    Topic {
        /// The topic.
        topic: String,
        /// What is wrong about it.
        setting: String,
        /// What it has.
        found: String,
        /// What it must have.
        wanted: String,
    },
    /// A topic could not be created.
    #[error("topic {topic} cannot be created: {reason}")]
    NotCreated {
        /// The topic.
        topic: String,
        /// What the broker said.
        reason: String,
    },
    /// A property of the client cannot be set as asked.
    #[error("Kafka client property {name} cannot be set: {reason}")]
    Property {
        /// The property.
        name: String,
        /// Why not.
        reason: String,
    },
    /// The client could not be made, or refused what was asked of it.
    #[error("the Kafka client failed: {reason}")]
    Client {
        /// What it said.
        reason: String,
    },
    /// The state directory cannot be used.
    #[error("state directory {} cannot be used: {reason}", path.display())]
    StateDirectory {
        /// The directory or a file in it.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl Error {
    pub(crate) fn client(error: impl fmt::Display) -> Self {
        Error::Client { reason: error.to_string() }
    }

    pub(crate) fn directory(path: impl Into<PathBuf>, error: impl fmt::Display) -> Self {
        Error::StateDirectory { path: path.into(), reason: error.to_string() }
    }
}

impl From<Error> for eventlog::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::StateDirectory { path, reason } => eventlog::Error::Directory { path, reason },
            other => unreachable(other),
        }
    }
}

/// What an error of the client means to the user of a log: that the broker gave no answer.
pub(crate) fn unreachable(error: impl fmt::Display) -> eventlog::Error {
    eventlog::Error::Unreachable { reason: error.to_string() }
}
