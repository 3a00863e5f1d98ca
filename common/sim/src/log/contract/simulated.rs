//! A simulated log as one that sessions join and requests are appended to. What goes on behind
//! everybody's back goes on only where a call waits for it: it is as late as it may be.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use eventlog::{
    Appended, BoxFuture, Error, Log, Membership, OnDurable, RequestLog, Retention, Session,
    TopicConfig, Waker,
};
use streams::{
    Assignment, CommitBatch, CommitOutcome, CommitPosition, ConsumedRecord, Fetched, KeyRange,
    Offset, Partition, ProducedRecord, Restored, StateBacking, StateError, StateReader, Step,
    StepResult, StoreName, StoreWrite, TaskPositions, Timestamp, TopicName, TopicPartition,
};

use super::topology::{self, ANOTHER_GROUP, READERS};
use crate::log::{
    AppendOutcome, Attempt, EmbeddedLog, KafkaLog, LogFault, Place, Request, SessionId,
    SimulatedLog,
};
use crate::options::{Mode, Options};
use crate::random::{Probability, Random};

/// How often something is tried before the log is taken for one that hangs.
const TRIES_MAX: usize = 10_000;
/// How many records a fetch brings: no more than the suite asks for where it counts them.
const FETCH_RECORDS: u64 = 20;

/// A simulated log. Clones are the same log.
#[derive(Clone)]
pub(super) struct Simulated {
    world: Arc<Mutex<World>>,
}

/// A worker's connection to it.
pub(super) struct SimulatedSession {
    log: Simulated,
    id: SessionId,
    backing: StateBacking,
}

/// The log, and who is connected.
struct World {
    log: Box<dyn SimulatedLog + Send>,
    random: Random,
    topics: Vec<TopicConfig>,
    partitions: u32,
    /// The group of each service.
    groups: Vec<&'static str>,
    /// Its changelog, where the log has any.
    changelogs: Vec<TopicName>,
    sessions: BTreeMap<SessionId, (Place, Waker)>,
    /// The session of those who read from outside, of a group that has no members.
    reader: SessionId,
    waiting: VecDeque<(CommitPosition, OnDurable)>,
    /// The news of which all sessions have been told.
    news: u64,
}

impl Simulated {
    pub(super) fn new(
        (mode, aborted): (Mode, Probability),
        topics: Vec<TopicConfig>,
        partitions: u32,
    ) -> Self {
        let mut random = Random::new(7);
        let options = Options {
            partitions,
            fetch_records: FETCH_RECORDS,
            interleave: Probability(5_000),
            step_fails: Probability::NEVER,
            append_fails: Probability::NEVER,
            commit_unknown: Probability::NEVER,
            commit_aborted: aborted,
            ..Options::draw(mode, &mut random)
        };
        let groups = groups(&topics);
        let services: Vec<_> =
            groups.iter().map(|group| Arc::new(topology::of(group, &topics))).collect();
        let changelogs = services.iter().map(|service| service.changelog_name());
        let changelogs = changelogs.map(TopicName::derived).collect();
        let mut log: Box<dyn SimulatedLog + Send> = match mode {
            Mode::Embedded => Box::new(EmbeddedLog::new(topics.clone(), services, options, None)),
            Mode::Kafka => Box::new(KafkaLog::new(topics.clone(), &services, options, None)),
        };
        if aborted == Probability::NEVER {
            log.heal();
        }
        let reader = log.join(readers(&groups));
        let world = World {
            log,
            random,
            topics,
            partitions,
            groups,
            changelogs,
            sessions: BTreeMap::new(),
            reader,
            waiting: VecDeque::new(),
            news: 0,
        };
        Simulated { world: Arc::new(Mutex::new(world)) }
    }

    /// The power goes and comes back.
    pub(super) fn restart(&self) {
        self.with(|world| {
            assert!(world.sessions.is_empty(), "all sessions are gone");
            world.log.crash(&[world.reader], &mut world.random);
            world.reader = world.log.join(readers(&world.groups));
        });
    }

    /// Compacts and purges whatever it may: what everybody has seen, and what has been there for
    /// long, that is, since the last time.
    pub(super) fn clean_up(&self) {
        for _ in ["from now on it is there for long", "it is compacted"] {
            self.until("nothing goes on", |world| (!world.go_on()).then_some(()));
            self.with(|world| {
                world.read_to_the_end();
                world.log.fault(LogFault::CleanUp, &mut world.random);
            });
        }
    }

    /// A test that panicked while it held the lock has failed already.
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something, and calls whoever has to know.
    fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.lock();
        let result = act(&mut world);
        let due = world.take_due();
        let wakers = world.take_wakers();
        drop(world);
        due.into_iter().for_each(|then| then(Ok(())));
        wakers.into_iter().for_each(|wake| wake());
        result
    }

    /// Lets the world go on until there is a result.
    fn until<T>(&self, what: &str, mut attempt: impl FnMut(&mut World) -> Option<T>) -> T {
        let result = (0..TRIES_MAX).find_map(|_| {
            self.with(|world| {
                let result = attempt(world);
                if result.is_none() {
                    world.go_on();
                }
                result
            })
        });
        result.unwrap_or_else(|| panic!("the simulated log hangs until {what}"))
    }
}

/// The groups that there may be: those that a topic is kept for, one more, and the readers'.
fn groups(topics: &[TopicConfig]) -> Vec<&'static str> {
    let mut groups = Vec::new();
    for topic in topics {
        if let Retention::UntilConsumed { by } = topic.retention {
            groups.extend(by);
        }
    }
    groups.extend([ANOTHER_GROUP, READERS]);
    groups
}

fn readers(groups: &[&'static str]) -> Place {
    Place { service: groups.len() - 1, instance: 0 }
}

impl World {
    /// One thing goes on behind everybody's back, and everybody hears of their group. Whether
    /// anything came of it.
    fn go_on(&mut self) -> bool {
        let went_on = self.log.background(&mut self.random);
        self.hear() || went_on
    }

    fn hear(&mut self) -> bool {
        let mut changed = false;
        for session in self.sessions.keys() {
            changed |= self.log.poll(*session, &mut self.random);
        }
        changed
    }

    /// All sessions find that there is nothing more for them.
    fn read_to_the_end(&mut self) {
        let mut ends = Vec::new();
        for topic in &self.topics {
            let of = |number| TopicPartition::new(topic.name, Partition(number));
            ends.extend((0..self.partitions).map(of).map(|of| (of, self.log.end(of))));
        }
        let step = Step::Fetch(ends);
        for session in self.sessions.keys() {
            let request = Request { session: *session, step: &step, attempt: None, running: &[] };
            let _ = self.log.perform(&request, &mut self.random);
        }
    }

    fn take_due(&mut self) -> Vec<OnDurable> {
        let is_due = |(position, _): &(CommitPosition, OnDurable)| self.log.is_durable(*position);
        let count = self.waiting.iter().take_while(|waiting| is_due(waiting)).count();
        self.waiting.drain(..count).map(|(_, then)| then).collect()
    }

    fn take_wakers(&mut self) -> Vec<Waker> {
        let known = std::mem::replace(&mut self.news, self.log.news());
        let is_told = known == self.news;
        let sessions = self.sessions.values().filter(|_| !is_told);
        sessions.map(|(_, waker)| waker.clone()).collect()
    }

    fn perform(
        &mut self,
        session: SessionId,
        step: &Step,
        attempt: Option<&Arc<Attempt>>,
    ) -> Option<StepResult> {
        let request = Request { session, step, attempt, running: &[] };
        self.log.perform(&request, &mut self.random)
    }

    /// A place of this group where no session is.
    fn free_place(&mut self, group: &'static str) -> Place {
        let known = self.groups.iter().position(|known| *known == group);
        let service = known.unwrap_or_else(|| {
            let other = self.groups.iter().position(|known| *known == ANOTHER_GROUP);
            let other = other.expect("there is one group more than topics are kept for");
            self.groups[other] = group;
            other
        });
        let is_free = |place: &Place| self.sessions.values().all(|(taken, _)| taken != place);
        let mut places = (0..).map(|instance| Place { service, instance });
        places.find(is_free).expect("there are places without end")
    }

    fn check_topic(&self, topic: TopicName) -> Result<(), Error> {
        let is_known = self.topics.iter().any(|known| known.name == topic);
        if is_known { Ok(()) } else { Err(Error::UnknownTopic(topic)) }
    }
}

impl RequestLog for Simulated {
    fn append(&self, record: ProducedRecord) -> BoxFuture<'_, Result<Appended, Error>> {
        Box::pin(async move {
            self.with(|world| match world.log.append(&record, &mut world.random) {
                AppendOutcome::Appended { offset, position } => {
                    let partition = record.destination.partition;
                    Ok(Appended { partition, offset, position })
                }
                // Nothing goes wrong: there is nothing else to refuse it for.
                AppendOutcome::Refused => Err(Error::UnknownTopic(record.destination.topic)),
                AppendOutcome::Unknown => {
                    Err(Error::Unreachable { reason: "no answer".to_owned() })
                }
            })
        })
    }

    fn durable(&self, position: CommitPosition) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            self.until("it is durable", |world| world.log.is_durable(position).then_some(()));
            Ok(())
        })
    }

    fn read(
        &self,
        of: TopicPartition,
        from: Offset,
        _: usize,
    ) -> BoxFuture<'_, Result<Vec<ConsumedRecord>, Error>> {
        Box::pin(async move {
            let reader = self.lock().reader;
            let fetched = self.fetch(reader, &[(of, from)])?;
            self.durable(fetched.as_of).await?;
            Ok(fetched.records)
        })
    }

    fn follow<'a>(
        &'a self,
        from: &'a [(TopicPartition, Offset)],
        _: usize,
    ) -> BoxFuture<'a, Result<Fetched, Error>> {
        Box::pin(async move {
            let reader = self.lock().reader;
            let fetched = self.fetch(reader, from)?;
            self.durable(fetched.as_of).await?;
            Ok(fetched)
        })
    }

    fn ends<'a>(&'a self, of: &'a [TopicPartition]) -> BoxFuture<'a, Result<Vec<Offset>, Error>> {
        Box::pin(async move {
            let reader = self.lock().reader;
            self.ends(reader, of)
        })
    }

    fn health(&self) -> Result<(), Error> {
        Ok(())
    }

    fn partitions(&self) -> u32 {
        self.lock().partitions
    }
}

impl Log for Simulated {
    type Session = SimulatedSession;

    fn join(&self, membership: Membership, waker: Waker) -> Result<SimulatedSession, Error> {
        let (id, backing) = self.with(|world| {
            membership.sources.iter().try_for_each(|topic| world.check_topic(*topic))?;
            let place = world.free_place(membership.group);
            let id = world.log.join(place);
            world.sessions.insert(id, (place, waker));
            Ok::<_, Error>((id, world.log.backing()))
        })?;
        let mut session = SimulatedSession { log: self.clone(), id, backing };
        session.open()?;
        self.until("the group has heard", |world| (!world.hear()).then_some(()));
        Ok(session)
    }
}

impl Simulated {
    fn perform(&self, session: SessionId, step: &Step) -> StepResult {
        self.until("the step is done", |world| world.perform(session, step, None))
    }

    fn ends(&self, session: SessionId, of: &[TopicPartition]) -> Result<Vec<Offset>, Error> {
        match self.perform(session, &Step::LookUpEnds(of.to_vec())) {
            StepResult::Ends(ends) => Ok(ends),
            result => panic!("a look at the ends brought {result:?}"),
        }
    }

    fn fetch(
        &self,
        session: SessionId,
        from: &[(TopicPartition, Offset)],
    ) -> Result<Fetched, Error> {
        match self.perform(session, &Step::Fetch(from.to_vec())) {
            StepResult::Fetched(fetched) => {
                if fetched.records.is_empty() {
                    self.with(World::go_on);
                }
                Ok(fetched)
            }
            StepResult::OutOfRange { reason } | StepResult::Failed { reason } => {
                let out_of_range = |(of, position): &(TopicPartition, Offset)| {
                    let error = Error::OutOfRange { of: *of, position: *position };
                    (error.to_string() == reason).then_some(error)
                };
                let error = from.iter().find_map(out_of_range);
                Err(error.unwrap_or(Error::Unreachable { reason }))
            }
            result => panic!("a fetch brought {result:?}"),
        }
    }
}

impl Drop for SimulatedSession {
    fn drop(&mut self) {
        self.log.with(|world| {
            world.sessions.remove(&self.id);
            world.log.leave(self.id);
        });
        self.log.until("the group has heard", |world| (!world.hear()).then_some(()));
    }
}

impl StateReader for SimulatedSession {
    fn get(
        &self,
        partition: Partition,
        store: StoreName,
        key: &[u8],
    ) -> Result<Option<Bytes>, StateError> {
        self.log.lock().log.state(self.id).get(partition, store, key)
    }

    fn range(
        &self,
        partition: Partition,
        store: StoreName,
        range: &KeyRange,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StateError> {
        self.log.lock().log.state(self.id).range(partition, store, range, limit)
    }
}

impl SimulatedSession {
    fn done(&self, step: &Step) -> Result<(), Error> {
        let result = self.log.perform(self.id, step);
        assert_eq!(result, StepResult::Done, "{step:?}");
        Ok(())
    }
}

impl Session for SimulatedSession {
    fn state_backing(&self) -> StateBacking {
        self.backing
    }

    fn assignment(&mut self) -> Result<Assignment, Error> {
        Ok(self.log.with(|world| {
            world.hear();
            world.log.assignment(self.id)
        }))
    }

    fn open(&mut self) -> Result<(), Error> {
        self.done(&Step::Open)
    }

    fn positions(&mut self, partitions: &[Partition]) -> Result<Vec<TaskPositions>, Error> {
        let step = Step::LoadPositions(partitions.to_vec());
        // It fails while they are not stable: whoever asks asks again.
        Ok(self.log.until("offsets are stable", |world| {
            match world.perform(self.id, &step, None)? {
                StepResult::Positions(positions) => Some(positions),
                _ => None,
            }
        }))
    }

    fn ends(&mut self, of: &[TopicPartition]) -> Result<Vec<Offset>, Error> {
        self.log.ends(self.id, of)
    }

    fn fetch(&mut self, from: &[(TopicPartition, Offset)], _: usize) -> Result<Fetched, Error> {
        self.log.fetch(self.id, from)
    }

    fn commit(&mut self, batch: CommitBatch) -> CommitOutcome {
        let place = self.log.lock().sessions[&self.id].0;
        let step = Step::Commit(batch.clone());
        let ended_at = Timestamp::EPOCH;
        let (inputs, tables) = (Vec::new(), Vec::new());
        let attempt = Arc::new(Attempt { place, batch, inputs, tables, ended_at });
        self.log.until("the commit has an answer", |world| {
            match world.perform(self.id, &step, Some(&attempt))? {
                // Nothing of it holds: it is made again, as any worker would.
                StepResult::Committed(CommitOutcome::Aborted { .. }) => None,
                StepResult::Committed(outcome) => Some(outcome),
                result => panic!("a commit brought {result:?}"),
            }
        })
    }

    fn restore(&mut self, partition: Partition, from: Offset) -> Result<Restored, Error> {
        let step = Step::ReadChangelog { partition, from };
        Ok(self.log.until("the changelog is read", |world| {
            let service = world.sessions[&self.id].0.service;
            let of = TopicPartition::new(world.changelogs[service], partition);
            match world.perform(self.id, &step, None)? {
                // Whatever is committed comes once it is marked.
                StepResult::Changelog(restored) if restored.position == from => {
                    (from >= world.log.end(of)).then_some(restored)
                }
                StepResult::Changelog(restored) => Some(restored),
                result => panic!("a look at the changelog brought {result:?}"),
            }
        }))
    }

    fn store(&mut self, writes: Vec<StoreWrite>) -> Result<(), Error> {
        self.done(&Step::WriteStores(writes))
    }

    fn wipe(&mut self, partition: Partition) -> Result<(), Error> {
        self.done(&Step::WipeStore(partition))
    }

    fn when_durable(&self, position: CommitPosition, then: OnDurable) {
        self.log.with(|world| world.waiting.push_back((position, then)));
        self.log.until("it is durable", |world| world.waiting.is_empty().then_some(()));
    }
}
