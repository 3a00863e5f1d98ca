//! A worker with its session and those who ask it.

use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use eventlog::{Log, Membership, Session};
use streams::{
    Answer, CommitPosition, Query, QueryOutcome, Step, StepResult, TableEntry, Timestamp, Topology,
    Worker, WorkerHealth,
};
use tokio::sync::oneshot;
use traces::span::processed;

use super::Error;
use super::address::{Command, TablePage, WorkerAddress};
use super::asked::Asked;
use super::wait::Wait;
use crate::clock;
use crate::commits::Committing;
use crate::flow::Flow;
use crate::owners::Owners;

/// How many records one fetch brings at most.
const FETCH_RECORDS_MAX: usize = 4_000;
/// How many steps a worker takes before the next worker of its thread has its turn.
const STEPS_A_TURN_MAX: usize = 64;
/// How long after the log could not say the assignment it is asked again, in milliseconds.
const ASSIGNMENT_RETRY_MS: u64 = 100;

/// What a turn came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There is more to do.
    Busy,
    /// Nothing to do before this has passed, unless the bell rings.
    Idle(Duration),
}

/// A worker with its session and those who wait for its answers.
pub(super) struct WorkerLoop<S> {
    service: &'static str,
    pub(super) worker: Worker,
    session: S,
    address: WorkerAddress,
    commands: Receiver<Command>,
    owners: Arc<Owners>,
    flow: Arc<Flow>,
    /// Of the assignment that the worker was told last; 0 before the first.
    generation: u64,
    /// The log could not say the assignment.
    assignment_retry: Option<Wait>,
    /// The worker has said that it waits.
    waits: Option<Wait>,
    /// When the worker began with the batch that is open.
    batch_began: Option<SystemTime>,
    asked: Asked,
}

impl<S: Session> WorkerLoop<S> {
    /// Joins the service's group, and lets the service's clients know the way to the worker.
    pub(super) fn join<L: Log<Session = S>>(
        log: &L,
        topology: Arc<Topology>,
        owners: Arc<Owners>,
        flow: Arc<Flow>,
        thread: &Arc<OnceLock<Thread>>,
    ) -> Result<Self, Error> {
        let (address, commands) = WorkerAddress::new(thread);
        let membership = Membership {
            group: topology.name(),
            sources: topology.sources().chain(topology.tables()).collect(),
        };
        let session = log.join(membership, address.waker())?;
        owners.add(&address);
        // Known from the start, so that a first dead letter is seen as one more.
        flow.written([(topology.dead_letters(), 0)]);
        Ok(WorkerLoop {
            service: topology.name(),
            worker: Worker::new(topology, log.partitions(), session.state_backing()),
            session,
            address,
            commands,
            owners,
            flow,
            generation: 0,
            assignment_retry: None,
            waits: None,
            batch_began: None,
            asked: Asked::default(),
        })
    }

    pub(super) fn stopped_by(&self, source: streams::Error) -> Error {
        Error::Worker { service: self.service, source }
    }

    /// Does what the worker says until it waits, or its turn is over.
    pub(super) fn turn(&mut self) -> Result<Turn, streams::Error> {
        self.turn_of(STEPS_A_TURN_MAX)
    }

    /// A turn of at most so many steps.
    pub(super) fn turn_of(&mut self, steps_max: usize) -> Result<Turn, streams::Error> {
        let rung = self.address.was_rung();
        let now = clock::now();
        let retry_due = self.assignment_retry.is_some_and(|retry| retry.is_over(now));
        if let Some(wait) = self.waits {
            if !rung && !retry_due && !wait.is_over(now) {
                self.forget_gone(now);
                return Ok(self.idle(wait, now));
            }
            self.waits = None;
            self.worker.on_result(StepResult::Done, now, &self.session)?;
        }
        if retry_due {
            self.take_assignment(now);
        }
        if rung {
            self.listen()?;
        }
        self.forget_gone(now);
        for _ in 0..steps_max {
            let began = clock::precise();
            let now = clock::timestamp(began);
            let step = self.worker.next_step(now, &self.session)?;
            let batch_began = self.batch_began.take().unwrap_or(began);
            self.release_answers();
            if let Step::Wait(until) = step {
                let wait = Wait { until, since: now };
                self.waits = Some(wait);
                return Ok(self.idle(wait, now));
            }
            let is_commit = matches!(step, Step::Commit(_));
            self.batch_began = matches!(step, Step::Continue).then_some(batch_began);
            let result = self.execute(step, batch_began);
            self.worker.on_result(result, clock::now(), &self.session)?;
            // A commit may take milliseconds: nobody waits for more than one.
            if is_commit && self.address.was_rung() {
                self.listen()?;
            }
        }
        Ok(Turn::Busy)
    }

    /// Hears what there is when the bell has rung.
    fn listen(&mut self) -> Result<(), streams::Error> {
        if self.assignment_retry.is_none() {
            self.take_assignment(clock::now());
        }
        // The turn before may have ended after a fetch that brought nothing, without a wait.
        self.worker.news();
        self.take_commands()
    }

    fn idle(&self, wait: Wait, now: Timestamp) -> Turn {
        let rest = wait.rest(now);
        Turn::Idle(self.assignment_retry.map_or(rest, |retry| rest.min(retry.rest(now))))
    }

    fn take_assignment(&mut self, now: Timestamp) {
        self.assignment_retry = None;
        match self.session.assignment() {
            Ok(assignment) if assignment.generation != self.generation => {
                self.generation = assignment.generation;
                self.owners.set(&assignment.partitions, &self.address);
                self.worker.assign(assignment);
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(service = self.service, %error, "assignment not known");
                // The log rings for a change once.
                self.assignment_retry = Some(Wait::of_millis(ASSIGNMENT_RETRY_MS, now));
            }
        }
    }

    /// Drops the queries of clients that have gone, each of which could wait for a minute.
    fn forget_gone(&mut self, now: Timestamp) {
        for query in self.asked.gone(now) {
            self.worker.forget(query);
        }
    }

    fn take_commands(&mut self) -> Result<(), streams::Error> {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Query { query, respond }) => self.ask(query, respond),
                Ok(Command::TablePage { page, respond }) => self.page(&page, respond),
                Ok(Command::Health { respond }) => self.health(respond)?,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return Ok(()),
            }
        }
    }

    fn ask(&mut self, query: Query, respond: oneshot::Sender<QueryOutcome>) {
        let id = self.asked.add(respond);
        self.worker.query(Query { id, ..query });
    }

    /// While the tables are not read a page would lack entries, so it is not answered: `respond` is
    /// dropped, which whoever waits sees.
    fn page(&self, page: &TablePage, respond: oneshot::Sender<Vec<(Bytes, TableEntry)>>) {
        if self.worker.tables_read() {
            let (entries, position) = self.worker.table_page(page.table, &page.after, page.limit);
            self.when_durable(position, move || {
                let _ = respond.send(entries);
            });
        }
    }

    fn health(&self, respond: oneshot::Sender<Option<WorkerHealth>>) -> Result<(), streams::Error> {
        let health = self.worker.health(&self.session)?;
        let is_assigned = self.generation > 0;
        // A disk that stands still shows as a worker that does not answer.
        self.when_durable(health.as_of, move || {
            let _ = respond.send(is_assigned.then_some(health));
        });
        Ok(())
    }

    /// Sends each answer once what it shows is durable.
    fn release_answers(&mut self) {
        for Answer { query, outcome, position } in self.worker.take_answers() {
            if let Some(respond) = self.asked.take(query) {
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

    /// Does a step on the log. The batch that a commit is of began at this time.
    fn execute(&mut self, step: Step, batch_began: SystemTime) -> StepResult {
        let session = &mut self.session;
        let result = match step {
            Step::Open => session.open().map(|()| StepResult::Done),
            Step::LoadPositions(partitions) => {
                session.positions(&partitions).map(StepResult::Positions)
            }
            Step::LookUpEnds(of) => session.ends(&of).map(StepResult::Ends),
            Step::ReadChangelog { partition, from } => {
                session.restore(partition, from).map(StepResult::Changelog)
            }
            Step::WriteStores(writes) => session.store(writes).map(|()| StepResult::Done),
            Step::WipeStore(partition) => session.wipe(partition).map(|()| StepResult::Done),
            Step::Fetch(from) => session.fetch(&from, FETCH_RECORDS_MAX).map(|fetched| {
                self.flow.read(fetched.records.iter().map(|record| record.source.topic));
                StepResult::Fetched(fetched)
            }),
            Step::Commit(batch) => {
                let worker = &self.worker;
                let committing = Committing::begin(&self.flow, &batch, worker.batch_records())
                    .traced(batch_began, || processed(self.service, worker.batch_taken(), &batch));
                let outcome = session.commit(batch);
                committing.end(&outcome);
                Ok(StepResult::Committed(outcome))
            }
            Step::Continue | Step::Wait(_) => Ok(StepResult::Done),
        };
        result.unwrap_or_else(|error| match error {
            error @ eventlog::Error::OutOfRange { .. } => {
                StepResult::OutOfRange { reason: error.to_string() }
            }
            error => StepResult::Failed { reason: error.to_string() },
        })
    }
}
