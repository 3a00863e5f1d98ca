//! What goes wrong below the embedded log, and what that means to its users.

use std::any::Any;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use streams::{StateError, StoreName};

use crate::encoding::Malformed;
use crate::error::Error;

/// What goes wrong below the embedded log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// The system or the store said no.
    #[error(transparent)]
    Store(#[from] redb::Error),
    /// The content is not what was written.
    #[error("{0}")]
    Corrupt(String),
    /// Another process has the files.
    #[error("in use by another process")]
    InUse,
    /// The data was made with another number of partitions.
    #[error("made with {found} partitions, not {wanted}")]
    Partitions {
        /// What it has.
        found: u32,
        /// What was asked for.
        wanted: u32,
    },
}

impl Trouble {
    pub(crate) fn corrupt(reason: impl Into<String>) -> Self {
        Trouble::Corrupt(reason.into())
    }

    /// What it means to someone who opens or reads the log.
    pub(crate) fn in_directory(self, directory: &Path) -> Error {
        let path = directory.to_owned();
        match self {
            Trouble::Partitions { found, wanted } => Error::Partitions { path, found, wanted },
            Trouble::InUse | Trouble::Store(redb::Error::DatabaseAlreadyOpen) => {
                Error::InUse { path }
            }
            Trouble::Store(redb::Error::Io(error)) if !is_about_content(error.kind()) => {
                Error::Directory { path, reason: error.to_string() }
            }
            other => Error::Corrupt { path, reason: other.to_string() },
        }
    }

    /// What it means to someone who reads a store.
    pub(crate) fn on_state(self, store: StoreName) -> StateError {
        StateError { store, reason: self.to_string() }
    }

    /// What it means once the log is open: it goes no further.
    pub(crate) fn on_failing(self) -> Error {
        Error::Failed { reason: self.to_string() }
    }
}

/// Whether an error of reading says that the file is not what it should be, rather than that it
/// cannot be read.
fn is_about_content(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
}

/// Does something with the store below, which may panic on damaged files.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(Trouble::Corrupt(text(&*panic))))
}

/// What a panic said.
fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("the store gave up without a word").to_owned()
}

impl From<Malformed> for Trouble {
    fn from(malformed: Malformed) -> Self {
        Trouble::Corrupt(malformed.to_string())
    }
}

impl From<lz4_flex::block::DecompressError> for Trouble {
    fn from(error: lz4_flex::block::DecompressError) -> Self {
        Trouble::Corrupt(error.to_string())
    }
}

/// Every error of the store's goes through the one that holds them all.
macro_rules! from_store_errors {
    ($($error:ident),+) => {
        $(
            impl From<redb::$error> for Trouble {
                fn from(error: redb::$error) -> Self {
                    Trouble::Store(error.into())
                }
            }
        )+
    };
}

from_store_errors!(
    CommitError,
    DatabaseError,
    SetDurabilityError,
    StorageError,
    TableError,
    TransactionError
);

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Trouble::Store(redb::Error::Io(error))
    }
}
