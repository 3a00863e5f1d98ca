//! Runs seeds one after the other and tells about it.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use sim::{Failure, FailureKind, Report, Setup};

use super::options::Cli;
use super::{Endings, Shop};

/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(5);

/// Runs what the command line says. What it comes to is the exit code.
///
/// # Errors
/// Where nothing can be written.
pub fn run(cli: &Cli, out: &mut impl Write) -> io::Result<u8> {
    if let Some(seed) = cli.seed {
        return run_seed(cli, seed, out);
    }
    let from = cli.seeds.as_ref().map_or(0, |seeds| seeds.start);
    let until = cli.seeds.as_ref().map(|seeds| seeds.end);
    let seconds = cli.seconds.or(if until.is_some() { None } else { Some(60) });
    let mut told = Told::new(seconds);
    writeln!(out, "seeds from {from}, {:?}, mutation {:?}", cli.mode, cli.mutation)?;
    let mut seed = from;
    while until.is_none_or(|until| seed < until) && !told.is_over() {
        for mode in cli.mode.modes() {
            let setup = Setup { seed, mode: *mode, mutation: cli.mutation };
            match sim::run(setup, |options, random| Shop::new(options, random, &told.endings)) {
                Ok(report) => told.count(report),
                Err(failure) => {
                    told.tell(out, seed)?;
                    return tell_failure(&failure, out);
                }
            }
        }
        seed += 1;
        told.tell_sometimes(out, seed)?;
    }
    told.tell(out, seed)?;
    writeln!(out, "{}", told.endings)?;
    writeln!(out, "seeds {from}..{seed}: no violation")?;
    Ok(0)
}

fn run_seed(cli: &Cli, seed: u64, out: &mut impl Write) -> io::Result<u8> {
    for mode in cli.mode.modes() {
        let setup = Setup { seed, mode: *mode, mutation: cli.mutation };
        writeln!(out, "seed {seed}, {}: {:?}", mode.name(), setup.options())?;
        let endings = Endings::default();
        match sim::run(setup, |options, random| Shop::new(options, random, &endings)) {
            Ok(report) => writeln!(out, "no violation: {report:?}, {endings}")?,
            Err(failure) => return tell_failure(&failure, out),
        }
    }
    Ok(0)
}

/// What happened last, what is broken, and how to see it again.
fn tell_failure(failure: &Failure, out: &mut impl Write) -> io::Result<u8> {
    let Setup { seed, mode, mutation } = failure.setup;
    for event in &failure.trace {
        writeln!(out, "{event}")?;
    }
    writeln!(out, "options: {:?}", failure.setup.options())?;
    writeln!(out, "FAILED {failure}")?;
    let mutation = mutation.map(|mutation| format!(" --mutation {mutation}")).unwrap_or_default();
    writeln!(out, "{} {seed} --mode {}{mutation}", command(), mode.name())?;
    Ok(exit_code(failure.violation.kind()))
}

/// The command that replays a seed, without its arguments.
const fn command() -> &'static str {
    "cargo run --release -p e2e-tests --bin sim --"
}

const fn exit_code(kind: FailureKind) -> u8 {
    match kind {
        FailureKind::Crash => 3,
        FailureKind::Liveness => 4,
        FailureKind::Correctness => 5,
    }
}

/// What has been done so far.
struct Told {
    began_at: Instant,
    last: Instant,
    seconds: Option<u64>,
    runs: u64,
    events: u64,
    endings: Endings,
}

impl Told {
    fn new(seconds: Option<u64>) -> Self {
        let now = now();
        Told { began_at: now, last: now, seconds, runs: 0, events: 0, endings: Endings::default() }
    }

    fn count(&mut self, report: Report) {
        self.runs += 1;
        self.events += report.events;
    }

    fn is_over(&self) -> bool {
        self.seconds.is_some_and(|seconds| self.began_at.elapsed().as_secs() >= seconds)
    }

    fn tell_sometimes(&mut self, out: &mut impl Write, seed: u64) -> io::Result<()> {
        if self.last.elapsed() < PROGRESS {
            return Ok(());
        }
        self.last = now();
        self.tell(out, seed)
    }

    fn tell(&self, out: &mut impl Write, seed: u64) -> io::Result<()> {
        let elapsed = self.began_at.elapsed();
        let rate = self.events as f64 / elapsed.as_secs_f64();
        let (runs, events, seconds) = (self.runs, self.events, elapsed.as_secs());
        writeln!(
            out,
            "before seed {seed}: {runs} runs, {events} events in {seconds} s, {rate:.0} a second"
        )?;
        out.flush()
    }
}

#[expect(clippy::disallowed_methods, reason = "how fast seeds are run is real time")]
fn now() -> Instant {
    Instant::now()
}
