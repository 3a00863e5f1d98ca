//! A worker with one task, told what became of its steps.

use std::sync::Arc;

use bytes::Bytes;
use streams::testing::MemoryState;
use streams::{
    Assignment, CommitBatch, CommitOutcome, CommitPosition, Condition, ConsumedRecord, Context,
    DecodeError, Error, Fetched, Headers, Key, KeyRange, Offset, Partition, ProcessError, Query,
    QueryId, Record, StateBacking, Step, StepResult, Store, StoreChange, StoreName, StoreWrite,
    TaskCommit, TaskPositions, Tick, Timestamp, Topic, TopicName, TopicPartition, TopologyBuilder,
    Worker, WorkerHealth,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(Bytes);

impl Key for Name {
    fn encode(&self) -> Bytes {
        self.0.clone()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Name(Bytes::copy_from_slice(bytes)))
    }
}

pub(crate) const PARTITION: Partition = Partition(0);
pub(crate) const VISITS: Topic<Name, u64> = Topic::new("visits");
pub(crate) const REMINDERS: Topic<Name, u64> = Topic::new("reminders");
/// A table.
pub(crate) const GUESTS: Topic<Name, u64> = Topic::new("guests");
/// Events, most of which mean nothing to the task, and requests that mean nothing to it.
pub(crate) const NEWS: Topic<Name, u64> = Topic::new("news");
pub(crate) const QUESTIONS: Topic<Name, u64> = Topic::new("questions");
/// Events that are only kept to be read.
pub(crate) const SIGHTINGS: Topic<Name, u64> = Topic::new("sightings");
const DEAD_LETTERS: TopicName = TopicName::new("dead-letters");
/// Visits of which a reminder is to come with the next tick.
const OPEN: Store<Name, u64> = Store::new("open");

/// The partition that holds the task's changelog.
pub(crate) fn changelog() -> TopicPartition {
    TopicPartition::new(TopicName::new("visits-service-changelog"), PARTITION)
}

/// The visit at this offset.
pub(crate) fn visit(offset: u64) -> ConsumedRecord {
    ConsumedRecord {
        source: TopicPartition::new(VISITS.name(), PARTITION),
        offset: Offset(offset),
        timestamp: Timestamp::from_millis(1_000),
        key: Some(Bytes::from_static(b"ada")),
        value: Some(Bytes::from_static(b"1")),
        headers: Headers::default(),
    }
}

/// The change that puts the input offset of the visits into the changelog.
pub(crate) fn offsets_change(offset: u64) -> StoreChange {
    StoreChange {
        store: StoreName::new("task"),
        key: Bytes::from_static(b"offsets"),
        value: Some(Bytes::from(format!("{{\"visits\":{offset}}}"))),
    }
}

fn take_visit(context: &mut Context<'_>, visit: Record<Name, u64>) -> Result<(), ProcessError> {
    context.put(&OPEN, &visit.key, &visit.value)
}

fn remind(context: &mut Context<'_>, _: Tick) -> Result<(), ProcessError> {
    for (name, visits) in context.range(&OPEN, &KeyRange::all(), usize::MAX)? {
        context.delete(&OPEN, &name)?;
        context.forward(&REMINDERS, &name, &visits)?;
    }
    Ok(())
}

/// What becomes of an event by its value: it changes a store, makes a record, or means nothing.
fn take_news(context: &mut Context<'_>, news: Record<Name, u64>) -> Result<(), ProcessError> {
    match news.value {
        2 => context.put(&OPEN, &news.key, &news.value),
        3 => context.forward(&REMINDERS, &news.key, &news.value),
        _ => Ok(()),
    }
}

fn pass_over(_: &mut Context<'_>, _: Record<Name, u64>) -> Result<(), ProcessError> {
    Ok(())
}

fn index_sighting(
    context: &mut Context<'_>,
    sighting: Record<Name, u64>,
) -> Result<(), ProcessError> {
    context.put(&OPEN, &sighting.key, &sighting.value)
}

fn topology() -> TopologyBuilder {
    TopologyBuilder::new("visits-service", DEAD_LETTERS)
        .requests(&VISITS, "take-visit", take_visit)
        .with_store(&OPEN)
        .timer(&OPEN, "remind", remind)
        .to(&REMINDERS)
}

pub(crate) struct Script {
    pub(crate) worker: Worker,
    pub(crate) now: Timestamp,
    state: MemoryState,
    generation: u64,
    visits: u64,
}

impl Script {
    /// A worker that owns the one partition there is.
    pub(crate) fn new(backing: StateBacking) -> Self {
        Script::of(topology(), backing)
    }

    /// The same on a log with its state in it, for a service that reads a table.
    pub(crate) fn with_table() -> Self {
        Script::of(topology().table(&GUESTS), StateBacking::Log)
    }

    /// A worker whose task runs, on a log with its state in it, and takes records that mean nothing
    /// to it, too.
    pub(crate) fn with_news() -> Self {
        let topology = topology().stream(&NEWS, "take-news", take_news);
        let topology = topology.with_store(&OPEN).to(&REMINDERS);
        let topology = topology.requests(&QUESTIONS, "take-question", pass_over);
        let mut script = Script::of(topology, StateBacking::Log);
        script.open();
        script.load_positions(TaskPositions::default());
        script
    }

    /// A worker whose task runs, on a log with its state in it, and indexes sightings, too.
    pub(crate) fn with_index() -> Self {
        let topology = topology().stream(&SIGHTINGS, "index-sighting", index_sighting);
        let mut script = Script::of(topology.with_store(&OPEN), StateBacking::Log);
        script.open();
        script.load_positions(TaskPositions::default());
        script
    }

    /// Lets the worker fetch these.
    pub(crate) fn give(&mut self, records: Vec<ConsumedRecord>) {
        let from = loop {
            match self.step() {
                Step::Fetch(from) => break from,
                _ => self.answer(StepResult::Done),
            }
        };
        let end_of = |(source, position): (TopicPartition, Offset)| {
            let of_source = records.iter().filter(|record| record.source == source);
            (source, of_source.map(|record| record.offset.next()).max().unwrap_or(position))
        };
        let positions = from.into_iter().map(end_of).collect();
        self.answer(StepResult::Fetched(Fetched { records, positions, ..Fetched::default() }));
    }

    fn of(topology: TopologyBuilder, backing: StateBacking) -> Self {
        let mut script = Script {
            worker: Worker::new(Arc::new(topology.build().unwrap()), 1, backing),
            now: Timestamp::from_millis(1_767_225_600_000),
            state: MemoryState::default(),
            generation: 0,
            visits: 0,
        };
        script.assign(vec![PARTITION], vec![]);
        script
    }

    /// A worker whose task runs, on a log with its state in it, and has looked for its tick.
    pub(crate) fn running_in_log() -> Self {
        let mut script = Script::new(StateBacking::Log);
        script.open();
        script.load_positions(TaskPositions::default());
        script
    }

    pub(crate) fn assign(&mut self, partitions: Vec<Partition>, regained: Vec<Partition>) {
        self.generation += 1;
        let generation = self.generation;
        self.worker.assign(Assignment { generation, partitions, regained });
    }

    pub(crate) fn health(&self) -> WorkerHealth {
        self.worker.health(&self.state).unwrap()
    }

    pub(crate) fn try_step(&mut self) -> Result<Step, Error> {
        self.worker.next_step(self.now, &self.state)
    }

    pub(crate) fn step(&mut self) -> Step {
        self.try_step().unwrap()
    }

    pub(crate) fn try_answer(&mut self, result: StepResult) -> Result<(), Error> {
        self.worker.on_result(result, self.now, &self.state)
    }

    pub(crate) fn answer(&mut self, result: StepResult) {
        self.try_answer(result).unwrap();
    }

    /// The next step that is no look for records; there are none.
    pub(crate) fn try_next_but_fetch(&mut self) -> Result<Step, Error> {
        loop {
            match self.try_step()? {
                Step::Fetch(_) => {
                    let nothing = self.fetched(Vec::new());
                    self.answer(nothing);
                }
                step => return Ok(step),
            }
        }
    }

    pub(crate) fn next_but_fetch(&mut self) -> Step {
        self.try_next_but_fetch().unwrap()
    }

    pub(crate) fn fetched(&self, records: Vec<ConsumedRecord>) -> StepResult {
        let end = records.last().map_or(self.visits, |record| record.offset.0 + 1);
        let positions = vec![(TopicPartition::new(VISITS.name(), PARTITION), Offset(end))];
        StepResult::Fetched(Fetched { records, positions, ..Fetched::default() })
    }

    /// Brings the worker to ask where the task left off.
    pub(crate) fn open(&mut self) {
        assert_eq!(self.step(), Step::Open);
        self.answer(StepResult::Done);
        assert_eq!(self.step(), Step::LoadPositions(vec![PARTITION]));
    }

    /// Tells the worker where the task left off.
    pub(crate) fn load_positions(&mut self, positions: TaskPositions) {
        self.answer(StepResult::Positions(vec![positions]));
    }

    /// Lets the task take the next visit and commit.
    pub(crate) fn take_visit(&mut self) {
        while !matches!(self.step(), Step::Fetch(_)) {
            self.answer(StepResult::Done);
        }
        let fetched = self.fetched(vec![visit(self.visits)]);
        self.visits += 1;
        self.answer(fetched);
        let Step::Commit(batch) = self.step() else { panic!("the visit is taken") };
        self.commit(&batch);
    }

    pub(crate) fn commit(&mut self, batch: &CommitBatch) {
        batch.tasks.iter().for_each(|commit| self.state.apply(commit));
        let (position, changelog_ends) = (CommitPosition(1), Vec::new());
        let outcome = CommitOutcome::Committed { position, changelog_ends };
        self.answer(StepResult::Committed(outcome));
    }

    /// Puts changes into the local store.
    pub(crate) fn write(&mut self, write: &StoreWrite) {
        self.state.apply(&TaskCommit {
            partition: write.partition,
            outputs: Vec::new(),
            changes: write.changes.clone(),
            offsets: Vec::new(),
        });
    }

    /// A query for the open visits of a name.
    pub(crate) fn ask(&mut self, name: Bytes) {
        self.ask_when(name, None, None);
    }

    /// The same, to be answered when the visit at this offset is taken and the condition holds.
    pub(crate) fn ask_when(
        &mut self,
        name: Bytes,
        after: Option<Offset>,
        until: Option<Condition>,
    ) {
        self.worker.query(Query {
            id: QueryId(1),
            partition: PARTITION,
            entries: vec![(OPEN.name(), name)],
            after: after.map(|offset| (VISITS.name(), offset)),
            until,
            deadline: self.now + 5_000,
        });
    }
}
