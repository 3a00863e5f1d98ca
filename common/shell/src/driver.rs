//! The driver: threads that run workers on a log. It does what a worker says and tells it what
//! became of that; whatever decides is in the worker.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use bytes::Bytes;
use eventlog::{Log, Membership, Session};
use streams::{
    Answer, CommitPosition, Query, QueryId, QueryOutcome, Step, StepResult, TableEntry, Timestamp,
    TopicName, Topology, Worker, WorkerHealth,
};
use tokio::sync::oneshot;

use crate::clock;
use crate::service::{Owners, ServiceHandle};

/// How many records one fetch brings at most.
const FETCH_RECORDS_MAX: usize = 4_000;
/// How many steps a worker takes before the next worker of its thread has its turn.
const STEPS_A_TURN_MAX: usize = 64;
/// How long an idle thread sleeps at most before it looks around.
const IDLE_MAX: Duration = Duration::from_secs(1);

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
}

/// What is asked of a worker from outside its thread.
pub(crate) enum Command {
    /// Read entries; `id` is given by the worker's loop.
    Query { query: Query, respond: oneshot::Sender<QueryOutcome> },
    /// Read a page of a table.
    TablePage { page: TablePage, respond: oneshot::Sender<Vec<(Bytes, TableEntry)>> },
    /// Say how the worker is doing.
    Health { respond: oneshot::Sender<WorkerHealth> },
}

/// A page of a table: entries with keys after `after`.
pub(crate) struct TablePage {
    pub(crate) table: TopicName,
    pub(crate) after: Bytes,
    pub(crate) limit: usize,
}

/// The way to a worker: its commands, and the bell that makes its thread look at them.
#[derive(Clone)]
pub(crate) struct WorkerAddress {
    commands: Sender<Command>,
    bell: Arc<Bell>,
}

impl WorkerAddress {
    /// Sends a command; `false` where the worker has stopped.
    pub(crate) fn send(&self, command: Command) -> bool {
        let sent = self.commands.send(command).is_ok();
        self.bell.ring();
        sent
    }

    /// Whether both are the way to the same worker.
    pub(crate) fn is_same_as(&self, other: &WorkerAddress) -> bool {
        Arc::ptr_eq(&self.bell, &other.bell)
    }
}

/// Tells a worker that there may be something new, and wakes its thread.
struct Bell {
    rung: AtomicBool,
    thread: Arc<OnceLock<Thread>>,
}

impl Bell {
    fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    fn was_rung(&self) -> bool {
        self.rung.swap(false, Ordering::Acquire)
    }
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
        .map(|topology| ServiceHandle::new(topology.name(), Arc::new(log.clone())))
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    let mut driver = Driver { stop: Arc::clone(&stop), threads: Vec::new(), wake: Vec::new() };
    for number in 0..threads {
        let thread = Arc::new(OnceLock::new());
        let loops = topologies
            .iter()
            .zip(&handles)
            .map(|(topology, handle)| {
                WorkerLoop::join(log, Arc::clone(topology), handle.owners(), &thread)
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
        let mut idle = Some(IDLE_MAX);
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

enum Turn {
    /// There is more to do.
    Busy,
    /// Nothing to do before this has passed, unless the bell rings.
    Idle(Duration),
}

/// What an idle worker waits for, besides its bell.
#[derive(Clone, Copy)]
struct Wait {
    /// It wants to be woken then.
    until: Option<Timestamp>,
    /// When it said so. A clock that shows an earlier time was set back, and `until` means nothing
    /// any more.
    since: Timestamp,
}

impl Wait {
    fn is_over(self, now: Timestamp) -> bool {
        now < self.since || self.until.is_some_and(|until| until <= now)
    }

    /// How long it may sleep before it looks around.
    fn rest(self, now: Timestamp) -> Duration {
        let until = self.until.map(|until| Duration::from_millis(until.millis_since(now)));
        until.unwrap_or(IDLE_MAX).min(IDLE_MAX)
    }
}

/// A worker with its session and those who wait for its answers.
struct WorkerLoop<S> {
    service: &'static str,
    worker: Worker,
    session: S,
    address: WorkerAddress,
    commands: Receiver<Command>,
    owners: Arc<Owners>,
    generation: u64,
    /// The worker has said that it waits.
    waits: Option<Wait>,
    asked: HashMap<QueryId, oneshot::Sender<QueryOutcome>>,
    next_query: u64,
}

impl<S: Session> WorkerLoop<S> {
    fn join<L: Log<Session = S>>(
        log: &L,
        topology: Arc<Topology>,
        owners: Arc<Owners>,
        thread: &Arc<OnceLock<Thread>>,
    ) -> Result<Self, Error> {
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), thread: Arc::clone(thread) });
        let waker = Arc::clone(&bell);
        let membership = Membership {
            group: topology.name(),
            sources: topology.sources().chain(topology.tables()).collect(),
        };
        let session = log.join(membership, Arc::new(move || waker.ring()))?;
        let (sender, commands) = channel();
        Ok(WorkerLoop {
            service: topology.name(),
            worker: Worker::new(topology, log.partitions(), session.state_backing()),
            session,
            address: WorkerAddress { commands: sender, bell },
            commands,
            owners,
            generation: 0,
            waits: None,
            asked: HashMap::new(),
            next_query: 0,
        })
    }

    fn stopped_by(&self, source: streams::Error) -> Error {
        Error::Worker { service: self.service, source }
    }

    /// Does what the worker says until it waits, or its turn is over.
    fn turn(&mut self) -> Result<Turn, streams::Error> {
        let rung = self.address.bell.was_rung();
        let now = clock::now();
        if let Some(wait) = self.waits {
            if !rung && !wait.is_over(now) {
                return Ok(Turn::Idle(wait.rest(now)));
            }
            self.waits = None;
            self.worker.on_result(StepResult::Done, now, &self.session)?;
        }
        if rung {
            self.take_assignment();
            self.take_commands()?;
        }
        for _ in 0..STEPS_A_TURN_MAX {
            let now = clock::now();
            let step = self.worker.next_step(now, &self.session)?;
            self.release_answers();
            if let Step::Wait(until) = step {
                let wait = Wait { until, since: now };
                self.waits = Some(wait);
                return Ok(Turn::Idle(wait.rest(now)));
            }
            let result = execute(&mut self.session, step);
            self.worker.on_result(result, clock::now(), &self.session)?;
        }
        Ok(Turn::Busy)
    }

    fn take_assignment(&mut self) {
        match self.session.assignment() {
            Ok(assignment) if assignment.generation != self.generation => {
                self.generation = assignment.generation;
                self.owners.set(&assignment.partitions, &self.address);
                self.worker.assign(assignment);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(service = self.service, %error, "assignment not known"),
        }
    }

    fn take_commands(&mut self) -> Result<(), streams::Error> {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Query { query, respond }) => self.ask(query, respond),
                Ok(Command::TablePage { page, respond }) => self.page(&page, respond),
                Ok(Command::Health { respond }) => {
                    let health = self.worker.health(&self.session)?;
                    // A disk that stands still shows as a worker that does not answer.
                    self.when_durable(health.as_of, move || {
                        let _ = respond.send(health);
                    });
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return Ok(()),
            }
        }
    }

    fn ask(&mut self, query: Query, respond: oneshot::Sender<QueryOutcome>) {
        let id = QueryId(self.next_query);
        self.next_query += 1;
        self.asked.insert(id, respond);
        self.worker.query(Query { id, ..query });
    }

    fn page(&mut self, page: &TablePage, respond: oneshot::Sender<Vec<(Bytes, TableEntry)>>) {
        let (entries, position) = self.worker.table_page(page.table, &page.after, page.limit);
        self.when_durable(position, move || {
            let _ = respond.send(entries);
        });
    }

    /// Sends each answer once what it shows is durable.
    fn release_answers(&mut self) {
        for Answer { query, outcome, position } in self.worker.take_answers() {
            if let Some(respond) = self.asked.remove(&query) {
                self.when_durable(position, move || {
                    let _ = respond.send(outcome);
                });
            }
        }
    }

    /// Where the position never becomes durable, `then` is dropped, which whoever waits sees.
    fn when_durable(&self, position: CommitPosition, then: impl FnOnce() + Send + 'static) {
        self.session.when_durable(
            position,
            Box::new(move |durable| {
                if durable.is_ok() {
                    then();
                }
            }),
        );
    }
}

/// Does a step on the log.
fn execute<S: Session>(session: &mut S, step: Step) -> StepResult {
    let result = match step {
        Step::Open => session.open().map(|()| StepResult::Done),
        Step::LoadPositions(partitions) => {
            session.positions(&partitions).map(StepResult::Positions)
        }
        Step::LookUpEnds(of) => session.ends(&of).map(StepResult::Ends),
        Step::ReadChangelog { partition, from } => {
            session.restore(partition, from).map(StepResult::Changelog)
        }
        Step::WriteStore(write) => session.store(write).map(|()| StepResult::Done),
        Step::WipeStore(partition) => session.wipe(partition).map(|()| StepResult::Done),
        Step::Fetch(from) => session.fetch(&from, FETCH_RECORDS_MAX).map(StepResult::Fetched),
        Step::Commit(batch) => Ok(StepResult::Committed(session.commit(batch))),
        Step::Continue | Step::Wait(_) => Ok(StepResult::Done),
    };
    result.unwrap_or_else(|error| match error {
        eventlog::Error::OutOfRange { .. } => StepResult::OutOfRange,
        error => StepResult::Failed { reason: error.to_string() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN_AT: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn a_wait_is_over_at_its_time() {
        let wait = Wait { until: Some(BEGAN_AT + 300), since: BEGAN_AT };
        assert!(!wait.is_over(BEGAN_AT + 299));
        assert_eq!(wait.rest(BEGAN_AT + 299), Duration::from_millis(1));
        assert!(wait.is_over(BEGAN_AT + 300));
    }

    #[test]
    fn a_wait_without_a_time_is_for_the_bell_alone() {
        let wait = Wait { until: None, since: BEGAN_AT };
        assert!(!wait.is_over(BEGAN_AT + 1_000_000));
        assert_eq!(wait.rest(BEGAN_AT + 1_000_000), IDLE_MAX);
    }

    #[test]
    fn a_clock_that_is_set_back_ends_a_wait() {
        let hour = 3_600_000;
        let wait = Wait { until: Some(BEGAN_AT + hour + 300), since: BEGAN_AT + hour };
        assert!(wait.is_over(BEGAN_AT));
    }
}
