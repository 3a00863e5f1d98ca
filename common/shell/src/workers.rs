//! The running workers of a process, and the log under them.

use std::sync::Arc;

use eventlog::Log;
use streams::Topology;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinError;

use crate::driver::{self, Driver, Error};
use crate::service::ServiceHandle;

/// The running workers, and the log under them.
#[derive(Debug)]
pub struct Workers<L> {
    log: L,
    driver: Driver,
    failed: UnboundedReceiver<Error>,
}

impl<L> Workers<L>
where
    L: Log + Clone,
    L::Session: 'static,
{
    /// Starts `threads` threads, each with one worker of each topology, and gives the handle of
    /// each service, in the order of the topologies.
    ///
    /// # Errors
    /// [`Error`] where the log cannot be joined or a thread cannot be started.
    pub fn start(
        log: L,
        topologies: &[Arc<Topology>],
        threads: usize,
    ) -> Result<(Vec<ServiceHandle>, Self), Error> {
        let (sender, failed) = unbounded_channel();
        let (services, driver) = driver::start(&log, topologies, threads, sender)?;
        Ok((services, Workers { log, driver, failed }))
    }

    /// The log.
    pub const fn log(&self) -> &L {
        &self.log
    }

    /// Waits until a worker cannot go on, and says why.
    pub async fn failed(&mut self) -> Error {
        self.failed.recv().await.unwrap_or(Error::Ended)
    }

    /// Stops the workers after the step they are at, then closes the log.
    ///
    /// # Errors
    /// [`JoinError`] where closing ended by a fault.
    pub async fn stop(self) -> Result<(), JoinError> {
        let closing = tokio::task::spawn_blocking(move || {
            self.driver.stop();
            drop(self.log);
        });
        closing.await
    }
}
