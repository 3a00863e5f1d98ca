//! A worker: the tasks of one service that one thread runs. It says the next [`Step`] and is told
//! what became of it; clocks, threads, files and clients are its driver's.
//!
//! The life of a task, with the steps on the way:
//!
//! ```text
//!  assigned --LoadPositions--> [state beside the log: LookUpEnds, ReadChangelog and WriteStores
//!     ^                         until the changelog's end is reached] --> running
//!     |                                                                     |
//!     +---- a commit without a sure answer: Open, then from the start ------+
//! ```
//!
//! While running: Fetch, process (in pieces, with `Continue` between them), Commit as soon as the
//! input at hand is drained or the batch is full, and only then answers. Events that mean nothing
//! to the task wait for the next commit.

mod batch;
mod life;
mod look_up;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;

use bytes::Bytes;
use timestamp::Timestamp;

use crate::commit::{CommitPosition, StoreChange};
use crate::error::Error;
use crate::query::{Answer, Queries, Query, QueryId};
use crate::record::{ConsumedRecord, Offset, Partition, TopicName, TopicPartition};
use crate::state::StateReader;
use crate::step::{Assignment, Fetched, StateBacking, Step, StepResult, StoreWrite};
use crate::tables::{TableEntry, Tables};
use crate::task::BatchInputs;
use crate::topology::Topology;
use life::Slot;
use look_up::{CatchUp, LookUp};

/// How long a worker waits before it tries a failed step again, in milliseconds.
const RETRY_MS: u64 = 50;

/// How long a worker that reads its tables up to an end waits before it fetches again, in
/// milliseconds.
const TABLES_PAUSE_MS: u64 = 5;

/// The tasks of one service that one thread runs.
#[derive(Debug)]
pub struct Worker {
    topology: Arc<Topology>,
    changelog: TopicName,
    partitions: u32,
    backing: StateBacking,
    assignment: Assignment,
    opened: bool,
    slots: BTreeMap<Partition, Slot>,
    /// Tasks whose offsets differed when they were last restored.
    suspected: BTreeMap<Partition, Error>,
    tables: Tables,
    /// Whether the tables have been read to their end once; no task takes a record before.
    tables_read: bool,
    catch_up: CatchUp,
    waiting_for_tables: BTreeSet<Partition>,
    queries: Queries,
    /// Commits that hold, whose changes are still to be written to the local stores.
    writes: VecDeque<StoreWrite>,
    batch_began_at: Option<Timestamp>,
    next_tick_at: Timestamp,
    fetch_due: bool,
    retry_at: Option<Timestamp>,
    /// Tasks that start and changelogs that are read wait until then; what runs goes on.
    start_retry_at: Option<Timestamp>,
    /// The step before read a changelog: what runs has its turn now.
    changelog_had_its_turn: bool,
    /// A fetch was out of range since the last one that was not.
    out_of_range: bool,
    /// Why a step failed, and of which kind it was.
    trouble: Option<(Discriminant<Outstanding>, String)>,
    outstanding: Option<Outstanding>,
    /// The newest place in the order of commits that this worker has seen anything of.
    seen: CommitPosition,
}

/// What the step that was said last was for.
#[derive(Debug)]
enum Outstanding {
    Open,
    LoadPositions(Vec<Partition>),
    LookUp(LookUp),
    ReadChangelog(Partition),
    WriteStores(Vec<Partition>),
    WipeStore(Partition),
    Fetch(Vec<(TopicPartition, Offset)>),
    Commit(Vec<(Partition, Vec<StoreChange>)>),
    Continue,
    Wait,
}

/// How a worker is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerHealth {
    /// The partitions that it owns.
    pub assigned: Vec<Partition>,
    /// Those of them whose tasks run.
    pub running: Vec<Partition>,
    /// Why the last step that failed did so, until one of its kind succeeds or none is wanted.
    pub trouble: Option<String>,
    /// Records of our own services that could not be decoded, each with why.
    pub bad_records: Vec<String>,
    /// Whether the tables have been read up to where they ended at the start.
    pub tables_read: bool,
    /// The latest position that the worker knows to be committed.
    pub as_of: CommitPosition,
    /// Of the tasks that run, for each source the position after the last record taken.
    pub positions: Vec<(TopicPartition, Offset)>,
    /// For each task that is restored how many offsets of its changelog are left to read.
    pub restoring: Vec<(Partition, u64)>,
}

impl Worker {
    /// A worker without partitions yet. All topics have this many partitions.
    pub fn new(topology: Arc<Topology>, partitions: u32, backing: StateBacking) -> Self {
        Worker {
            changelog: TopicName::derived(topology.changelog_name()),
            tables: Tables::new(Arc::clone(&topology), partitions),
            topology,
            partitions,
            backing,
            assignment: Assignment::default(),
            opened: false,
            slots: BTreeMap::new(),
            suspected: BTreeMap::new(),
            tables_read: false,
            catch_up: CatchUp::Requested,
            waiting_for_tables: BTreeSet::new(),
            queries: Queries::default(),
            writes: VecDeque::new(),
            batch_began_at: None,
            next_tick_at: Timestamp::EPOCH,
            fetch_due: true,
            retry_at: None,
            start_retry_at: None,
            changelog_had_its_turn: false,
            out_of_range: false,
            trouble: None,
            outstanding: None,
            seen: CommitPosition::default(),
        }
    }

    /// Tells the worker, between two steps, which partitions it owns by now. Tasks of others are
    /// dropped with whatever they had not committed.
    pub fn assign(&mut self, assignment: Assignment) {
        if assignment == self.assignment {
            return;
        }
        let lost: Vec<Partition> = self
            .slots
            .keys()
            .copied()
            .filter(|partition| {
                !assignment.partitions.contains(partition)
                    || assignment.regained.contains(partition)
            })
            .collect();
        for partition in lost {
            self.slots.remove(&partition);
            self.suspected.remove(&partition);
            self.writes.retain(|write| write.partition != partition);
            self.queries.not_owner(partition);
        }
        for partition in &assignment.partitions {
            self.slots.entry(*partition).or_insert(Slot::Assigned);
        }
        self.assignment = assignment;
        self.fetch_due = true;
    }

    /// There may be new records: the worker fetches before it waits again.
    pub fn news(&mut self) {
        self.fetch_due = true;
    }

    /// Whether the tables have been read up to where they ended at the start.
    pub fn tables_read(&self) -> bool {
        self.tables_read
    }

    /// Nobody waits for the answer to a query any more.
    pub fn forget(&mut self, query: QueryId) {
        self.queries.forget(query);
    }

    /// Takes a query. Its answer is among [`Worker::take_answers`] at some later time, at the
    /// latest when its deadline has passed.
    pub fn query(&mut self, query: Query) {
        let partition = query.partition;
        self.queries.add(query);
        if !self.slots.contains_key(&partition) {
            self.queries.not_owner(partition);
        }
    }

    /// The answers since the last call.
    pub fn take_answers(&mut self) -> Vec<Answer> {
        self.queries.take_answers()
    }

    /// How many queries have no answer yet.
    pub fn open_queries(&self) -> usize {
        self.queries.len()
    }

    /// At most `limit` entries of a table with keys after `after`, in order of key, and a place in
    /// the order of commits not before any of them.
    pub fn table_page(
        &self,
        table: TopicName,
        after: &[u8],
        limit: usize,
    ) -> (Vec<(Bytes, TableEntry)>, CommitPosition) {
        (self.tables.page(table, after, limit), self.seen)
    }

    /// How many records the batches have taken that are open now: asked when the worker says
    /// [`Step::Commit`], those of that commit.
    pub fn batch_records(&self) -> usize {
        let records_of = |slot: &Slot| match slot {
            Slot::Running(running) => running.task.batch_records(),
            _ => 0,
        };
        self.slots.values().map(records_of).sum()
    }

    /// The records that the batches have taken that are open now: asked when the worker says
    /// [`Step::Commit`], those of that commit, without events that were passed over before it.
    pub fn batch_taken(&self) -> impl Iterator<Item = &ConsumedRecord> {
        let running = self.slots.values().filter_map(|slot| match slot {
            Slot::Running(running) => Some(running),
            _ => None,
        });
        running.flat_map(|running| running.task.batch_taken())
    }

    /// What the batches have taken that are open now, for a driver that keeps a record of it: asked
    /// when the worker says [`Step::Commit`], the inputs of that commit.
    pub fn batch_inputs(&self) -> Vec<(Partition, BatchInputs)> {
        let inputs_of = |(partition, slot): (&Partition, &Slot)| match slot {
            Slot::Running(running) => Some((*partition, running.task.batch_inputs())),
            _ => None,
        };
        self.slots.iter().filter_map(inputs_of).collect()
    }

    /// The tables as they are now. They do not change while a batch is open.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// How the worker is doing.
    ///
    /// # Errors
    /// [`Error`] where the stores cannot be read.
    pub fn health(&self, state: &dyn StateReader) -> Result<WorkerHealth, Error> {
        let mut health = WorkerHealth {
            assigned: self.slots.keys().copied().collect(),
            trouble: self.trouble.as_ref().map(|(_, reason)| reason.clone()),
            tables_read: self.tables_read,
            as_of: self.seen,
            ..WorkerHealth::default()
        };
        for (partition, slot) in &self.slots {
            match slot {
                Slot::Running(running) => {
                    health.running.push(*partition);
                    health.positions.extend(running.task.positions());
                    for (key, error) in running.task.bad_records(state)? {
                        let (key, error) =
                            (String::from_utf8_lossy(&key), String::from_utf8_lossy(&error));
                        health.bad_records.push(format!("{key}: {error}"));
                    }
                }
                Slot::Restoring { from, end, .. } => {
                    health.restoring.push((*partition, end.0.saturating_sub(from.0)));
                }
                Slot::Wiping { end, .. } => health.restoring.push((*partition, end.0)),
                Slot::Assigned | Slot::Located { .. } => {}
            }
        }
        let unreadable = self.tables.unreadable();
        health.bad_records.extend(unreadable.map(|(source, offset)| format!("{source}/{offset}")));
        Ok(health)
    }

    /// What to do next. The driver does it and answers with [`Worker::on_result`] before it asks
    /// again.
    ///
    /// # Errors
    /// [`Error`] that stops the worker for good.
    pub fn next_step(&mut self, now: Timestamp, state: &dyn StateReader) -> Result<Step, Error> {
        if self.outstanding.is_some() {
            return Err(Error::Protocol("the step before has no answer yet"));
        }
        self.queries.expire(now);
        if let Some(retry_at) = self.retry_at {
            if is_ahead(now, retry_at, RETRY_MS) {
                return Ok(self.say(Outstanding::Wait, Step::Wait(Some(retry_at))));
            }
            self.retry_at = None;
        }
        if self.start_retry_at.is_some_and(|retry_at| !is_ahead(now, retry_at, RETRY_MS)) {
            self.start_retry_at = None;
        }
        if let Some(step) = self.starting_step(now, state)? {
            return Ok(step);
        }
        self.answer_queries(state)?;
        // A long restore and what runs beside it take turns.
        let is_turn_of_others = std::mem::take(&mut self.changelog_had_its_turn)
            && self.slots.values().any(|slot| matches!(slot, Slot::Running(_)));
        if !is_turn_of_others && let Some(step) = self.changelog_step() {
            return Ok(step);
        }
        if let Some(step) = self.batch_step(now, state)? {
            return Ok(step);
        }
        if let Some(step) = self.fetch_step() {
            return Ok(step);
        }
        if is_turn_of_others && let Some(step) = self.changelog_step() {
            return Ok(step);
        }
        Ok(self.wait_step(now))
    }

    /// What brings tasks to run, and what must be known before anything else is done.
    fn starting_step(
        &mut self,
        now: Timestamp,
        state: &dyn StateReader,
    ) -> Result<Option<Step>, Error> {
        if !self.opened && !self.slots.is_empty() {
            return Ok(Some(self.say(Outstanding::Open, Step::Open)));
        }
        if !self.writes.is_empty() {
            let writes: Vec<StoreWrite> = self.writes.iter().cloned().collect();
            let outstanding =
                Outstanding::WriteStores(writes.iter().map(|write| write.partition).collect());
            return Ok(Some(self.say(outstanding, Step::WriteStores(writes))));
        }
        self.finish_restoring(state)?;
        if let Some(step) = self.load_positions_step() {
            return Ok(Some(step));
        }
        self.look_up_step(now, state)
    }

    fn fetch_step(&mut self) -> Option<Step> {
        if !std::mem::take(&mut self.fetch_due) {
            return None;
        }
        let mut positions: Vec<_> = self.tables.positions().collect();
        for slot in self.slots.values() {
            if let Slot::Running(running) = slot {
                positions.extend(running.task.fetch_positions());
            }
        }
        Some(self.say(Outstanding::Fetch(positions.clone()), Step::Fetch(positions)))
    }

    fn wait_step(&mut self, now: Timestamp) -> Step {
        if self.start_retry_at.is_none() {
            // Whatever failed has been done since, or nobody wants it any more.
            self.trouble = None;
        }
        let tick_at = self.slots.values().any(Slot::wants_tick).then_some(self.next_tick_at);
        // Nobody is woken for markers, and the end of a table may lie behind one.
        let is_reading = matches!(self.catch_up, CatchUp::Reading { .. });
        let fetch_at = is_reading.then(|| now + TABLES_PAUSE_MS);
        let until = [
            tick_at,
            self.queries.next_deadline(),
            self.start_retry_at,
            fetch_at,
            self.positions_due_at(),
        ];
        let until = until.into_iter().flatten().min();
        self.say(Outstanding::Wait, Step::Wait(until.map(|until| until.max(now))))
    }

    fn say(&mut self, outstanding: Outstanding, step: Step) -> Step {
        self.outstanding = Some(outstanding);
        step
    }

    /// Tells the worker what became of its step.
    ///
    /// # Errors
    /// [`Error`] that stops the worker for good.
    pub fn on_result(
        &mut self,
        result: StepResult,
        now: Timestamp,
        state: &dyn StateReader,
    ) -> Result<(), Error> {
        let outstanding = self.outstanding.take().ok_or(Error::Protocol("no step was said"))?;
        if let StepResult::Failed { reason } = result {
            self.step_failed(outstanding, reason, now);
            return Ok(());
        }
        let kind = discriminant(&outstanding);
        self.trouble.take_if(|(failed, _)| *failed == kind);
        match (outstanding, result) {
            (Outstanding::Open, StepResult::Done) => self.opened = true,
            (Outstanding::LoadPositions(partitions), StepResult::Positions(positions)) => {
                self.positions_loaded(&partitions, positions, state)?;
            }
            (Outstanding::LookUp(look_up), StepResult::Ends(ends)) => {
                self.look_up_ended(look_up, &ends);
            }
            (Outstanding::ReadChangelog(partition), StepResult::Changelog(restored)) => {
                self.changelog_read(partition, restored, now);
            }
            (Outstanding::ReadChangelog(partition), StepResult::OutOfRange { .. }) => {
                self.changelog_out_of_range(partition);
            }
            (Outstanding::WriteStores(partitions), StepResult::Done) => {
                partitions.into_iter().for_each(|partition| self.store_written(partition));
            }
            (Outstanding::WipeStore(partition), StepResult::Done) => self.store_wiped(partition),
            (Outstanding::Fetch(from), StepResult::Fetched(fetched)) => {
                self.fetched(&from, fetched);
            }
            (Outstanding::Fetch(_), StepResult::OutOfRange { reason }) => {
                self.fetch_out_of_range(reason, now)?;
            }
            (Outstanding::Commit(changes), StepResult::Committed(outcome)) => {
                let trouble = self.commit_ended(changes, outcome, now);
                self.trouble = trouble.map(|reason| (kind, reason)).or(self.trouble.take());
            }
            // Whatever woke the driver may be news on the log.
            (Outstanding::Wait, StepResult::Done) => self.fetch_due = true,
            (Outstanding::Continue, StepResult::Done) => {}
            _ => return Err(Error::Protocol("a result of another step")),
        }
        Ok(())
    }

    /// A former owner that has not heard of its loss may read where nothing is any more: tasks
    /// start again from what is committed. Where that is out of range too, records are lost.
    fn fetch_out_of_range(&mut self, reason: String, now: Timestamp) -> Result<(), Error> {
        if std::mem::replace(&mut self.out_of_range, true) {
            return Err(Error::OutOfRange { reason });
        }
        self.restart_tasks();
        self.step_failed(Outstanding::Fetch(Vec::new()), reason, now);
        Ok(())
    }

    fn step_failed(&mut self, outstanding: Outstanding, reason: String, now: Timestamp) {
        self.trouble = Some((discriminant(&outstanding), reason));
        let retry_at = Some(now + RETRY_MS);
        match outstanding {
            Outstanding::LoadPositions(_) | Outstanding::ReadChangelog(_) => {
                self.start_retry_at = retry_at;
                return;
            }
            Outstanding::LookUp(look_up) => self.look_up_failed(look_up),
            Outstanding::Commit(_) => self.restart_tasks(),
            Outstanding::Fetch(_) => self.fetch_due = true,
            _ => {}
        }
        self.retry_at = retry_at;
    }

    fn fetched(&mut self, from: &[(TopicPartition, Offset)], fetched: Fetched) {
        self.seen = self.seen.max(fetched.as_of);
        self.out_of_range = false;
        self.fetch_due = !fetched.records.is_empty();
        for record in fetched.records {
            if self.tables.contains(record.source) {
                self.tables.take(&record);
            } else if let Some(Slot::Running(running)) =
                self.slots.get_mut(&record.source.partition)
            {
                running.task.push(record);
            }
        }
        // Most partitions have nothing new, and are passed over.
        let moved = fetched.positions.iter().zip(from).filter(|(to, from)| to != from);
        for ((source, position), _) in moved {
            let (source, position) = (*source, *position);
            if self.tables.contains(source) {
                self.tables.advance(source, position);
            } else {
                self.advance(source, position);
            }
        }
        self.tables_moved();
    }

    fn advance(&mut self, source: TopicPartition, position: Offset) {
        if let Some(Slot::Running(running)) = self.slots.get_mut(&source.partition) {
            running.task.advance(source.topic, position);
            self.queries.touch(source.partition);
        }
    }
}

/// Whether a time that was set at most `wait_ms` ahead is still to come. Where it is further ahead
/// than that, the clock was set back, and waiting for it could take for ever.
fn is_ahead(now: Timestamp, time: Timestamp, wait_ms: u64) -> bool {
    now < time && time <= now + wait_ms
}
