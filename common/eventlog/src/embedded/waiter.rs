//! Waiting for durability without blocking a thread.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use streams::CommitPosition;

use crate::embedded::shared::Shared;
use crate::error::Error;
use crate::waiting::call;

/// What a waiting future and the callback that ends its wait share.
#[derive(Default)]
struct Wait {
    result: Option<Result<(), Error>>,
    waker: Option<Waker>,
}

/// Waits until the durable position has reached `position`, or never will.
pub(crate) async fn durable(shared: &Shared, position: CommitPosition) -> Result<(), Error> {
    let wait = Arc::new(Mutex::new(Wait::default()));
    let ended = Arc::clone(&wait);
    let then = move |result| {
        let mut wait = ended.lock().unwrap_or_else(PoisonError::into_inner);
        wait.result = Some(result);
        let waker = wait.waker.take();
        drop(wait);
        waker.into_iter().for_each(Waker::wake);
    };
    let due = shared.lock().core.when_durable(position, Box::new(then));
    call(due);
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
