//! One run: a seed and what it comes to.

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::failure::{NO_PANIC, Violation};
use crate::mutation::Mutation;
use crate::options::{Mode, Options};
use crate::random::Random;
use crate::trace::Trace;
use crate::workload::Workload;
use crate::world::{Report, World};

/// What decides everything about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The seed.
    pub seed: u64,
    /// The log.
    pub mode: Mode,
    /// The guard that is taken out.
    pub mutation: Option<Mutation>,
}

impl Setup {
    /// The options that the seed stands for.
    pub fn options(&self) -> Options {
        Options::draw(self.mode, &mut Random::new(self.seed))
    }
}

/// A run that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How to make the run again.
    pub setup: Setup,
    /// What did not hold.
    pub violation: Violation,
    /// What happened last, oldest first.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setup { seed, mode, .. } = self.setup;
        write!(formatter, "seed {seed}, {}: {}", mode.name(), self.violation)
    }
}

impl std::error::Error for Failure {}

/// Makes a run. `make` gives the workload of these options.
///
/// # Errors
/// [`Failure`] of a run in which something did not hold.
pub fn run<W: Workload>(
    setup: Setup,
    make: impl Fn(&Options, Random) -> W,
) -> Result<Report, Box<Failure>> {
    run_once(setup, &make, Trace::default()).map_err(|_| {
        // Once more, to see what happens on the way.
        match run_once(setup, &make, Trace::on()) {
            Err(failure) => failure,
            Ok(_) => unreachable!("the same seed gives the same run"),
        }
    })
}

/// The first of these seeds that shows that a guard is missing, where one does: it must be clean
/// with the guard, or the simulator finds something else.
///
/// # Errors
/// [`Failure`] of that seed with the guard.
pub fn first_seed_without<W: Workload>(
    mutation: Mutation,
    mode: Mode,
    seeds: Range<u64>,
    make: impl Fn(&Options, Random) -> W,
) -> Result<Option<u64>, Box<Failure>> {
    let run = |seed, mutation| run(Setup { seed, mode, mutation }, &make);
    let mut seeds = seeds;
    let Some(seed) = seeds.find(|seed| run(*seed, Some(mutation)).is_err()) else {
        return Ok(None);
    };
    run(seed, None).map(|_| Some(seed))
}

fn run_once<W: Workload>(
    setup: Setup,
    make: &impl Fn(&Options, Random) -> W,
    trace: Trace,
) -> Result<Report, Box<Failure>> {
    let options = setup.options();
    let mut random = Random::new(setup.seed ^ u64::MAX);
    let workload = make(&options, random.fork());
    let mut world = World::new(options, setup.mutation, random, workload, trace);
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    let violation = match outcome {
        Ok(Ok(())) => return Ok(world.report()),
        Ok(Err(violation)) => violation,
        Err(panic) => Violation::new(NO_PANIC, message_of(panic.as_ref())),
    };
    Err(Box::new(Failure { setup, violation, trace: world.into_trace().into_events() }))
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
