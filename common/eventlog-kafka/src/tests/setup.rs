//! What the tests of this crate are made of: a service with one source, on a log of its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use bytes::Bytes;
use eventlog::contract::unique_name;
use eventlog::{Log, Membership, Retention, Session, TopicConfig};
use streams::{
    CommitBatch, CommitOutcome, Headers, Offset, Partition, ProducedRecord, StateReader,
    StoreChange, StoreName, StoreWrite, TaskCommit, Timestamp, TopicName, TopicPartition,
};
use tempfile::TempDir;

use crate::clock::Deadline;
use crate::testing::Broker;
use crate::{Error, KafkaLog, KafkaSession, Service, Settings};

pub(crate) const PARTITIONS: u32 = 2;
pub(crate) const STORE: StoreName = StoreName::new("stock");
pub(crate) const TASK: Partition = Partition(1);
/// What is to happen happens within this time.
pub(crate) const WITHIN: Duration = Duration::from_secs(30);

/// A service on a log of its own.
pub(crate) struct Setup {
    pub(crate) broker: &'static Broker,
    pub(crate) directory: TempDir,
    pub(crate) requests: TopicName,
    pub(crate) decisions: TopicName,
    pub(crate) service: Service,
}

impl Setup {
    /// A new one, where there is a broker.
    pub(crate) fn find() -> Option<Self> {
        Broker::find().map(Setup::on)
    }

    /// A new one on this broker.
    pub(crate) fn on(broker: &'static Broker) -> Self {
        let [requests, decisions, changelog] =
            ["requests", "decisions", "changelog"].map(|base| TopicName::new(unique_name(base)));
        let service = Service { group: unique_name("group"), changelog, stores: vec![STORE] };
        let directory = TempDir::new().unwrap();
        Setup { broker, directory, requests, decisions, service }
    }

    pub(crate) fn topics(&self) -> Vec<TopicConfig> {
        let topic = |name| TopicConfig { name, retention: Retention::Forever };
        vec![topic(self.requests), topic(self.decisions)]
    }

    pub(crate) fn settings(&self) -> Settings {
        self.broker.settings(PARTITIONS, self.directory.path())
    }

    pub(crate) fn connect(&self) -> KafkaLog {
        self.connect_in(self.directory.path())
    }

    pub(crate) fn connect_in(&self, state_directory: &Path) -> KafkaLog {
        let settings = self.broker.settings(PARTITIONS, state_directory);
        self.connect_with(settings)
    }

    /// As services do, it waits for a broker that has much to do.
    pub(crate) fn connect_with(&self, settings: Settings) -> KafkaLog {
        let deadline = Deadline::after(WITHIN);
        let services = std::slice::from_ref(&self.service);
        loop {
            match KafkaLog::connect(settings.clone(), &self.topics(), services) {
                Err(Error::Unreachable { .. }) if !deadline.has_passed() => {}
                connected => return connected.unwrap(),
            }
        }
    }

    /// A session that is open and owns as many partitions.
    pub(crate) fn join(&self, log: &KafkaLog, count: usize) -> KafkaSession {
        let (wake, woken) = channel();
        let waker = Arc::new(move || wake.send(()).unwrap_or_default());
        let membership = Membership { group: self.service.group, sources: vec![self.requests] };
        let mut session = log.join(membership, waker).unwrap();
        session.open().unwrap();
        while session.assignment().unwrap().partitions.len() != count {
            woken.recv_timeout(WITHIN).unwrap();
        }
        session
    }

    pub(crate) fn changelog(&self) -> TopicPartition {
        TopicPartition::new(self.service.changelog, TASK)
    }

    /// A batch that decides something, changes the store and takes requests up to an offset.
    pub(crate) fn batch(&self, text: &str, taken: u64) -> CommitBatch {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let output = ProducedRecord {
            destination: TopicPartition::new(self.decisions, TASK),
            timestamp: Timestamp::from_millis(1_700_000_000_000),
            key: Some(bytes.clone()),
            value: Some(bytes.clone()),
            headers: Headers::default(),
        };
        let change = StoreChange { store: STORE, key: bytes.clone(), value: Some(bytes) };
        let task = TaskCommit {
            partition: TASK,
            outputs: vec![output],
            changes: vec![change],
            offsets: vec![(self.requests, Offset(taken))],
        };
        CommitBatch { tasks: vec![task] }
    }

    /// Commits such a batch and writes it to the store, as a worker does. Gives the end of the
    /// changelog after it.
    pub(crate) fn commit(&self, session: &mut KafkaSession, text: &str) -> Offset {
        let batch = self.batch(text, 0);
        let changes = batch.tasks[0].changes.clone();
        let outcome = session.commit(batch);
        let CommitOutcome::Committed { changelog_ends, .. } = outcome else {
            panic!("not committed: {outcome:?}");
        };
        let position = changelog_ends[0].1;
        session.store(vec![StoreWrite { partition: TASK, changes, position }]).unwrap();
        position
    }

    /// Reads the changelog to its end, from where the store is. Gives how many changes there were.
    pub(crate) fn restore(&self, session: &mut KafkaSession) -> usize {
        let known = session.positions(&[TASK]).unwrap();
        let mut from = known[0].checkpoint.unwrap_or_default();
        let end = session.ends(&[self.changelog()]).unwrap()[0];
        let mut count = 0;
        while from < end {
            let restored = session.restore(TASK, from).unwrap();
            (from, count) = (restored.position, count + restored.changes.len());
            let write = StoreWrite { partition: TASK, changes: restored.changes, position: from };
            session.store(vec![write]).unwrap();
        }
        count
    }

    /// The keys of all decisions that hold.
    pub(crate) fn decided(&self, session: &mut KafkaSession) -> Vec<String> {
        let of = TopicPartition::new(self.decisions, TASK);
        let end = session.ends(&[of]).unwrap()[0];
        let mut position = Offset(0);
        let mut keys = Vec::new();
        while position < end {
            let fetched = session.fetch(&[(of, position)], 100).unwrap();
            position = fetched.positions[0].1;
            let key = |record: streams::ConsumedRecord| record.key.unwrap_or_default();
            keys.extend(fetched.records.into_iter().map(key));
        }
        keys.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect()
    }
}

/// The value of a key of the store.
pub(crate) fn value(session: &KafkaSession, key: &str) -> Option<Bytes> {
    session.get(TASK, STORE, key.as_bytes()).unwrap()
}
