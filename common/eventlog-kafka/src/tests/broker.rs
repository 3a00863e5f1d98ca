//! The broker that these tests run on.

use std::io::Write;
use std::path::Path;

use crate::Settings;

/// Where the broker is, as an environment variable.
const SERVERS: &str = "KAFKA_BOOTSTRAP_SERVERS";
/// Where this is set, a test without a broker fails.
const REQUIRED: &str = "REQUIRE_KAFKA";

/// A broker that was named to the tests.
pub(super) struct Broker {
    servers: String,
}

impl Broker {
    /// The broker, or `None` where there is none, which is said.
    pub(super) fn find() -> Option<Broker> {
        let servers = std::env::var(SERVERS).ok().filter(|servers| !servers.is_empty());
        if servers.is_none() {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or_default();
            let required = std::env::var(REQUIRED).is_ok_and(|required| required == "1");
            assert!(!required, "{REQUIRED} is 1, but {SERVERS} is not set: {test} cannot run");
            // Past what captures the output of tests that pass.
            let _ = writeln!(
                std::io::stderr(),
                "NOT RUN: {test} needs a Kafka broker, and {SERVERS} is not set"
            );
        }
        servers.map(|servers| Broker { servers })
    }

    /// Settings for a log on it.
    pub(super) fn settings(&self, partitions: u32, state_directory: &Path) -> Settings {
        Settings::new(&self.servers, partitions, state_directory)
    }
}
