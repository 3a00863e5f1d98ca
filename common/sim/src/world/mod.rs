//! A world: instances of services on a log, clients, and chance, which decides what comes next.

mod calls;
mod faults;
mod instance;
mod rest;

use std::sync::Arc;

use streams::{Timestamp, Topology};

use crate::checkers::{CommittedState, ExactlyOnce, Replay};
use crate::failure::Violation;
use crate::log::{Attempt, Decided, EmbeddedLog, KafkaLog, Place, SimulatedLog};
use crate::mutation::Mutation;
use crate::options::{Mode, Options};
use crate::random::Random;
use crate::trace::Trace;
use crate::workload::Workload;
use calls::Calls;
use instance::{Instance, Surroundings};

/// When a simulation begins: 2026-01-01T00:00:00Z.
const BEGINNING: Timestamp = Timestamp::from_millis(1_767_225_600_000);

/// How many steps each call may take before the troubles are over.
const STEPS_A_CALL_MAX: u64 = 1_000;

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Steps of the scheduler.
    pub steps: u64,
    /// Commits that hold.
    pub commits: u64,
    /// Records and ticks that they took.
    pub events: u64,
    /// Calls that clients made.
    pub calls: u64,
}

/// A simulated world.
pub(crate) struct World<W> {
    options: Options,
    mutation: Option<Mutation>,
    random: Random,
    now: Timestamp,
    log: Box<dyn SimulatedLog>,
    services: Vec<Arc<Topology>>,
    instances: Vec<Instance>,
    calls: Calls,
    workload: W,
    exactly_once: ExactlyOnce,
    replay: Replay,
    state: CommittedState,
    healed: bool,
    report: Report,
    trace: Trace,
}

impl<W: Workload> World<W> {
    pub(crate) fn new(
        options: Options,
        mutation: Option<Mutation>,
        random: Random,
        workload: W,
        trace: Trace,
    ) -> Self {
        let services = workload.services();
        let topics = workload.topics();
        let log: Box<dyn SimulatedLog> = match options.mode {
            Mode::Embedded => {
                Box::new(EmbeddedLog::new(topics, services.clone(), options.clone(), mutation))
            }
            Mode::Kafka => Box::new(KafkaLog::new(topics, &services, options.clone(), mutation)),
        };
        let places = (0..services.len()).flat_map(|service| {
            let at = move |instance| Place { service, instance };
            (0..options.instances as usize).map(at)
        });
        World {
            instances: places.map(Instance::new).collect(),
            options,
            mutation,
            random,
            now: BEGINNING,
            log,
            services,
            calls: Calls::default(),
            workload,
            exactly_once: ExactlyOnce::default(),
            replay: Replay::default(),
            state: CommittedState::default(),
            healed: false,
            report: Report::default(),
            trace,
        }
    }

    /// Runs until all calls are answered, whatever happens, then without any trouble until
    /// everything has come to rest.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        for index in 0..self.instances.len() {
            self.recover(index);
        }
        let steps_max = self.options.calls * STEPS_A_CALL_MAX;
        while self.report.steps < steps_max
            && (self.calls.begun() < self.options.calls || self.calls.open() > 0)
        {
            self.step()?;
        }
        self.settle()
    }

    pub(crate) fn report(&self) -> Report {
        Report { calls: self.calls.begun(), ..self.report }
    }

    pub(crate) fn into_trace(self) -> Trace {
        self.trace
    }

    fn step(&mut self) -> Result<(), Violation> {
        self.report.steps += 1;
        self.now = self.now + self.random.below(self.options.step_ms_max + 1);
        if self.random.chance(self.options.fault) {
            self.fault_step()?;
        } else if self.random.chance(self.options.recovery) {
            self.recovery_step();
        } else if self.random.chance(self.options.background) {
            self.log.background(&mut self.random);
        } else if self.random.chance(self.options.poll) {
            let index = self.random.index(self.instances.len());
            self.poll(index);
        } else if self.random.chance(self.options.client) {
            self.expire_calls();
            self.client_step();
        } else {
            self.worker_step()?;
        }
        self.observe()
    }

    /// An instance that can do something does, up to a whole step of its worker.
    fn worker_step(&mut self) -> Result<(), Violation> {
        let news = self.log.news();
        let is_runnable = |index: &usize| self.instances[*index].is_runnable(self.now, news);
        let runnable: Vec<usize> = (0..self.instances.len()).filter(is_runnable).collect();
        match self.random.pick(&runnable) {
            Some(index) => self.work(*index),
            None => Ok(()),
        }
    }

    /// Does parts of a worker's step until it is done, or others have their turn.
    fn work(&mut self, index: usize) -> Result<(), Violation> {
        loop {
            let instance = &mut self.instances[index];
            let now = instance.time(self.now);
            let Some(running) = &mut instance.running else { return Ok(()) };
            let finished = running.part(
                instance.place,
                &mut Surroundings {
                    log: self.log.as_mut(),
                    random: &mut self.random,
                    options: &self.options,
                    mutation: self.mutation,
                    healed: self.healed,
                    trace: &mut self.trace,
                    now,
                },
            )?;
            self.take_answers(index);
            if finished || self.random.chance(self.options.interleave) {
                return Ok(());
            }
        }
    }

    /// An instance looks at its assignment, where it can. Whether anything changed by it.
    fn poll(&mut self, index: usize) -> bool {
        let instance = &self.instances[index];
        match &instance.running {
            Some(running) if !instance.troubles.cut_off => {
                self.log.poll(running.session, &mut self.random)
            }
            _ => false,
        }
    }

    /// Looks at what holds by now, and tells the clients.
    fn observe(&mut self) -> Result<(), Violation> {
        for decided in self.log.take_decided() {
            match decided {
                Decided::Appended(record) => self.workload.committed(&record)?,
                Decided::Committed(attempt) => self.committed(&attempt)?,
            }
        }
        self.release_answers()?;
        Ok(())
    }

    fn committed(&mut self, attempt: &Arc<Attempt>) -> Result<(), Violation> {
        self.trace.note(|| format!("{} has committed", attempt.place));
        self.exactly_once.committed(attempt, self.log.as_ref())?;
        self.state.committed(attempt);
        self.replay.committed(attempt);
        self.report.commits += 1;
        for (_, inputs) in &attempt.inputs {
            self.report.events += inputs.records.len() as u64 + inputs.ticks;
        }
        for record in attempt.batch.tasks.iter().flat_map(|task| &task.outputs) {
            self.workload.committed(record)?;
        }
        Ok(())
    }
}
