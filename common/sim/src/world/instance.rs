//! An instance of a service: a worker, its session, and the driver between them, which does one
//! part of a step at a time.

use std::sync::Arc;

use streams::{
    Answer, Partition, Query, StateBacking, Step, StepResult, Timestamp, Topology, Worker,
};

use crate::failure::{Violation, WORKER_STOPPED};
use crate::log::{Attempt, Place, Request, SessionId, SimulatedLog};
use crate::mutation::Mutation;
use crate::options::Options;
use crate::random::Random;
use crate::trace::Trace;

/// A place where a worker runs, or will run again.
pub(super) struct Instance {
    pub(super) place: Place,
    pub(super) running: Option<Running>,
    /// How far its clock is from the true time, in milliseconds.
    pub(super) skew_ms: i64,
    pub(super) troubles: Troubles,
}

/// What keeps an instance from being what it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Troubles {
    /// Its worker stands still.
    pub(super) stalled: bool,
    /// It does not hear of its group.
    pub(super) cut_off: bool,
}

/// A worker that runs.
pub(super) struct Running {
    pub(super) worker: Worker,
    pub(super) session: SessionId,
    /// What the worker was last told to own.
    pub(super) owned: Vec<Partition>,
    stage: Stage,
    inbox: Vec<Query>,
    /// The news there were when the worker was last woken, or last looked for records.
    news: u64,
}

/// How far the driver is with the worker's step.
enum Stage {
    /// The worker can be asked for its next step.
    Ready,
    /// The step is to be done on the log, or goes on there.
    Said(Step, Option<Arc<Attempt>>),
    /// The worker is to be told.
    Done(StepResult),
    /// The worker waits for news, or for a time.
    Waiting(Wait),
}

/// What a worker waits for.
struct Wait {
    until: Option<Timestamp>,
    /// The news that it knows.
    news: u64,
    /// When it began: a clock that shows an earlier time was set back, and `until` means nothing
    /// any more.
    since: Timestamp,
}

/// What the driver works with.
pub(super) struct Surroundings<'a> {
    pub(super) log: &'a mut dyn SimulatedLog,
    pub(super) random: &'a mut Random,
    pub(super) options: &'a Options,
    pub(super) mutation: Option<Mutation>,
    /// Whether everything goes well from now on.
    pub(super) healed: bool,
    pub(super) trace: &'a mut Trace,
    /// The time by this instance's clock.
    pub(super) now: Timestamp,
}

impl Instance {
    pub(super) fn new(place: Place) -> Self {
        Instance { place, running: None, skew_ms: 0, troubles: Troubles::default() }
    }

    pub(super) fn start(
        &mut self,
        topology: &Arc<Topology>,
        partitions: u32,
        log: &mut dyn SimulatedLog,
    ) {
        let backing: StateBacking = log.backing();
        let worker = Worker::new(Arc::clone(topology), partitions, backing);
        let session = log.join(self.place);
        let (stage, inbox) = (Stage::Ready, Vec::new());
        self.running = Some(Running { worker, session, owned: Vec::new(), stage, inbox, news: 0 });
    }

    /// The time by its own clock.
    pub(super) fn time(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_millis(now.as_millis() + self.skew_ms)
    }

    /// Whether there is anything for it to do.
    pub(super) fn is_runnable(&self, now: Timestamp, news: u64) -> bool {
        let Some(running) = &self.running else { return false };
        if self.troubles.stalled {
            return false;
        }
        let Stage::Waiting(wait) = &running.stage else { return true };
        let now = self.time(now);
        let is_due = wait.until.is_some_and(|until| until <= now) || now < wait.since;
        news != wait.news || is_due || !running.inbox.is_empty()
    }

    /// The true time at which it has to be woken.
    pub(super) fn wakes_at(&self) -> Option<Timestamp> {
        let Stage::Waiting(wait) = &self.running.as_ref()?.stage else { return None };
        wait.until.map(|until| Timestamp::from_millis(until.as_millis() - self.skew_ms))
    }

    /// Whether its worker still has queries that nobody waits for: their deadlines may be far ahead
    /// of a clock that was set back.
    pub(super) fn has_open_queries(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.worker.open_queries() > 0)
    }
}

impl Running {
    /// The worker hears of a query as soon as its driver listens.
    pub(super) fn ask(&mut self, query: Query) {
        self.inbox.push(query);
    }

    /// Does the next part of the worker's step. Whether a step is finished.
    pub(super) fn part(
        &mut self,
        place: Place,
        with: &mut Surroundings<'_>,
    ) -> Result<bool, Violation> {
        match std::mem::replace(&mut self.stage, Stage::Ready) {
            Stage::Ready => self.say(place, with)?,
            Stage::Said(step, attempt) => self.perform(place, (step, attempt), with)?,
            Stage::Done(result) => {
                let state = with.log.state(self.session);
                self.worker
                    .on_result(result, with.now, &state)
                    .map_err(|error| stopped(place, &error))?;
                return Ok(true);
            }
            Stage::Waiting(_) => {
                self.news = with.log.news();
                self.stage = Stage::Done(StepResult::Done);
            }
        }
        Ok(matches!(self.stage, Stage::Waiting(_)))
    }

    fn say(&mut self, place: Place, with: &mut Surroundings<'_>) -> Result<(), Violation> {
        let assignment = with.log.assignment(self.session);
        self.owned.clone_from(&assignment.partitions);
        self.worker.assign(assignment);
        for query in self.inbox.drain(..) {
            self.worker.query(query);
        }
        let step = {
            let state = with.log.state(self.session);
            self.worker.next_step(with.now, &state).map_err(|error| stopped(place, &error))?
        };
        with.trace.note(|| format!("{place} says {}", brief(&step)));
        self.stage = match step {
            Step::Wait(until) => Stage::Waiting(Wait { until, news: self.news, since: with.now }),
            Step::Continue => Stage::Done(StepResult::Done),
            Step::Commit(batch) => {
                let attempt = Attempt {
                    place,
                    batch: batch.clone(),
                    inputs: self.worker.batch_inputs(),
                    tables: self.worker.tables().positions().collect(),
                    ended_at: with.now,
                };
                Stage::Said(Step::Commit(batch), Some(Arc::new(attempt)))
            }
            step => Stage::Said(step, None),
        };
        Ok(())
    }

    fn perform(
        &mut self,
        place: Place,
        (step, attempt): (Step, Option<Arc<Attempt>>),
        with: &mut Surroundings<'_>,
    ) -> Result<(), Violation> {
        let can_fail = !with.healed && !matches!(step, Step::Commit(_));
        let fails = can_fail && with.random.chance(with.options.step_fails);
        if fails && with.random.below(2) == 0 {
            self.fail(place, with);
            return Ok(());
        }
        if matches!(step, Step::Fetch(_)) {
            self.news = with.log.news();
        }
        let running = self.running_partitions(place, with)?;
        let request = Request {
            session: self.session,
            step: &step,
            attempt: attempt.as_ref(),
            running: &running,
        };
        match with.log.perform(&request, with.random) {
            None => self.stage = Stage::Said(step, attempt),
            Some(_) if fails => self.fail(place, with),
            Some(result) => {
                with.trace.note(|| format!("{place} hears {}", brief_result(&result)));
                self.stage = Stage::Done(result);
            }
        }
        Ok(())
    }

    fn fail(&mut self, place: Place, with: &mut Surroundings<'_>) {
        with.trace.note(|| format!("{place} hears of a failure"));
        self.stage = Stage::Done(StepResult::Failed { reason: "simulated".to_owned() });
    }

    /// The partitions whose tasks run; only a mutation asks for them.
    fn running_partitions(
        &self,
        place: Place,
        with: &Surroundings<'_>,
    ) -> Result<Vec<Partition>, Violation> {
        if with.mutation != Some(Mutation::ReadWithoutLookUp) {
            return Ok(Vec::new());
        }
        let health = self.worker.health(&with.log.state(self.session));
        health.map(|health| health.running).map_err(|error| stopped(place, &error))
    }

    pub(super) fn take_answers(&mut self) -> Vec<Answer> {
        self.worker.take_answers()
    }
}

fn stopped(place: Place, error: &streams::Error) -> Violation {
    Violation::new(WORKER_STOPPED, format!("{place}: {error}"))
}

/// A step in one line.
fn brief(step: &Step) -> String {
    match step {
        Step::Commit(batch) => {
            let tasks = batch.tasks.iter().map(|task| {
                let (outputs, changes) = (task.outputs.len(), task.changes.len());
                let offsets: Vec<_> =
                    task.offsets.iter().map(|(topic, at)| format!("{topic}@{at}")).collect();
                let offsets = offsets.join(" ");
                format!("{}: {outputs} outputs, {changes} changes, {offsets}", task.partition)
            });
            format!("Commit [{}]", tasks.collect::<Vec<_>>().join("; "))
        }
        Step::WriteStores(writes) => {
            let writes = writes.iter().map(|write| {
                let (partition, changes) = (write.partition, write.changes.len());
                format!("{partition}: {changes} changes, up to {}", write.position)
            });
            format!("WriteStores [{}]", writes.collect::<Vec<_>>().join("; "))
        }
        step => format!("{step:?}"),
    }
}

/// The result of a step in one line.
fn brief_result(result: &StepResult) -> String {
    match result {
        StepResult::Fetched(fetched) => {
            let records = fetched.records.iter();
            let records: Vec<String> =
                records.map(|record| format!("{}@{}", record.source, record.offset)).collect();
            format!("Fetched [{}]", records.join(" "))
        }
        StepResult::Changelog(restored) => {
            format!("Changelog: {} changes, up to {}", restored.changes.len(), restored.position)
        }
        result => format!("{result:?}"),
    }
}
