//! Who waits for which durable position.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

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

/// What a waiting future and the callback that ends its wait share.
#[derive(Default)]
struct Wait {
    result: Option<Result<(), Error>>,
    waker: Option<Waker>,
}

/// Waits, without blocking a thread, until what `register` hands over is called.
pub(crate) async fn until_due(
    register: impl FnOnce(OnDurable) -> Option<Due>,
) -> Result<(), Error> {
    let wait = Arc::new(Mutex::new(Wait::default()));
    let ended = Arc::clone(&wait);
    let then = move |result| {
        let mut wait = ended.lock().unwrap_or_else(PoisonError::into_inner);
        wait.result = Some(result);
        let waker = wait.waker.take();
        drop(wait);
        waker.into_iter().for_each(Waker::wake);
    };
    call(register(Box::new(then)));
    poll_fn(|context| {
        let mut wait = wait.lock().unwrap_or_else(PoisonError::into_inner);
        match wait.result.take() {
            Some(result) => Poll::Ready(result),
            None => {
                wait.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    })
    .await
}
