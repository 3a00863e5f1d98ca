//! A small service on a log with faults.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use eventlog::{
    Appended, BoxFuture, Error, Log, Membership, MemoryLog, MemorySession, OnDurable, RequestLog,
    Session, TopicConfig, Waker,
};
use futures_util::FutureExt;
use streams::{
    Assignment, CommitBatch, CommitOutcome, CommitPosition, ConsumedRecord, Context, DecodeError,
    Fetched, Headers, Key, KeyRange, Offset, Partition, ProcessError, ProducedRecord, Record,
    Restored, Retention, StateBacking, StateError, StateReader, Store, StoreName, StoreWrite,
    TaskPositions, Timestamp, Topic, TopicName, TopicPartition, Topology, TopologyBuilder,
};

pub(crate) struct Name(Bytes);

impl Key for Name {
    fn encode(&self) -> Bytes {
        self.0.clone()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Name(Bytes::copy_from_slice(bytes)))
    }
}

pub(crate) const VISITS: Topic<Name, u64> = Topic::new("visits");
pub(crate) const TITLES: Topic<Name, String> = Topic::new("titles");
pub(crate) const COUNT: Store<Name, u64> = Store::new("count");
const DEAD_LETTERS: TopicName = TopicName::new("dead-letters");
pub(crate) const ENDPOINTS: TopicName = TopicName::new("counter-endpoints");

fn count(context: &mut Context<'_>, visits: Record<Name, u64>) -> Result<(), ProcessError> {
    let count = context.get(&COUNT, &visits.key)?.unwrap_or(0) + visits.value;
    context.put(&COUNT, &visits.key, &count)
}

/// Counts visits.
pub(crate) fn counter() -> Arc<Topology> {
    let topology = TopologyBuilder::new("counter", DEAD_LETTERS)
        .table(&TITLES)
        .requests(&VISITS, "count-visits", count)
        .with_store(&COUNT);
    Arc::new(topology.build().unwrap())
}

/// What does not work on a log.
#[derive(Default)]
pub(crate) struct Faults {
    /// It cannot say who owns what.
    pub(crate) assignment_fails: bool,
    /// It has not shared the partitions out yet.
    pub(crate) unassigned: bool,
    /// It cannot say where partitions end.
    pub(crate) ends_fail: bool,
    /// It aborts every commit.
    pub(crate) commits_abort: bool,
    /// It rings for nothing that comes.
    pub(crate) silent: bool,
    /// Nothing becomes durable: these wait for it.
    pub(crate) not_durable: Option<Vec<OnDurable>>,
}

/// A log in memory with faults.
#[derive(Clone)]
pub(crate) struct FaultyLog {
    log: MemoryLog,
    faults: Arc<Mutex<Faults>>,
}

pub(crate) struct FaultySession {
    session: MemorySession,
    faults: Arc<Mutex<Faults>>,
}

fn lock(faults: &Mutex<Faults>) -> MutexGuard<'_, Faults> {
    faults.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unless(fault: bool) -> Result<(), Error> {
    if fault { Err(Error::Failed { reason: "a fault of the test".to_owned() }) } else { Ok(()) }
}

impl FaultyLog {
    pub(crate) fn new(partitions: u32) -> Self {
        let topics = [VISITS.name(), TITLES.name(), DEAD_LETTERS, ENDPOINTS];
        let configs = topics.map(|name| TopicConfig { name, retention: Retention::Forever });
        FaultyLog { log: MemoryLog::new(configs.to_vec(), partitions), faults: Arc::default() }
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    /// Lets everything become durable, or says that it never will.
    pub(crate) fn end_waits_for_durability(&self, durable: &Result<(), Error>) {
        let waiting = self.faults().not_durable.take();
        waiting.into_iter().flatten().for_each(|then| then(durable.clone()));
    }

    /// One more record for partition 0.
    pub(crate) fn write(&self, topic: TopicName, key: &'static str, value: &'static str) -> Offset {
        self.write_with(Headers::default(), topic, (key, value))
    }

    /// One more record for partition 0, with headers.
    pub(crate) fn write_with(
        &self,
        headers: Headers,
        topic: TopicName,
        (key, value): (&'static str, &'static str),
    ) -> Offset {
        let record = ProducedRecord {
            destination: TopicPartition::new(topic, Partition(0)),
            timestamp: Timestamp::EPOCH,
            key: Some(Bytes::from_static(key.as_bytes())),
            value: Some(Bytes::from_static(value.as_bytes())),
            headers,
        };
        self.append(record).now_or_never().unwrap().unwrap().offset
    }
}

impl RequestLog for FaultyLog {
    fn append(&self, record: ProducedRecord) -> BoxFuture<'_, Result<Appended, Error>> {
        self.log.append(record)
    }

    fn durable(&self, position: CommitPosition) -> BoxFuture<'_, Result<(), Error>> {
        self.log.durable(position)
    }

    fn read(
        &self,
        of: TopicPartition,
        from: Offset,
        records_max: usize,
    ) -> BoxFuture<'_, Result<Vec<ConsumedRecord>, Error>> {
        RequestLog::read(&self.log, of, from, records_max)
    }

    fn follow<'a>(
        &'a self,
        from: &'a [(TopicPartition, Offset)],
        records_max: usize,
    ) -> BoxFuture<'a, Result<Fetched, Error>> {
        RequestLog::follow(&self.log, from, records_max)
    }

    fn ends<'a>(&'a self, of: &'a [TopicPartition]) -> BoxFuture<'a, Result<Vec<Offset>, Error>> {
        RequestLog::ends(&self.log, of)
    }

    fn health(&self) -> Result<(), Error> {
        self.log.health()
    }

    fn partitions(&self) -> u32 {
        self.log.partitions()
    }
}

impl Log for FaultyLog {
    type Session = FaultySession;

    fn join(&self, membership: Membership, waker: Waker) -> Result<FaultySession, Error> {
        let faults = Arc::clone(&self.faults);
        let ring = move || {
            if !lock(&faults).silent {
                waker();
            }
        };
        let session = self.log.join(membership, Arc::new(ring))?;
        Ok(FaultySession { session, faults: Arc::clone(&self.faults) })
    }
}

impl StateReader for FaultySession {
    fn get(
        &self,
        partition: Partition,
        store: StoreName,
        key: &[u8],
    ) -> Result<Option<Bytes>, StateError> {
        self.session.get(partition, store, key)
    }

    fn range(
        &self,
        partition: Partition,
        store: StoreName,
        range: &KeyRange,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StateError> {
        self.session.range(partition, store, range, limit)
    }
}

impl Session for FaultySession {
    fn state_backing(&self) -> StateBacking {
        self.session.state_backing()
    }

    fn assignment(&mut self) -> Result<Assignment, Error> {
        let Faults { assignment_fails, unassigned, .. } = *lock(&self.faults);
        unless(assignment_fails)?;
        if unassigned { Ok(Assignment::default()) } else { self.session.assignment() }
    }

    fn open(&mut self) -> Result<(), Error> {
        self.session.open()
    }

    fn positions(&mut self, partitions: &[Partition]) -> Result<Vec<TaskPositions>, Error> {
        self.session.positions(partitions)
    }

    fn ends(&mut self, of: &[TopicPartition]) -> Result<Vec<Offset>, Error> {
        unless(lock(&self.faults).ends_fail)?;
        self.session.ends(of)
    }

    fn fetch(
        &mut self,
        from: &[(TopicPartition, Offset)],
        records_max: usize,
    ) -> Result<Fetched, Error> {
        self.session.fetch(from, records_max)
    }

    fn commit(&mut self, batch: CommitBatch) -> CommitOutcome {
        if lock(&self.faults).commits_abort {
            return CommitOutcome::Aborted { reason: "a fault of the test".to_owned() };
        }
        self.session.commit(batch)
    }

    fn restore(&mut self, partition: Partition, from: Offset) -> Result<Restored, Error> {
        self.session.restore(partition, from)
    }

    fn store(&mut self, writes: Vec<StoreWrite>) -> Result<(), Error> {
        self.session.store(writes)
    }

    fn wipe(&mut self, partition: Partition) -> Result<(), Error> {
        self.session.wipe(partition)
    }

    fn when_durable(&self, position: CommitPosition, then: OnDurable) {
        match &mut lock(&self.faults).not_durable {
            Some(waiting) => waiting.push(then),
            None => self.session.when_durable(position, then),
        }
    }
}
