//! A production worker on the log counts right over restarts, with its state or without.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bytes::Bytes;
use eventlog::contract::unique_name;
use eventlog::{Log, Membership, RequestLog, Retention, Session, TopicConfig};
use futures_executor::block_on;
use streams::{
    Context, DecodeError, Headers, Key, Partition, ProcessError, ProducedRecord, Record,
    StateReader, Step, StepResult, Store, Timestamp, Topic, TopicName, TopicPartition, Topology,
    TopologyBuilder, Worker,
};
use tempfile::TempDir;

use super::setup::{PARTITIONS, WITHIN};
use crate::clock::Deadline;
use crate::testing::Broker;
use crate::{KafkaLog, KafkaSession, Service};

/// How long a worker without anything to do waits to be woken, before it looks around.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Clone, Debug, PartialEq)]
struct Word(String);

impl Key for Word {
    fn encode(&self) -> Bytes {
        Bytes::copy_from_slice(self.0.as_bytes())
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Word(String::from_utf8_lossy(bytes).into_owned()))
    }
}

const COUNT: Store<Word, u64> = Store::new("count");

fn count(context: &mut Context<'_>, word: Record<Word, u64>) -> Result<(), ProcessError> {
    let count = context.get(&COUNT, &word.key)?.unwrap_or(0) + word.value;
    context.put(&COUNT, &word.key, &count)
}

/// A service that counts words, and its log.
struct Counter {
    broker: &'static Broker,
    words: TopicName,
    dead_letters: TopicName,
    topology: Arc<Topology>,
}

impl Counter {
    fn find() -> Option<Self> {
        let broker = Broker::find()?;
        let [words, dead_letters] = ["words", "dead-letters"].map(unique_name);
        let source: &'static Topic<Word, u64> = Box::leak(Box::new(Topic::new(words)));
        let dead_letters = TopicName::new(dead_letters);
        let topology = TopologyBuilder::new(unique_name("counter"), dead_letters)
            .stream(source, "count-words", count)
            .with_store(&COUNT)
            .build()
            .unwrap();
        let (words, topology) = (TopicName::new(words), Arc::new(topology));
        Some(Counter { broker, words, dead_letters, topology })
    }

    fn connect(&self, directory: &TempDir) -> KafkaLog {
        let settings = self.broker.settings(PARTITIONS, directory.path());
        let topics = [self.words, self.dead_letters]
            .map(|name| TopicConfig { name, retention: Retention::Forever });
        KafkaLog::connect(settings, &topics, &[Service::of(&self.topology)]).unwrap()
    }

    fn say(&self, log: &KafkaLog, partition: u32) {
        let record = ProducedRecord {
            destination: TopicPartition::new(self.words, Partition(partition)),
            timestamp: Timestamp::from_millis(1_700_000_000_000),
            key: Some(Bytes::from_static(b"log")),
            value: Some(Bytes::from_static(b"1")),
            headers: Headers::default(),
        };
        block_on(log.append(record)).unwrap();
    }

    fn run(&self, log: &KafkaLog) -> Running {
        let (wake, woken) = channel();
        let waker = Arc::new(move || wake.send(()).unwrap_or_default());
        let sources = self.topology.sources().collect();
        let session = log.join(Membership { group: self.topology.name(), sources }, waker).unwrap();
        let worker = Worker::new(Arc::clone(&self.topology), PARTITIONS, session.state_backing());
        Running { worker, session, woken, clock: 0 }
    }
}

/// A worker with its session: a driver in small.
struct Running {
    worker: Worker,
    session: KafkaSession,
    woken: Receiver<()>,
    clock: i64,
}

impl Running {
    /// Does what the worker says until each partition has counted so many.
    fn until_counted(&mut self, expected: u64) {
        self.until(|running| {
            (0..PARTITIONS).all(|partition| running.counted(partition) == Some(expected))
        });
    }

    fn until(&mut self, is_done: impl Fn(&Running) -> bool) {
        let deadline = Deadline::after(WITHIN);
        while !is_done(self) {
            assert!(!deadline.has_passed(), "{:?}", self.worker.health(&self.session));
            self.worker.assign(self.session.assignment().unwrap());
            self.clock += 1;
            let now = Timestamp::from_millis(self.clock);
            let step = self.worker.next_step(now, &self.session).unwrap();
            let result = self.execute(step);
            self.worker.on_result(result, now, &self.session).unwrap();
        }
    }

    /// The only partition whose task runs here.
    fn only_running(&self) -> Option<Partition> {
        match self.worker.health(&self.session).unwrap().running.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    fn counted(&self, partition: u32) -> Option<u64> {
        let found = self.session.get(Partition(partition), COUNT.name(), b"log").unwrap();
        found.map(|text| String::from_utf8_lossy(&text).parse().unwrap())
    }

    fn execute(&mut self, step: Step) -> StepResult {
        let session = &mut self.session;
        match step {
            Step::Open => session.open().map(|()| StepResult::Done),
            Step::LoadPositions(of) => session.positions(&of).map(StepResult::Positions),
            Step::LookUpEnds(of) => session.ends(&of).map(StepResult::Ends),
            Step::ReadChangelog { partition, from } => {
                session.restore(partition, from).map(StepResult::Changelog)
            }
            Step::WriteStores(writes) => session.store(writes).map(|()| StepResult::Done),
            Step::WipeStore(of) => session.wipe(of).map(|()| StepResult::Done),
            Step::Fetch(from) => session.fetch(&from, 100).map(StepResult::Fetched),
            Step::Commit(batch) => Ok(StepResult::Committed(session.commit(batch))),
            Step::Continue => Ok(StepResult::Done),
            Step::Wait(until) => {
                // A moment has passed at once: this clock is the worker's own.
                if until.is_none() {
                    let _ = self.woken.recv_timeout(LOOK);
                }
                self.clock = until.map_or(self.clock, Timestamp::as_millis);
                Ok(StepResult::Done)
            }
        }
        .unwrap_or_else(|error| StepResult::Failed { reason: error.to_string() })
    }
}

#[test]
fn every_record_counts_once_over_restarts_with_and_without_the_state_on_disk() {
    let Some(counter) = Counter::find() else { return };
    let directories = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let mut expected = 0;
    for directory in [&directories[0], &directories[0], &directories[1], &directories[0]] {
        let log = counter.connect(directory);
        let mut running = counter.run(&log);
        for _ in 0..3 {
            (0..PARTITIONS).for_each(|partition| counter.say(&log, partition));
            expected += 1;
            running.until_counted(expected);
        }
        // Said, but not counted by this one: nothing was committed for it.
        (0..PARTITIONS).for_each(|partition| counter.say(&log, partition));
        expected += 1;
    }
    let log = counter.connect(&directories[1]);
    counter.run(&log).until_counted(expected);
}

#[test]
fn two_workers_count_together_while_partitions_change_hands() {
    let Some(counter) = Counter::find() else { return };
    let directory = TempDir::new().unwrap();
    let log = counter.connect(&directory);
    let mut first = counter.run(&log);
    (0..PARTITIONS).for_each(|partition| counter.say(&log, partition));
    first.until_counted(1);

    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            first.until(|_| is_over.load(Ordering::Acquire));
            first.until_counted(2);
        });
        let mut second = counter.run(&log);
        let has_counted = |running: &Running, expected| {
            let of = running.only_running();
            of.is_some_and(|of| running.counted(of.0) == Some(expected))
        };
        second.until(|running| has_counted(running, 1));
        (0..PARTITIONS).for_each(|partition| counter.say(&log, partition));
        second.until(|running| has_counted(running, 2));
        drop(second);
        is_over.store(true, Ordering::Release);
    });
}
