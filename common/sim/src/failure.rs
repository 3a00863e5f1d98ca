//! What a run can come to but success.

use std::fmt;

/// Names what was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InvariantId(pub &'static str);

impl fmt::Display for InvariantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

/// Each committed record of a source is taken once by a group, in its order.
pub const EXACTLY_ONCE: InvariantId = InvariantId("EXACTLY-ONCE");
/// The same inputs, cut into other batches, give the same outputs and state.
pub const REPLAY: InvariantId = InvariantId("INV-8");
/// What an owner's stores hold is what its task has committed.
pub const STORE: InvariantId = InvariantId("STORE");
/// No worker stops for good while what it works with is sound.
pub const WORKER_STOPPED: InvariantId = InvariantId("WORKER-STOPPED");
/// Once nothing fails any more, everything that was begun comes to an end.
pub const REST: InvariantId = InvariantId("REST");
/// Nothing panics.
pub const NO_PANIC: InvariantId = InvariantId("NO-PANIC");

/// An invariant that does not hold, and what shows it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {detail}")]
pub struct Violation {
    /// The invariant.
    pub invariant: InvariantId,
    /// What was found, with its values.
    pub detail: String,
}

impl Violation {
    /// The violation of an invariant that this shows.
    pub fn new(invariant: InvariantId, detail: impl Into<String>) -> Self {
        Violation { invariant, detail: detail.into() }
    }
}

/// What a violation means: who looks into it starts elsewhere for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Something panicked.
    Crash,
    /// Something never came to an end.
    Liveness,
    /// Something came to a wrong one.
    Correctness,
}

impl Violation {
    /// What the violation means.
    pub fn kind(&self) -> FailureKind {
        match self.invariant {
            NO_PANIC => FailureKind::Crash,
            REST => FailureKind::Liveness,
            _ => FailureKind::Correctness,
        }
    }
}
