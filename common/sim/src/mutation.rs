//! Guards that can be taken out. A simulator that finds nothing may be blind: each mutation is an
//! error that it must find.

use std::fmt;

/// One guard taken out of the log or of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mutation {
    /// A former owner of a partition can still commit for it.
    NoFencing,
    /// Offsets are committed after the outputs and the state, on their own.
    OffsetsOutsideTransaction,
    /// The state is changed before the outputs and the offsets hold.
    StoreBeforeCommit,
    /// A changelog is restored up to its last stable offset, not up to its end.
    RestoreToLastStable,
    /// Answers leave before what they show is on disk.
    AnswerBeforeSync,
    /// A commit whose outcome is not known is taken as one that did not happen.
    UnknownTakenAsAborted,
    /// A read is answered without a look at the end of the changelog and of the requests.
    ReadWithoutLookUp,
    /// Committed offsets are read while a transaction that carries newer ones is open.
    UnstableOffsets,
    /// A session that lost a partition and has it again is never told of the loss.
    LossUntold,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Mutation; 9] = [
        Mutation::NoFencing,
        Mutation::OffsetsOutsideTransaction,
        Mutation::StoreBeforeCommit,
        Mutation::RestoreToLastStable,
        Mutation::AnswerBeforeSync,
        Mutation::UnknownTakenAsAborted,
        Mutation::ReadWithoutLookUp,
        Mutation::UnstableOffsets,
        Mutation::LossUntold,
    ];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Mutation::NoFencing => "no-fencing",
            Mutation::OffsetsOutsideTransaction => "offsets-outside-transaction",
            Mutation::StoreBeforeCommit => "store-before-commit",
            Mutation::RestoreToLastStable => "restore-to-last-stable",
            Mutation::AnswerBeforeSync => "answer-before-sync",
            Mutation::UnknownTakenAsAborted => "unknown-taken-as-aborted",
            Mutation::ReadWithoutLookUp => "read-without-look-up",
            Mutation::UnstableOffsets => "unstable-offsets",
            Mutation::LossUntold => "loss-untold",
        }
    }
}

impl fmt::Display for Mutation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
