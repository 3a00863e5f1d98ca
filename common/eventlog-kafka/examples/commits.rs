//! How long commits take on a broker: `cargo run --release -p eventlog-kafka --example commits`,
//! with `KAFKA_BOOTSTRAP_SERVERS` set. Prints one line for each kind of commit.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use eventlog::{Log, Membership, RequestLog, Retention, Session, TopicConfig};
use eventlog_kafka::{KafkaLog, KafkaSession, Service, Settings};
use streams::{
    CommitBatch, CommitOutcome, Headers, Offset, Partition, ProducedRecord, StoreChange, StoreName,
    StoreWrite, TaskCommit, Timestamp, TopicName, TopicPartition,
};

const PARTITIONS: u32 = 6;
const STORE: StoreName = StoreName::new("numbers");
const VALUE_BYTES: usize = 250;

fn main() -> Result<()> {
    let servers = std::env::var("KAFKA_BOOTSTRAP_SERVERS")
        .context("KAFKA_BOOTSTRAP_SERVERS says where the broker is")?;
    let directory = tempfile::TempDir::new()?;
    let mut bench = Bench::new(&servers, directory.path())?;
    bench.commits("1 record", 500, 1, 1)?;
    bench.commits("10 records, 2 changes, 1 partition", 500, 10, 1)?;
    bench.commits("60 records, 12 changes, 6 partitions", 300, 60, PARTITIONS)?;
    bench.commits("2,000 records, 400 changes, 6 partitions", 60, 2_000, PARTITIONS)?;
    bench.round_trips(300)?;
    bench.restore(200_000)
}

struct Bench {
    log: KafkaLog,
    session: KafkaSession,
    woken: Receiver<()>,
    requests: TopicName,
    decisions: TopicName,
    changelog: TopicName,
    taken: Offset,
}

impl Bench {
    fn new(servers: &str, directory: &std::path::Path) -> Result<Self> {
        let run = uuid::Uuid::now_v7();
        let topic = |name: &str| TopicName::derived(format!("{name}-{run}"));
        let (requests, decisions) = (topic("requests"), topic("decisions"));
        let group: &'static str = Box::leak(format!("bench-{run}").into_boxed_str());
        let changelog = topic("bench-changelog");
        let service = Service { group, changelog, stores: vec![STORE] };
        let config = |name| TopicConfig { name, retention: Retention::Forever };
        let settings = Settings::new(servers, PARTITIONS, directory);
        let topics = [config(requests), config(decisions)];
        let started = now();
        let log = KafkaLog::connect(settings, &topics, &[service])?;
        println!("connected, topics created: {:.0?}", started.elapsed());
        let (wake, woken) = channel();
        let waker = Arc::new(move || wake.send(()).unwrap_or_default());
        let started = now();
        let mut session = log.join(Membership { group, sources: vec![requests] }, waker)?;
        session.open()?;
        println!("producers open: {:.0?}", started.elapsed());
        while session.assignment()?.partitions.len() < PARTITIONS as usize {
            woken.recv()?;
        }
        println!("joined, all partitions owned: {:.0?}", started.elapsed());
        Ok(Bench { log, session, woken, requests, decisions, changelog, taken: Offset(0) })
    }

    /// Commits as fast as they are answered.
    fn commits(&mut self, name: &str, count: usize, records: usize, over: u32) -> Result<()> {
        let mut times = Vec::with_capacity(count);
        let started = now();
        for number in 0..count {
            let batch = self.batch(number as u64, records, over);
            let began = now();
            self.commit(batch)?;
            times.push(began.elapsed());
        }
        let all = started.elapsed().as_secs_f64();
        let rate = (count * records) as f64 / all;
        println!(
            "{name}: {}, {:.0} commits/s, {rate:.0} records/s",
            spread(times),
            count as f64 / all
        );
        Ok(())
    }

    fn batch(&self, number: u64, records: usize, over: u32) -> CommitBatch {
        let each = records.div_ceil(over as usize);
        let task = |partition| TaskCommit {
            partition,
            outputs: (0..each).map(|index| self.record(partition, index)).collect(),
            changes: (0..each / 5).map(change).collect(),
            offsets: vec![(self.requests, Offset(number))],
        };
        CommitBatch { tasks: (0..over).map(Partition).map(task).collect() }
    }

    fn record(&self, partition: Partition, index: usize) -> ProducedRecord {
        ProducedRecord {
            destination: TopicPartition::new(self.decisions, partition),
            timestamp: Timestamp::from_millis(1_700_000_000_000),
            key: Some(Bytes::from(index.to_string())),
            value: Some(Bytes::from(vec![b'x'; VALUE_BYTES])),
            headers: Headers::default(),
        }
    }

    fn commit(&mut self, batch: CommitBatch) -> Result<()> {
        match self.session.commit(batch) {
            CommitOutcome::Committed { .. } => Ok(()),
            other => bail!("not committed: {other:?}"),
        }
    }

    /// A request at a time: appended, woken for, fetched, and answered by a commit.
    fn round_trips(&mut self, count: usize) -> Result<()> {
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..count {
            let of = TopicPartition::new(self.requests, Partition(0));
            let request = ProducedRecord { destination: of, ..self.record(Partition(0), 0) };
            let began = now();
            futures_executor::block_on(self.log.append(request))?;
            times[0].push(began.elapsed());
            let appended = now();
            let position = self.fetched(of)?;
            times[1].push(appended.elapsed());
            let fetched = now();
            self.taken = position;
            let mut batch = self.batch(0, 1, 1);
            batch.tasks[0].offsets = vec![(self.requests, position)];
            self.commit(batch)?;
            times[2].push(fetched.elapsed());
        }
        for (name, times) in ["append", "append answered to fetched", "commit"].iter().zip(times) {
            println!("one request at a time, {name}: {}", spread(times));
        }
        Ok(())
    }

    /// Reads changes back that the store does not have.
    fn restore(&mut self, count: usize) -> Result<()> {
        let each = 2_000;
        for part in 0..count / each {
            let mut batch = self.batch(0, 0, 1);
            batch.tasks[0].changes = (part * each..(part + 1) * each).map(change).collect();
            self.commit(batch)?;
        }
        let (of, began) = (Partition(0), now());
        let end = self.session.ends(&[TopicPartition::new(self.changelog, of)])?[0];
        let (mut from, mut changes) = (Offset(0), 0);
        while from < end {
            let restored = self.session.restore(of, from)?;
            (from, changes) = (restored.position, changes + restored.changes.len());
            let write = StoreWrite { partition: of, changes: restored.changes, position: from };
            self.session.store(vec![write])?;
        }
        println!("restored {changes} changes of {VALUE_BYTES} bytes: {:.0?}", began.elapsed());
        Ok(())
    }

    /// The position after the next record.
    fn fetched(&mut self, of: TopicPartition) -> Result<Offset> {
        loop {
            let fetched = self.session.fetch(&[(of, self.taken)], 10)?;
            self.taken = fetched.positions[0].1;
            if !fetched.records.is_empty() {
                return Ok(self.taken);
            }
            self.woken.recv_timeout(Duration::from_secs(10))?;
        }
    }
}

fn change(index: usize) -> StoreChange {
    let key = Bytes::from(index.to_string());
    StoreChange { store: STORE, key, value: Some(Bytes::from(vec![b'y'; VALUE_BYTES])) }
}

fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1_000.0;
    format!("p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms", at(50), at(90), at(99))
}

#[expect(clippy::disallowed_methods, reason = "measures")]
fn now() -> Instant {
    Instant::now()
}
