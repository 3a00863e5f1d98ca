//! The driver: threads that run workers on a log. It does what a worker says and tells it what
//! became of that; whatever decides is in the worker.

mod address;
mod asked;
#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
mod wait;
mod worker_loop;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use eventlog::{Log, Session};
use streams::Topology;

use crate::service::ServiceHandle;
pub(crate) use address::{Command, TablePage, WorkerAddress};
use worker_loop::{Turn, WorkerLoop};

/// How long an idle worker waits at most before it looks around, in milliseconds.
const IDLE_MS_MAX: u64 = 1_000;

/// Why the system stopped by itself.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] eventlog::Error),
    /// A worker cannot go on.
    #[error("{service} stopped: {source}")]
    Worker {
        /// The service.
        service: &'static str,
        /// Why.
        source: streams::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a thread: {reason}")]
    Thread {
        /// What the system said.
        reason: String,
    },
    /// All workers ended without saying why.
    #[error("the workers have ended")]
    Ended,
}

/// The running workers of a process.
#[derive(Debug)]
pub struct Driver {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    wake: Vec<Arc<OnceLock<Thread>>>,
}

/// Starts `threads` threads, each with one worker of each topology, and gives the handle of each
/// service, in the order of the topologies. The first error that stops a worker is sent to
/// `failed`.
///
/// # Errors
/// [`Error`] where the log cannot be joined or a thread cannot be started.
pub fn start<L>(
    log: &L,
    topologies: &[Arc<Topology>],
    threads: usize,
    failed: tokio::sync::mpsc::UnboundedSender<Error>,
) -> Result<(Vec<ServiceHandle>, Driver), Error>
where
    L: Log + Clone,
    L::Session: 'static,
{
    let handles: Vec<ServiceHandle> = topologies
        .iter()
        .map(|topology| ServiceHandle::new(Arc::clone(topology), Arc::new(log.clone())))
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    let mut driver = Driver { stop: Arc::clone(&stop), threads: Vec::new(), wake: Vec::new() };
    for number in 0..threads {
        let thread = Arc::new(OnceLock::new());
        let loops = topologies
            .iter()
            .zip(&handles)
            .map(|(topology, handle)| {
                let topology = Arc::clone(topology);
                WorkerLoop::join(log, topology, handle.owners(), handle.flow(), &thread)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let (stop, failed, own) = (Arc::clone(&stop), failed.clone(), Arc::clone(&thread));
        let handle = std::thread::Builder::new()
            .name(format!("workers-{number}"))
            .spawn(move || {
                let _ = own.set(std::thread::current());
                if let Err(error) = run(loops, &stop) {
                    let _ = failed.send(error);
                }
            })
            .map_err(|error| Error::Thread { reason: error.to_string() })?;
        driver.threads.push(handle);
        driver.wake.push(thread);
    }
    Ok((handles, driver))
}

impl Driver {
    /// Stops the workers after the step they are at, and waits for their threads.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.wake.iter().filter_map(|thread| thread.get()) {
            thread.unpark();
        }
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

/// Gives each worker its turn until told to stop; sleeps when none has anything to do.
fn run<S: Session>(mut loops: Vec<WorkerLoop<S>>, stop: &AtomicBool) -> Result<(), Error> {
    while !stop.load(Ordering::Acquire) {
        let mut idle = Some(Duration::from_millis(IDLE_MS_MAX));
        for worker in &mut loops {
            let turn = worker.turn().map_err(|error| worker.stopped_by(error))?;
            idle = match (idle, turn) {
                (Some(idle), Turn::Idle(for_at_most)) => Some(idle.min(for_at_most)),
                _ => None,
            };
        }
        if let Some(idle) = idle {
            std::thread::park_timeout(idle);
        }
    }
    Ok(())
}
