//! A task: one topology on one partition. A plain state machine: records and ticks in, one
//! [`TaskCommit`] a batch out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use timestamp::Timestamp;

use crate::codec::DecodeError;
use crate::commit::TaskCommit;
use crate::context::{Context, Input as ProcessInput, ProcessError, Tick};
use crate::dead_letter;
use crate::error::Error;
use crate::overlay::Overlay;
use crate::record::{ConsumedRecord, Offset, Partition, ProducedRecord, TopicName, TopicPartition};
use crate::state::{KeyRange, StateError, StateReader};
use crate::tables::Tables;
use crate::task_state;
use crate::topology::{Handler, Node, Origin, Rejection, TASK_STORE, Topology, Trigger};

/// How far a call of [`Task::process`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing is left to take for now.
    Drained,
    /// There is more to take.
    More,
    /// A processor wants the tables caught up. The batch was given up, its records are to be taken
    /// again; those of that source wait for [`Task::tables_caught_up`].
    TablesBehind,
}

/// What a batch has taken: with the state before it and the tables as they were meanwhile, all that
/// its outputs and its changes depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchInputs {
    /// The records, in the order in which they were taken.
    pub records: Vec<ConsumedRecord>,
    /// The number of ticks; a batch with a tick has no records.
    pub ticks: u64,
}

/// One topology on one partition.
#[derive(Debug)]
pub struct Task {
    topology: Arc<Topology>,
    partition: Partition,
    partitions: u32,
    inputs: Vec<Input>,
    ticks: u64,
    batch: Option<Batch>,
    /// What was taken, meant nothing, and is before no committed position yet.
    passed_over: Vec<ConsumedRecord>,
}

/// One source of the task.
#[derive(Debug)]
struct Input {
    topic: TopicName,
    /// The position after the last record fetched.
    fetched: Offset,
    /// The position after the last record taken.
    taken: Offset,
    buffer: VecDeque<ConsumedRecord>,
    /// Whether its records wait for the tables.
    held: bool,
    /// Records before this were fetched before the tables were last caught up.
    tables_current_until: Offset,
}

impl Input {
    /// Notes that the record at this offset, the first of the buffer until now, was taken. Behind
    /// the last one lies nothing up to where the source was fetched.
    fn take(&mut self, offset: Offset) {
        self.taken = if self.buffer.is_empty() { self.fetched } else { offset.next() };
    }
}

/// What a batch has come to so far, and what it takes to give it up.
#[derive(Debug)]
struct Batch {
    overlay: Overlay,
    outputs: Vec<ProducedRecord>,
    taken: Vec<(usize, ConsumedRecord)>,
    positions_before: Vec<Offset>,
    ticks_before: u64,
    input_bytes: usize,
}

impl Task {
    /// The task of a partition, going on from the positions of its sources (0 where missing) and
    /// its committed state.
    ///
    /// # Errors
    /// [`Error`] where its state cannot be read.
    pub fn new(
        topology: Arc<Topology>,
        partition: Partition,
        partitions: u32,
        positions: &BTreeMap<TopicName, Offset>,
        state: &dyn StateReader,
    ) -> Result<Self, Error> {
        let inputs = topology
            .sources()
            .map(|topic| {
                let position = positions.get(&topic).copied().unwrap_or_default();
                Input {
                    topic,
                    fetched: position,
                    taken: position,
                    buffer: VecDeque::new(),
                    held: false,
                    tables_current_until: Offset(0),
                }
            })
            .collect();
        let ticks = task_state::read_ticks(state, partition)?;
        let (batch, passed_over) = (None, Vec::new());
        Ok(Task { topology, partition, partitions, inputs, ticks, batch, passed_over })
    }

    /// Its partition.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// Where each source is to be fetched next, for those that have nothing buffered.
    pub fn fetch_positions(&self) -> impl Iterator<Item = (TopicPartition, Offset)> + '_ {
        self.inputs
            .iter()
            .filter(|input| input.buffer.is_empty())
            .map(|input| (TopicPartition::new(input.topic, self.partition), input.fetched))
    }

    /// The position after the last committed record of a source.
    pub fn committed(&self, topic: TopicName) -> Option<Offset> {
        let index = self.inputs.iter().position(|input| input.topic == topic)?;
        match &self.batch {
            Some(batch) => Some(batch.positions_before[index]),
            None => Some(self.inputs[index].taken),
        }
    }

    /// Gives the task a record that was fetched for it.
    pub fn push(&mut self, record: ConsumedRecord) {
        if let Some(input) = self.inputs.iter_mut().find(|input| input.topic == record.source.topic)
        {
            input.fetched = input.fetched.max(record.offset.next());
            input.buffer.push_back(record);
        }
    }

    /// Moves a source over offsets that hold no record: with all records before them taken, they
    /// count as taken too.
    pub fn advance(&mut self, topic: TopicName, position: Offset) {
        if let Some(input) = self.inputs.iter_mut().find(|input| input.topic == topic) {
            input.fetched = input.fetched.max(position);
            if input.buffer.is_empty() {
                input.taken = input.fetched;
            }
        }
    }

    /// Opens a batch with nothing in it, to commit the positions alone.
    pub fn begin_batch(&mut self) {
        self.open_batch();
    }

    /// Whether there is a record that can be taken now.
    pub fn has_input(&self) -> bool {
        self.next_input().is_some()
    }

    /// Whether the task has timers at all.
    pub fn has_timers(&self) -> bool {
        !self.topology.timers().is_empty()
    }

    /// Whether a timer of the task has something to wait for.
    ///
    /// # Errors
    /// [`StateError`] where its store cannot be read.
    pub fn wants_tick(&self, state: &dyn StateReader) -> Result<bool, StateError> {
        for node in self.topology.timers() {
            if let Trigger::Timer { while_not_empty } = node.trigger
                && !state.range(self.partition, while_not_empty, &KeyRange::all(), 1)?.is_empty()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether everything before these ends has been taken.
    pub fn has_taken(&self, ends: &BTreeMap<TopicPartition, Offset>) -> bool {
        self.inputs.iter().all(|input| {
            ends.get(&TopicPartition::new(input.topic, self.partition))
                .is_none_or(|end| input.taken >= *end)
        })
    }

    /// Notes that the tables now hold whatever was committed when the records fetched until then
    /// were fetched, and lets those that waited for it go on.
    pub fn tables_caught_up(&mut self, fetched_until: &[(TopicName, Offset)]) {
        for input in &mut self.inputs {
            if let Some((_, offset)) = fetched_until.iter().find(|(topic, _)| *topic == input.topic)
            {
                input.tables_current_until = input.tables_current_until.max(*offset);
                input.held = false;
            }
        }
    }

    /// Up to where each source was fetched.
    pub fn fetched(&self) -> Vec<(TopicName, Offset)> {
        self.inputs.iter().map(|input| (input.topic, input.fetched)).collect()
    }

    /// Takes at most `records_max` records into the open batch.
    ///
    /// # Errors
    /// [`Error`] where a processor fails.
    pub fn process(
        &mut self,
        records_max: usize,
        state: &dyn StateReader,
        tables: &Tables,
    ) -> Result<Progress, Error> {
        for _ in 0..records_max {
            let Some(index) = self.next_input() else { return Ok(Progress::Drained) };
            let Some(record) = self.inputs[index].buffer.pop_front() else { break };
            let offset = record.offset;
            let outcome = self.take_record(index, &record, state, tables);
            let batch = self.open_batch();
            batch.input_bytes += record.size_bytes();
            batch.taken.push((index, record));
            match outcome {
                Ok(()) => self.inputs[index].take(offset),
                Err(ProcessError::TablesBehind) => {
                    self.inputs[index].held = true;
                    self.aborted();
                    return Ok(Progress::TablesBehind);
                }
                Err(source) => {
                    let processor = self.topology.streams()[index].name;
                    return Err(Error::Process { processor, partition: self.partition, source });
                }
            }
        }
        Ok(if self.has_input() { Progress::More } else { Progress::Drained })
    }

    /// The source whose next record comes first by (timestamp, topic, offset), among those that
    /// have one and do not wait.
    fn next_input(&self) -> Option<usize> {
        self.inputs
            .iter()
            .enumerate()
            .filter(|(_, input)| !input.held)
            .filter_map(|(index, input)| {
                let next = input.buffer.front()?;
                Some(((next.timestamp, input.topic, next.offset), index))
            })
            .min()
            .map(|(_, index)| index)
    }

    fn take_record(
        &mut self,
        index: usize,
        record: &ConsumedRecord,
        state: &dyn StateReader,
        tables: &Tables,
    ) -> Result<(), ProcessError> {
        let tables_current = record.offset < self.inputs[index].tables_current_until;
        let topology = Arc::clone(&self.topology);
        let node = &topology.streams()[index];
        let Handler::Record(handler) = &node.handler else { return Ok(()) };
        if !self.wants(node, record, state)? {
            return Ok(());
        }
        let mut context =
            self.context(&topology, node, ProcessInput::Record(record), (state, tables));
        context.tables_current = tables_current;
        match handler(&mut context, record) {
            Ok(()) => Ok(()),
            Err(Rejection::Process(error)) => Err(error),
            Err(Rejection::Bad(error)) => {
                self.take_bad_record(node, record, &error);
                Ok(())
            }
        }
    }

    /// Whether a record is to be taken: one that was put back is where it is missing here, and is
    /// missing no more then.
    fn wants(
        &mut self,
        node: &Node,
        record: &ConsumedRecord,
        state: &dyn StateReader,
    ) -> Result<bool, StateError> {
        let Some(first_offset) = dead_letter::first_offset(record) else { return Ok(true) };
        let Trigger::Stream { origin, .. } = node.trigger else { return Ok(true) };
        let key = task_state::bad_record_key(record.source, origin, first_offset);
        let partition = self.partition;
        let overlay = &mut self.open_batch().overlay;
        let is_missing = overlay.get(state, partition, (TASK_STORE, &key))?.is_some();
        if is_missing {
            overlay.set(TASK_STORE, key, None);
        }
        Ok(is_missing)
    }

    /// Sends a record that cannot be decoded to the dead letters, or passes over it.
    fn take_bad_record(&mut self, node: &Node, record: &ConsumedRecord, error: &DecodeError) {
        let Trigger::Stream { origin, .. } = node.trigger else { return };
        if origin == Origin::Internal && matches!(error, DecodeError::UnknownType(_)) {
            return;
        }
        let letter = dead_letter::of(record, error, self.topology.dead_letters(), self.partitions);
        let batch = self.open_batch();
        batch.outputs.push(letter);
        let (key, value) = task_state::bad_record(record, origin, error);
        batch.overlay.set(TASK_STORE, key, Some(value));
    }

    /// Takes a tick, into the open batch.
    ///
    /// # Errors
    /// [`Error`] where a processor fails.
    pub fn tick(
        &mut self,
        timestamp: Timestamp,
        state: &dyn StateReader,
        tables: &Tables,
    ) -> Result<(), Error> {
        let number = self.ticks + 1;
        self.open_batch();
        self.ticks = number;
        let tick = Tick { number, timestamp };
        let topology = Arc::clone(&self.topology);
        for node in topology.timers() {
            let Handler::Tick(handler) = &node.handler else { continue };
            let mut context =
                self.context(&topology, node, ProcessInput::Tick(tick), (state, tables));
            handler(&mut context, tick).map_err(|source| Error::Process {
                processor: node.name,
                partition: self.partition,
                source,
            })?;
        }
        let (key, value) = task_state::ticks(number);
        self.open_batch().overlay.set(TASK_STORE, key, Some(value));
        Ok(())
    }

    fn context<'a>(
        &'a mut self,
        topology: &'a Topology,
        node: &'a Node,
        input: ProcessInput<'a>,
        (state, tables): (&'a dyn StateReader, &'a Tables),
    ) -> Context<'a> {
        let (partition, partitions, ticks) = (self.partition, self.partitions, self.ticks);
        let batch = self.open_batch();
        Context {
            topology,
            node,
            partition,
            partitions,
            input,
            ticks,
            tables,
            tables_current: false,
            state,
            overlay: &mut batch.overlay,
            outputs: &mut batch.outputs,
            forwarded: 0,
            event_time: None,
            trace_parent: None,
        }
    }

    fn open_batch(&mut self) -> &mut Batch {
        let (inputs, ticks) = (&self.inputs, self.ticks);
        self.batch.get_or_insert_with(|| Batch {
            overlay: Overlay::default(),
            outputs: Vec::new(),
            taken: Vec::new(),
            positions_before: inputs.iter().map(|input| input.taken).collect(),
            ticks_before: ticks,
            input_bytes: 0,
        })
    }

    /// Whether a batch is open.
    pub fn has_batch(&self) -> bool {
        self.batch.is_some()
    }

    /// How many records the open batch has taken, and about how many bytes they are.
    pub fn batch_size(&self) -> (usize, usize) {
        self.batch.as_ref().map_or((0, 0), |batch| (batch.taken.len(), batch.input_bytes))
    }

    /// How many records the open batch has taken, with those that were passed over before it; 0
    /// where none is open.
    pub fn batch_records(&self) -> usize {
        self.batch.as_ref().map_or(0, |batch| self.passed_over.len() + batch.taken.len())
    }

    /// For each source the position after the last record taken.
    pub fn positions(&self) -> impl Iterator<Item = (TopicPartition, Offset)> + '_ {
        let place = |topic| TopicPartition::new(topic, self.partition);
        self.inputs.iter().map(move |input| (place(input.topic), input.taken))
    }

    /// The records that the open batch has taken, in order.
    pub fn batch_taken(&self) -> impl Iterator<Item = &ConsumedRecord> {
        self.batch.iter().flat_map(|batch| batch.taken.iter().map(|(_, record)| record))
    }

    /// What the open batch has taken, and what was passed over before it, for a driver that keeps a
    /// record of it.
    pub fn batch_inputs(&self) -> BatchInputs {
        let Some(batch) = &self.batch else { return BatchInputs::default() };
        let taken = batch.taken.iter().map(|(_, record)| record);
        BatchInputs {
            records: self.passed_over.iter().chain(taken).cloned().collect(),
            ticks: self.ticks - batch.ticks_before,
        }
    }

    /// What the open batch comes to, to be committed. The batch stays open until
    /// [`Task::committed_batch`] or [`Task::aborted`].
    pub fn prepare_commit(&mut self) -> Option<TaskCommit> {
        let batch = self.batch.as_mut()?;
        Some(TaskCommit {
            partition: self.partition,
            outputs: std::mem::take(&mut batch.outputs),
            changes: std::mem::take(&mut batch.overlay).into_changes(),
            offsets: self.inputs.iter().map(|input| (input.topic, input.taken)).collect(),
        })
    }

    /// Closes the open batch, if it only passed over events that mean nothing to the task: what it
    /// has taken can be taken again with the same result, so there is nothing to commit yet. The
    /// next commit has the positions. Requests are never passed over: somebody may wait for theirs.
    pub fn pass_over(&mut self) -> bool {
        let is_event = |(index, _): &(usize, ConsumedRecord)| {
            let trigger = &self.topology.streams()[*index].trigger;
            matches!(trigger, Trigger::Stream { origin: Origin::Internal, .. })
        };
        let is_passed_over = |batch: &mut Batch| {
            let has_effect = !batch.outputs.is_empty() || !batch.overlay.is_empty();
            !has_effect && !batch.taken.is_empty() && batch.taken.iter().all(is_event)
        };
        let Some(batch) = self.batch.take_if(is_passed_over) else { return false };
        self.passed_over.extend(batch.taken.into_iter().map(|(_, record)| record));
        true
    }

    /// How many records were passed over since the last commit.
    pub fn passed_over(&self) -> usize {
        self.passed_over.len()
    }

    /// Closes the open batch: it holds, with the positions after all that was taken.
    pub fn committed_batch(&mut self) {
        self.batch = None;
        self.passed_over.clear();
    }

    /// Gives the open batch up: its records are taken again.
    pub fn aborted(&mut self) {
        let Some(batch) = self.batch.take() else { return };
        self.ticks = batch.ticks_before;
        for (input, before) in self.inputs.iter_mut().zip(batch.positions_before) {
            input.taken = before;
        }
        for (index, record) in batch.taken.into_iter().rev() {
            self.inputs[index].buffer.push_front(record);
        }
    }

    /// The records that could not be decoded although they come from one of our own services, and
    /// that were not put back and taken since.
    ///
    /// # Errors
    /// [`StateError`] where the store cannot be read.
    pub fn bad_records(&self, state: &dyn StateReader) -> Result<Vec<(Bytes, Bytes)>, StateError> {
        task_state::bad_records(state, self.partition)
    }
}
