//! What a run is like: sizes, and how likely each kind of trouble is, drawn from its seed.

use crate::random::{Probability, Random};

/// Which log the workers run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// One process with all services, on one log whose durable position is behind the committed
    /// one, until a power cut.
    Embedded,
    /// Each instance of a service a process of its own, with local stores beside a log of brokers.
    Kafka,
}

impl Mode {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Embedded => "embedded",
            Mode::Kafka => "kafka",
        }
    }
}

/// All options of a run. Probabilities are those of one step of the scheduler, of one request to
/// the log, or of one fault where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Which log.
    pub mode: Mode,
    /// Partitions of every topic.
    pub partitions: u32,
    /// Instances of each service.
    pub instances: u32,
    /// How many calls clients make in all.
    pub calls: u64,
    /// How many calls are open at once at most.
    pub clients: u64,
    /// How many records one fetch brings at most.
    pub fetch_records: u64,
    /// How far the clock moves on with a step at most, in milliseconds.
    pub step_ms_max: u64,
    /// That the next step is a client's, where one is free.
    pub client: Probability,
    /// That the next step is the log's own: a marker, a sync, an answer that comes late.
    pub background: Probability,
    /// That the next step is an instance's look at its assignment.
    pub poll: Probability,
    /// That the next step is a fault.
    pub fault: Probability,
    /// That the next step takes one trouble away: starts what is dead, wakes what is paused.
    pub recovery: Probability,
    /// That others have their turn between two parts of a worker's step.
    pub interleave: Probability,
    /// That a worker's step fails, with or without effect.
    pub step_fails: Probability,
    /// That a request is not taken, or its answer is lost.
    pub append_fails: Probability,
    /// That a commit ends without a sure answer.
    pub commit_unknown: Probability,
    /// That a commit is aborted by the log.
    pub commit_aborted: Probability,
    /// That a call goes to an instance that need not be the owner.
    pub misrouted: Probability,
    /// How often each kind of fault comes, against the others.
    pub faults: Faults,
}

/// Weights of the kinds of faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// A process dies; on the embedded log that is all there is.
    pub crash: u32,
    /// All processes die at once.
    pub crash_all: u32,
    /// That a process that dies takes its disk with it.
    pub disk_lost: Probability,
    /// That the disk it finds at its start is of another cluster.
    pub disk_foreign: Probability,
    /// A process stands still, and does not know that it did.
    pub pause: u32,
    /// A worker stands still while its instance goes on hearing of its group.
    pub stall: u32,
    /// An instance no longer hears of its group, but reads and writes as before.
    pub cut_off: u32,
    /// An instance leaves its group in order, and comes back later.
    pub leave: u32,
    /// The clock of one instance or of all jumps, in either direction.
    pub clock_jump: u32,
    /// A member is taken for dead.
    pub session_timeout: u32,
    /// An open transaction is ended by the log.
    pub transaction_timeout: u32,
    /// The committed offsets of a group expire.
    pub offsets_expire: u32,
    /// Compacted topics are compacted, consumed records are purged.
    pub clean_up: u32,
}

impl Options {
    /// Draws the options of a run. Each kind of trouble is left out of a third of the runs, so that
    /// rare mixtures come up in their pure form too.
    pub fn draw(mode: Mode, random: &mut Random) -> Self {
        Options {
            mode,
            partitions: random.between(1, 4) as u32,
            instances: random.between(1, 3) as u32,
            calls: random.between(40, 300),
            clients: random.between(1, 16),
            fetch_records: 1 << random.between(0, 8),
            step_ms_max: random.between(1, 20),
            client: Probability(random.between(200, 3_000) as u32),
            background: Probability(random.between(100, 2_000) as u32),
            poll: Probability(random.between(50, 1_500) as u32),
            fault: Probability(1 << random.between(0, 7)),
            recovery: Probability(1 << random.between(2, 8)),
            interleave: Probability(random.between(100, 6_000) as u32),
            step_fails: sometimes(random, 100),
            append_fails: sometimes(random, 500),
            commit_unknown: sometimes(random, 300),
            commit_aborted: sometimes(random, 500),
            misrouted: sometimes(random, 3_000),
            faults: Faults::draw(random),
        }
    }
}

impl Faults {
    fn draw(random: &mut Random) -> Self {
        Faults {
            crash: weight(random),
            crash_all: weight(random),
            disk_lost: sometimes(random, 5_000),
            disk_foreign: sometimes(random, 2_000),
            pause: weight(random),
            stall: weight(random),
            cut_off: weight(random),
            leave: weight(random),
            clock_jump: weight(random),
            session_timeout: weight(random),
            transaction_timeout: weight(random),
            offsets_expire: weight(random),
            clean_up: weight(random),
        }
    }
}

fn sometimes(random: &mut Random, at_most: u64) -> Probability {
    if random.below(3) == 0 {
        Probability::NEVER
    } else {
        Probability(random.between(1, at_most) as u32)
    }
}

fn weight(random: &mut Random) -> u32 {
    if random.below(3) == 0 { 0 } else { random.between(1, 10) as u32 }
}
