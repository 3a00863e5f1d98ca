//! Why the read model cannot be used.

use streams::Offset;

/// Why the read model cannot be used, for now or until somebody does something about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database does not answer, or does not do what it was asked.
    #[error("the database of the read model: {0}")]
    Database(#[from] sqlx::Error),
    /// Its tables cannot be made what this version needs.
    #[error("the tables of the read model: {0}")]
    Tables(#[from] sqlx::migrate::MigrateError),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] eventlog::Error),
    /// What is in the database was made of another log.
    #[error(
        "the database holds the orders of another log ({reason}): use another database, or start \
         once with --rebuild-read-model to make it anew"
    )]
    OtherLog {
        /// What does not fit.
        reason: String,
    },
    /// Another instance has emptied the tables, to make them anew.
    #[error("the read model is being made anew by another instance")]
    SetBack,
    /// The thread or the runtime under it cannot be started.
    #[error("the read model cannot be started: {0}")]
    Start(#[from] std::io::Error),
}

impl Error {
    pub(crate) fn beyond_the_end(partition: u32, position: Offset, end: Offset) -> Self {
        let reason = format!(
            "it has partition {partition} of orders up to {position}, and the log ends at {end}"
        );
        Error::OtherLog { reason }
    }
}
