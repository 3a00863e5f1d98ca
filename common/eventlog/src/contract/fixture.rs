//! What the tests of the suite are made of.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Wake};
use std::thread::Thread;
use std::time::Duration;

use bytes::Bytes;
use streams::{
    CommitBatch, CommitOutcome, CommitPosition, ConsumedRecord, Headers, Offset, Partition,
    ProducedRecord, StateBacking, StoreChange, StoreName, StoreWrite, TaskCommit, Timestamp,
    TopicName, TopicPartition,
};

use crate::log::{Log, Membership, Retention, Session, TopicConfig};

/// How often a test looks for something to happen, and how long it waits each time, before it
/// fails: long enough for a broker to share out partitions.
const ATTEMPTS: usize = 1_200;
const ATTEMPT: Duration = Duration::from_millis(50);

/// The partitions of every topic in these tests.
pub(super) const PARTITIONS: u32 = 4;

/// The stores of the groups in these tests.
pub const STORES: [StoreName; 2] = [StoreName::new("reserved"), StoreName::new("stock")];

/// Makes logs for the suite.
pub trait LogFactory {
    /// The implementation under test.
    type Log: Log;

    /// A log with these topics and nothing on them.
    fn make(&self, topics: Vec<TopicConfig>, partitions: u32) -> Self::Log;

    /// The same, where the log has to be told beforehand which groups will join it. Their stores
    /// are [`STORES`].
    fn make_for(
        &self,
        topics: Vec<TopicConfig>,
        _groups: &[&'static str],
        partitions: u32,
    ) -> Self::Log {
        self.make(topics, partitions)
    }

    /// Ends a log, all of whose sessions are gone, and opens it again with what it kept. `None`
    /// where it keeps nothing.
    fn restart(&self, log: Self::Log) -> Option<Self::Log>;

    /// Has the log do now what it does from time to time: compact, purge, move to other files.
    fn housekeeping(&self, log: &Self::Log);
}

/// A name that no other test has, nor this one in another run: a log may outlast the process.
pub fn unique_name(base: &str) -> &'static str {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static RUN: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(()));
    let (run, number) = (*RUN, NEXT.fetch_add(1, Ordering::Relaxed));
    Box::leak(format!("{base}-{run:x}-{number}").into_boxed_str())
}

/// Runs a future to its end on this thread.
pub fn block_on<Output>(future: impl Future<Output = Output>) -> Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park_timeout(ATTEMPT),
        }
    }
}

/// A log with a topic of each retention, and the names on it.
pub(super) struct Fixture<Log> {
    pub(super) log: Log,
    /// Kept for ever; a source of `group`.
    pub(super) requests: TopicName,
    /// Kept until `group` has consumed it; a source of it too.
    pub(super) lines: TopicName,
    /// Compacted.
    pub(super) levels: TopicName,
    pub(super) group: &'static str,
    /// Another group with no topic of its own.
    pub(super) other_group: &'static str,
}

impl<L: Log> Fixture<L> {
    pub(super) fn new(factory: &impl LogFactory<Log = L>) -> Self {
        let [requests, lines, levels] =
            ["requests", "lines", "levels"].map(|base| TopicName::new(unique_name(base)));
        let [group, other_group] = ["group", "other-group"].map(unique_name);
        let consumers: &'static [&'static str] = Box::leak(Box::new([group]));
        let topics = vec![
            TopicConfig { name: requests, retention: Retention::Forever },
            TopicConfig { name: lines, retention: Retention::UntilConsumed { by: consumers } },
            TopicConfig { name: levels, retention: Retention::Compacted },
        ];
        let log = factory.make_for(topics, &[group, other_group], PARTITIONS);
        Fixture { log, requests, lines, levels, group, other_group }
    }

    pub(super) fn membership(&self) -> Membership {
        Membership { group: self.group, sources: vec![self.requests, self.lines] }
    }

    /// A session of the group that nobody shares it with, owner of all partitions.
    pub(super) fn only_session(&self) -> Joined<L::Session> {
        let mut joined = self.join();
        joined.until_it_owns(PARTITIONS as usize);
        joined
    }

    pub(super) fn join(&self) -> Joined<L::Session> {
        self.join_as(self.membership())
    }

    pub(super) fn join_as(&self, membership: Membership) -> Joined<L::Session> {
        let (wake, woken) = channel();
        let mut session = self.log.join(membership, waker(wake)).expect("the log takes sessions");
        session.open().expect("nothing is open yet");
        Joined { session, woken, changelog_ends: BTreeMap::new() }
    }

    pub(super) fn restarted(self, factory: &impl LogFactory<Log = L>) -> Option<Self> {
        let log = factory.restart(self.log)?;
        Some(Fixture { log, ..self })
    }
}

fn waker(wake: Sender<()>) -> crate::log::Waker {
    // A session that is gone no longer listens.
    Arc::new(move || wake.send(()).unwrap_or_default())
}

/// A session, and the signals its waker gave.
pub(super) struct Joined<S> {
    pub(super) session: S,
    pub(super) woken: Receiver<()>,
    /// Where the changelogs of its tasks end after the last commits.
    pub(super) changelog_ends: BTreeMap<Partition, Offset>,
}

impl<S: Session> Joined<S> {
    pub(super) fn owned(&mut self) -> Vec<Partition> {
        self.session.assignment().expect("the log answers").partitions
    }

    pub(super) fn until_it_owns(&mut self, count: usize) -> Vec<Partition> {
        self.until("partitions are shared out", |session| {
            let partitions = session.assignment().expect("the log answers").partitions;
            (partitions.len() == count).then_some(partitions)
        })
    }

    /// Tries until there is a result, woken by the session's waker or after a while.
    pub(super) fn until<T>(
        &mut self,
        what: &str,
        mut attempt: impl FnMut(&mut S) -> Option<T>,
    ) -> T {
        for _ in 0..ATTEMPTS {
            if let Some(result) = attempt(&mut self.session) {
                return result;
            }
            // Whether woken or not: the next attempt tells.
            let _ = self.woken.recv_timeout(ATTEMPT);
        }
        panic!("given up waiting until {what}");
    }

    /// All records of these partitions, once there are `count` of them.
    pub(super) fn read(&mut self, from: &[TopicPartition], count: usize) -> Vec<ConsumedRecord> {
        let from: Vec<_> = from.iter().map(|of| (*of, Offset(0))).collect();
        self.read_from(&from, count)
    }

    pub(super) fn read_from(
        &mut self,
        from: &[(TopicPartition, Offset)],
        count: usize,
    ) -> Vec<ConsumedRecord> {
        let mut positions = from.to_vec();
        let mut records = Vec::new();
        self.until("the records come", |session| {
            let fetched = session.fetch(&positions, 100).expect("the positions are in range");
            positions = fetched.positions;
            records.extend(fetched.records);
            (records.len() >= count).then_some(())
        });
        assert_eq!(records.len(), count, "no record comes twice, and no other one");
        records
    }

    /// Every end there is, reached: the records from here on, however few.
    pub(super) fn read_to_end(&mut self, of: TopicPartition) -> Vec<ConsumedRecord> {
        let mut position = Offset(0);
        let mut records = Vec::new();
        self.until("the end is reached", |session| {
            let end = session.ends(&[of]).expect("the log answers")[0];
            let fetched = session.fetch(&[(of, position)], 100).expect("in range");
            position = fetched.positions[0].1;
            records.extend(fetched.records);
            (position >= end).then_some(())
        });
        records
    }

    /// Commits a batch that must hold, and brings the local stores up to it where there are any.
    pub(super) fn commit(&mut self, tasks: Vec<TaskCommit>) -> CommitPosition {
        let partitions: Vec<_> = tasks.iter().map(|task| task.partition).collect();
        let outcome = self.session.commit(CommitBatch { tasks });
        let CommitOutcome::Committed { position, changelog_ends } = outcome else {
            panic!("the batch was not committed: {outcome:?}");
        };
        self.changelog_ends.extend(changelog_ends);
        partitions.into_iter().for_each(|partition| self.catch_up(partition));
        position
    }

    /// Brings a local store up to the end of its changelog, as far as commits have told it.
    pub(super) fn catch_up(&mut self, partition: Partition) {
        if self.session.state_backing() == StateBacking::Log {
            return;
        }
        let known = self.session.positions(&[partition]).expect("the log answers");
        let mut from = known[0].checkpoint.unwrap_or_default();
        let end = self.changelog_ends.get(&partition).copied().unwrap_or_default();
        self.until("the changelog is read", |session| {
            let restored = session.restore(partition, from).expect("the log answers");
            if restored.position == from {
                return (from >= end).then_some(());
            }
            from = restored.position;
            let write = StoreWrite { partition, changes: restored.changes, position: from };
            session.store(vec![write]).expect("the local store takes it");
            None
        });
    }
}

/// A batch of one task, empty as yet.
pub(super) fn task(partition: u32) -> TaskCommit {
    TaskCommit {
        partition: Partition(partition),
        outputs: Vec::new(),
        changes: Vec::new(),
        offsets: Vec::new(),
    }
}

pub(super) fn at(topic: TopicName, partition: u32) -> TopicPartition {
    TopicPartition::new(topic, Partition(partition))
}

/// A record with a key and a value of this text.
pub(super) fn record(destination: TopicPartition, text: &str) -> ProducedRecord {
    let mut headers = Headers::with_capacity(1);
    headers.add("ce_type", Bytes::copy_from_slice(text.as_bytes()));
    ProducedRecord {
        destination,
        timestamp: Timestamp::from_millis(1_700_000_000_000),
        key: Some(Bytes::copy_from_slice(text.as_bytes())),
        value: Some(Bytes::from(format!("value of {text}"))),
        headers,
    }
}

pub(super) fn put(store: &'static str, key: &str, value: &str) -> StoreChange {
    let value = Some(Bytes::copy_from_slice(value.as_bytes()));
    StoreChange { value, ..delete(store, key) }
}

pub(super) fn delete(store: &'static str, key: &str) -> StoreChange {
    let key = Bytes::copy_from_slice(key.as_bytes());
    StoreChange { store: StoreName::new(store), key, value: None }
}

/// The keys of records, as text.
pub(super) fn keys(records: &[ConsumedRecord]) -> Vec<String> {
    records
        .iter()
        .map(|record| String::from_utf8_lossy(record.key.as_deref().unwrap_or_default()).into())
        .collect()
}
