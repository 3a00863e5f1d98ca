//! Who waits for which durable position.

use std::collections::BTreeMap;

use streams::CommitPosition;

use crate::error::Error;
use crate::log::OnDurable;

/// The durable position, and what is to be called when it has come far enough.
#[derive(Default)]
pub(crate) struct Waiting {
    durable: CommitPosition,
    /// Why the durable position will never move again.
    failure: Option<Error>,
    callbacks: BTreeMap<CommitPosition, Vec<OnDurable>>,
}

/// A callback that is due, and what to call it with. Whoever holds a lock calls it after letting
/// go of the lock.
pub type Due = (OnDurable, Result<(), Error>);

impl Waiting {
    pub(crate) fn durable(&self) -> CommitPosition {
        self.durable
    }

    pub(crate) fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    /// Keeps a callback until it is due; gives it back where it is due at once.
    pub(crate) fn add(&mut self, position: CommitPosition, then: OnDurable) -> Option<Due> {
        if position <= self.durable {
            return Some((then, Ok(())));
        }
        if let Some(failure) = &self.failure {
            return Some((then, Err(failure.clone())));
        }
        self.callbacks.entry(position).or_default().push(then);
        None
    }

    /// Moves the durable position, and gives back what is due by that, in order of position.
    /// After a failure it stays: what was being written then has been reported as unknown.
    pub(crate) fn advance(&mut self, durable: CommitPosition) -> Vec<Due> {
        if self.failure.is_some() {
            return Vec::new();
        }
        assert!(durable >= self.durable, "the durable position never goes back");
        self.durable = durable;
        let later = self.callbacks.split_off(&CommitPosition(durable.0 + 1));
        let due = std::mem::replace(&mut self.callbacks, later);
        due.into_values().flatten().map(|then| (then, Ok(()))).collect()
    }

    /// Stops the durable position for good, and gives back everything that waits.
    pub(crate) fn fail(&mut self, error: Error) -> Vec<Due> {
        let error = self.failure.get_or_insert(error).clone();
        let due = std::mem::take(&mut self.callbacks);
        due.into_values().flatten().map(|then| (then, Err(error.clone()))).collect()
    }
}

/// Calls what is due.
pub(crate) fn call(due: impl IntoIterator<Item = Due>) {
    for (then, result) in due {
        then(result);
    }
}
