//! What goes wrong, and for how long.

use std::{fmt, ops::RangeInclusive, time::Duration};

use fastrand::Rng;

use crate::cluster::Instance;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// An instance is killed, and comes back with what it has on disk.
    Kill(Instance),
    /// An instance is killed, and comes back with nothing on disk.
    LoseState(Instance),
    /// An instance stops where it is for longer than its group waits for it, and goes on as if
    /// nothing had happened.
    Suspend(Instance),
    /// One more instance comes, and later ends in order.
    Join(Instance),
    /// The broker ends in order while nobody commits, and comes back with what it has on disk. A
    /// single broker may not survive a sudden death, or an end in the middle of commits: see ADR
    /// 006.
    RestartBroker,
    /// The broker stops where it is for a while, not for so long that it takes itself for gone.
    SuspendBroker,
}

/// What puts an end to a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cure {
    Launch(Instance),
    Resume(Instance),
    End(Instance),
    StartBroker,
    ResumeBroker,
}

impl Fault {
    /// A fault at random, those of instances more often than those of the one broker.
    pub(super) fn any(random: &mut Rng, victim: Instance, newcomer: Instance) -> Self {
        match random.u32(0..100) {
            0..25 => Fault::Kill(victim),
            25..37 => Fault::LoseState(victim),
            37..62 => Fault::Suspend(victim),
            62..80 => Fault::Join(newcomer),
            80..90 => Fault::RestartBroker,
            _ => Fault::SuspendBroker,
        }
    }

    /// What it is counted as.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Fault::Kill(_) => "kill",
            Fault::LoseState(_) => "loseState",
            Fault::Suspend(_) => "suspend",
            Fault::Join(_) => "join",
            Fault::RestartBroker => "restartBroker",
            Fault::SuspendBroker => "suspendBroker",
        }
    }

    /// What puts an end to it.
    pub(super) const fn cure(self) -> Cure {
        match self {
            Fault::Kill(instance) | Fault::LoseState(instance) => Cure::Launch(instance),
            Fault::Suspend(instance) => Cure::Resume(instance),
            Fault::Join(instance) => Cure::End(instance),
            Fault::RestartBroker => Cure::StartBroker,
            Fault::SuspendBroker => Cure::ResumeBroker,
        }
    }

    /// How long it lasts, at random.
    pub(super) fn duration(self, random: &mut Rng) -> Duration {
        Duration::from_millis(random.u64(self.duration_ms()))
    }

    const fn duration_ms(self) -> RangeInclusive<u64> {
        match self {
            Fault::Kill(_) | Fault::LoseState(_) | Fault::RestartBroker => 0..=4_000,
            // A member is taken for gone after 6 s.
            Fault::Suspend(_) => 6_500..=14_000,
            Fault::Join(_) => 3_000..=15_000,
            // A broker is taken for gone after 9 s.
            Fault::SuspendBroker => 500..=7_000,
        }
    }
}

impl Cure {
    /// The instance that is in trouble until then; `None` where it is the broker.
    pub(super) const fn instance(self) -> Option<Instance> {
        match self {
            Cure::Launch(instance) | Cure::Resume(instance) | Cure::End(instance) => Some(instance),
            Cure::StartBroker | Cure::ResumeBroker => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Kill(instance) => write!(formatter, "{instance} is killed"),
            Fault::LoseState(instance) => {
                write!(formatter, "{instance} is killed and loses its state")
            }
            Fault::Suspend(instance) => write!(formatter, "{instance} stops where it is"),
            Fault::Join(instance) => write!(formatter, "{instance} joins"),
            Fault::RestartBroker => formatter.write_str("the broker is stopped"),
            Fault::SuspendBroker => formatter.write_str("the broker stops where it is"),
        }
    }
}

impl fmt::Display for Cure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cure::Launch(instance) => write!(formatter, "{instance} is started"),
            Cure::Resume(instance) => write!(formatter, "{instance} goes on"),
            Cure::End(instance) => write!(formatter, "{instance} is ended"),
            Cure::StartBroker => formatter.write_str("the broker is started"),
            Cure::ResumeBroker => formatter.write_str("the broker goes on"),
        }
    }
}
