//! How the log reaches its broker, and the properties of each of its clients.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use krafka::{Kafka, KafkaBuilder};
use rdkafka::ClientConfig;

use crate::error::Error;
use crate::security;
use crate::topics::DELETIONS_KEPT;

/// The longest that a member may leave a rebalance unanswered before the broker takes its
/// partitions away. A session's longest step, a commit that gets no answer, is shorter.
const REBALANCE_MS_MAX: &str = "60000";
/// What the log's clients call themselves.
const CLIENT_ID: &str = "eventlog-kafka";
/// Readers that belong to no group have nothing to answer.
const NEVER_MS: &str = "86400000";

/// Properties that keep the log's promises and are not for others to set.
const FIXED: [&str; 15] = [
    "acks",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "group.remote.assignor",
    "isolation.level",
    "partition.assignment.strategy",
    "transaction.timeout.ms",
    "transactional.id",
];

/// How the log reaches its broker and where it keeps state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `host:port` of one or more brokers, separated by commas.
    pub bootstrap_servers: String,
    /// The number of partitions of every topic.
    pub partitions: u32,
    /// How many copies of a new topic there are; -1 is what the broker has as its default.
    pub replication: i32,
    /// Where state stores are kept. Processes on one machine may share it: each takes a slot.
    pub state_directory: PathBuf,
    /// A state store that was not written for longer is read anew: its changelog may not tell any
    /// more what was deleted meanwhile. Half of the time that it does; the rest is for reading it.
    pub state_age_max: Duration,
    /// How long to wait for a broker at the start.
    pub connect_timeout: Duration,
    /// How long a call waits for the broker's answer: look-ups, positions, requests from outside.
    pub request_timeout: Duration,
    /// How long a commit waits for the broker before its outcome counts as unknown.
    pub commit_timeout: Duration,
    /// After this the broker aborts a transaction whose owner is gone. Until then readers of what
    /// it wrote to wait.
    pub transaction_timeout: Duration,
    /// How long leaving a group may take at most.
    pub close_timeout: Duration,
    /// How long to wait before purging again what has been consumed.
    pub purge_pause: Duration,
    /// Further properties of librdkafka, for all clients but that of transactions: it takes those
    /// of security and `client.id` only.
    pub properties: BTreeMap<String, String>,
}

impl Settings {
    /// Settings with time-outs that suit brokers nearby.
    pub fn new(
        bootstrap_servers: impl Into<String>,
        partitions: u32,
        state_directory: impl Into<PathBuf>,
    ) -> Self {
        Settings {
            bootstrap_servers: bootstrap_servers.into(),
            partitions,
            replication: -1,
            state_directory: state_directory.into(),
            state_age_max: DELETIONS_KEPT / 2,
            connect_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(10),
            commit_timeout: Duration::from_secs(10),
            transaction_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(3),
            purge_pause: Duration::from_mins(1),
            properties: BTreeMap::new(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let taken = self.properties.keys().find(|name| FIXED.contains(&name.as_str()));
        if let Some(name) = taken {
            let reason = "the log sets it itself".to_owned();
            return Err(Error::Property { name: name.clone(), reason });
        }
        security::of(&self.properties).map(drop)
    }

    /// Properties that the client of transactions goes without.
    pub(crate) fn passed_over(&self) -> Vec<&String> {
        let is_taken = |name: &str| name == "client.id" || security::is_of_security(name);
        self.properties.keys().filter(|name| !is_taken(name)).collect()
    }

    /// What all clients have. Others may set what is here; what is set further below stays.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("client.id", CLIENT_ID)
            // A broker that restarts is found again soon.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000");
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.bootstrap_servers);
        config
    }

    /// A member of a group, which reads nothing. Only `range` gives the same partition of all
    /// topics to the same member: others silently miss joins. The protocol of KIP-848 moves only
    /// those partitions that have to move; this is the one place that chooses it.
    pub(crate) fn member(&self, group: &str) -> ClientConfig {
        let mut config = without_commits(self.client(), group);
        config
            .set("group.protocol", "consumer")
            .set("group.remote.assignor", "range")
            .set("max.poll.interval.ms", REBALANCE_MS_MAX)
            // It is paused at once, but asks where it would begin before that.
            .set("auto.offset.reset", "latest")
            .set("queued.min.messages", "1")
            .set("queued.max.messages.kbytes", "64");
        config
    }

    /// A reader of committed records that assigns partitions to itself. The group is named for
    /// access control only: it is never joined.
    pub(crate) fn reader(&self, group: &str) -> ClientConfig {
        let mut config = self.client();
        if !self.properties.contains_key("queued.max.messages.kbytes") {
            config.set("queued.max.messages.kbytes", "16384");
        }
        config
            // A full queue would stop fetching for a whole second.
            .set("fetch.queue.backoff.ms", "5")
            .set("max.poll.interval.ms", NEVER_MS);
        without_commits(config, group)
    }

    /// The same for a service's changelog, whose partitions are read one after the other: a request
    /// that waits for more at the end of one holds the next one up. Still shorter waits keep the
    /// broker busy where a service has nothing to commit.
    pub(crate) fn reader_of_changelog(&self, group: &str) -> ClientConfig {
        let mut config = self.reader(group);
        config.set("fetch.wait.max.ms", "100");
        config
    }

    /// The same for single records with much behind them that nobody wants: it reads little ahead.
    pub(crate) fn reader_of_single_records(&self, group: &str) -> ClientConfig {
        let mut config = self.reader(group);
        config
            .set("fetch.message.max.bytes", "16384")
            .set("queued.min.messages", "1")
            .set("queued.max.messages.kbytes", "1024");
        config
    }

    /// A client that sees ends as one who reads uncommitted records: a commit is answered before
    /// its markers are written, so the end that the others see may hide it.
    pub(crate) fn ends(&self) -> ClientConfig {
        let mut config = self.client();
        config.set("isolation.level", "read_uncommitted");
        config
    }

    /// A client that sees ends as one who reads committed records.
    pub(crate) fn committed_ends(&self) -> ClientConfig {
        let mut config = self.client();
        config.set("isolation.level", "read_committed");
        config
    }

    /// The client of transactions, which is another library's: of the properties of librdkafka it
    /// has those that say how a broker is reached. What is not answered while a transaction may be
    /// open is not worth waiting for.
    pub(crate) fn transactions(&self) -> Result<KafkaBuilder, Error> {
        let client_id = self.properties.get("client.id").map_or(CLIENT_ID, String::as_str);
        Ok(Kafka::builder(&self.bootstrap_servers)
            .client_id(client_id)
            .security(security::of(&self.properties)?)
            .connect_timeout(self.transaction_timeout)
            .request_timeout(self.transaction_timeout))
    }

    /// The producer of requests from outside. What waits to be sent is bounded: more is refused.
    pub(crate) fn requests(&self) -> ClientConfig {
        let mut config = self.client();
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "0")
            .set("message.timeout.ms", self.request_timeout.as_millis().to_string())
            .set("queue.buffering.max.messages", "20000")
            .set("queue.buffering.max.kbytes", "32768");
        config
    }
}

/// Offsets are committed in transactions or not at all, and a position that is not there is an
/// error: starting somewhere else would lose records or take them twice.
fn without_commits(mut config: ClientConfig, group: &str) -> ClientConfig {
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        // Committed offsets are asked for as stable ones, too: see INTRODUCTION.md of librdkafka.
        .set("isolation.level", "read_committed");
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_of_others_are_passed_on_and_never_those_that_keep_a_promise() {
        let mut settings = Settings::new("broker:9092", 6, "state");
        settings.properties.insert("socket.nagle.disable".into(), "true".into());
        assert_eq!(settings.check(), Ok(()));
        assert_eq!(settings.reader("orders").get("socket.nagle.disable"), Some("true"));
        assert_eq!(settings.passed_over(), ["socket.nagle.disable"]);

        settings.properties.insert("isolation.level".into(), "read_uncommitted".into());
        let refused = settings.check();
        assert!(matches!(refused, Err(Error::Property { name, .. }) if name == "isolation.level"));
    }
}
