//! The simulated log under the suite that every log must pass: what the simulator shows of the
//! services holds of a log that keeps the same promises as the real ones.

mod simulated;
mod topology;

use eventlog::TopicConfig;
use eventlog::contract::LogFactory;
use simulated::Simulated;

use crate::options::Mode;
use crate::random::Probability;

/// Makes simulated logs.
struct Simulator {
    mode: Mode,
    /// How many commits the log aborts before one holds; nothing else goes wrong.
    aborted: Probability,
}

impl LogFactory for Simulator {
    type Log = Simulated;

    fn make(&self, topics: Vec<TopicConfig>, partitions: u32) -> Simulated {
        Simulated::new((self.mode, self.aborted), topics, partitions)
    }

    fn restart(&self, log: Simulated) -> Option<Simulated> {
        log.restart();
        Some(log)
    }

    fn housekeeping(&self, log: &Simulated) {
        log.clean_up();
    }
}

mod embedded {
    use super::*;

    eventlog::contract_tests!(Simulator { mode: Mode::Embedded, aborted: Probability::NEVER });
}

mod kafka {
    use super::*;

    eventlog::contract_tests!(Simulator { mode: Mode::Kafka, aborted: Probability::NEVER });
}

/// Between the records that hold lie those of aborted commits.
mod kafka_with_aborted_commits {
    use super::*;

    eventlog::contract_tests!(Simulator { mode: Mode::Kafka, aborted: Probability(5_000) });
}
