//! The log on Kafka keeps the contract, on a real broker.

use std::sync::Mutex;

use eventlog::contract::{LogFactory, STORES};
use eventlog::{RequestLog, TopicConfig};
use streams::TopicName;
use tempfile::TempDir;

use crate::testing::Broker;
use crate::{KafkaLog, Service, Settings};

/// Logs on a broker, each with a state directory of its own.
struct OnBroker {
    broker: &'static Broker,
    kept: Mutex<Vec<Kept>>,
}

/// What it takes to open a log again.
struct Kept {
    _directory: TempDir,
    settings: Settings,
    topics: Vec<TopicConfig>,
    services: Vec<Service>,
}

impl Kept {
    fn connect(&self) -> KafkaLog {
        KafkaLog::connect(self.settings.clone(), &self.topics, &self.services)
            .expect("the broker takes it")
    }
}

fn service(group: &&'static str) -> Service {
    let changelog = TopicName::derived(format!("{group}-changelog"));
    Service { group, changelog, stores: STORES.to_vec() }
}

impl LogFactory for OnBroker {
    type Log = KafkaLog;

    fn make(&self, topics: Vec<TopicConfig>, partitions: u32) -> KafkaLog {
        self.make_for(topics, &[], partitions)
    }

    fn make_for(
        &self,
        topics: Vec<TopicConfig>,
        groups: &[&'static str],
        partitions: u32,
    ) -> KafkaLog {
        let directory = TempDir::new().expect("a directory");
        let settings = self.broker.settings(partitions, directory.path());
        let services = groups.iter().map(service).collect();
        let kept = Kept { _directory: directory, settings, topics, services };
        let log = kept.connect();
        self.kept.lock().expect("no panic").push(kept);
        log
    }

    fn restart(&self, log: KafkaLog) -> Option<KafkaLog> {
        drop(log);
        let kept = self.kept.lock().expect("no panic");
        Some(kept.first()?.connect())
    }

    /// A broker cleans up when it likes.
    fn housekeeping(&self, log: &KafkaLog) {
        assert_eq!(log.health(), Ok(()));
    }
}

fn on_broker(broker: &'static Broker) -> OnBroker {
    OnBroker { broker, kept: Mutex::default() }
}

eventlog::contract_tests!(match Broker::find() {
    Some(broker) => on_broker(broker),
    None => return,
});
