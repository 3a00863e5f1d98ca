//! INV-8: what a task has taken, cut into other batches, gives the same outputs and state again,
//! byte for byte.

use std::collections::BTreeMap;
use std::sync::Arc;

use streams::{
    ConsumedRecord, Offset, Partition, ProducedRecord, Tables, Task, Timestamp, TopicPartition,
    Topology,
};

use super::state::{self, Entries, EntriesReader};
use crate::failure::{REPLAY, Violation};
use crate::log::{Attempt, SimulatedLog};
use crate::random::Random;

/// What every task has taken, in the order of its commits.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    tasks: BTreeMap<(usize, Partition), Vec<Arc<Attempt>>>,
}

impl Replay {
    pub(crate) fn committed(&mut self, attempt: &Arc<Attempt>) {
        for task in &attempt.batch.tasks {
            let place = (attempt.place.service, task.partition);
            self.tasks.entry(place).or_default().push(Arc::clone(attempt));
        }
    }

    /// Runs everything again and compares.
    pub(crate) fn check(
        &self,
        services: &[Arc<Topology>],
        partitions: u32,
        log: &dyn SimulatedLog,
        random: &mut Random,
    ) -> Result<(), Violation> {
        let mut tables = TableHistories::default();
        for ((service, partition), attempts) in &self.tasks {
            let topology = &services[*service];
            tables.read(topology, partitions, log);
            let error = |detail: String| {
                let detail = format!("{} partition {partition}: {detail}", topology.name());
                Violation::new(REPLAY, detail)
            };
            let again = Again::new(topology, *partition, partitions).map_err(error)?;
            let again = again.run(attempts, &tables, random).map_err(error)?;
            again.compare(attempts).map_err(error)?;
        }
        Ok(())
    }
}

/// The records of all tables that were read so far.
#[derive(Default)]
struct TableHistories(BTreeMap<TopicPartition, Vec<ConsumedRecord>>);

impl TableHistories {
    fn read(&mut self, topology: &Topology, partitions: u32, log: &dyn SimulatedLog) {
        for topic in topology.tables() {
            for number in 0..partitions {
                let of = TopicPartition::new(topic, Partition(number));
                self.0.entry(of).or_insert_with(|| log.history(of));
            }
        }
    }

    /// Brings tables up to these positions.
    fn advance(&self, tables: &mut Tables, to: &[(TopicPartition, Offset)]) {
        let from: BTreeMap<TopicPartition, Offset> = tables.positions().collect();
        for (of, until) in to {
            let Some(from) = from.get(of).filter(|from| *from < until) else { continue };
            let history = self.0.get(of).map(Vec::as_slice).unwrap_or_default();
            let first = history.partition_point(|record| record.offset < *from);
            for record in history[first..].iter().take_while(|record| record.offset < *until) {
                tables.take(record);
            }
            tables.advance(*of, *until);
        }
    }
}

/// A task that takes again what another one has taken.
struct Again {
    task: Task,
    topology: Arc<Topology>,
    partition: Partition,
    partitions: u32,
    state: EntriesReader,
    outputs: Vec<ProducedRecord>,
}

impl Again {
    fn new(
        topology: &Arc<Topology>,
        partition: Partition,
        partitions: u32,
    ) -> Result<Self, String> {
        let state = EntriesReader::default();
        let positions = BTreeMap::new();
        let mut task = Task::new(Arc::clone(topology), partition, partitions, &positions, &state)
            .map_err(|error| error.to_string())?;
        // The tables are given as they were: what was decided with them needs no newer ones.
        let current: Vec<_> = topology.sources().map(|topic| (topic, Offset(u64::MAX))).collect();
        task.tables_caught_up(&current);
        let topology = Arc::clone(topology);
        Ok(Again { task, topology, partition, partitions, state, outputs: Vec::new() })
    }

    fn run(
        mut self,
        attempts: &[Arc<Attempt>],
        histories: &TableHistories,
        random: &mut Random,
    ) -> Result<Self, String> {
        let mut tables = Tables::new(Arc::clone(&self.topology), self.partitions);
        let longest_batch = random.between(1, 20);
        for attempt in attempts {
            // Instances differ in how far they have read their tables.
            if tables.positions().ne(attempt.tables.iter().copied()) {
                if tables.positions().zip(&attempt.tables).any(|(at, to)| at.1 > to.1) {
                    tables = Tables::new(Arc::clone(&self.topology), self.partitions);
                }
                histories.advance(&mut tables, &attempt.tables);
            }
            let of_task = |(partition, _): &&(Partition, _)| *partition == self.partition;
            let Some((_, inputs)) = attempt.inputs.iter().find(of_task) else { continue };
            for record in &inputs.records {
                self.take(record, &tables)?;
                if random.below(longest_batch) == 0 {
                    self.commit();
                }
            }
            for _ in 0..inputs.ticks {
                self.tick(attempt.ended_at, &tables)?;
            }
        }
        self.commit();
        Ok(self)
    }

    fn take(&mut self, record: &ConsumedRecord, tables: &Tables) -> Result<(), String> {
        self.task.push(record.clone());
        let progress = self.task.process(1, &self.state, tables);
        match progress {
            Ok(streams::Progress::Drained) => Ok(()),
            other => Err(format!("{} {} gave {other:?}", record.source, record.offset)),
        }
    }

    fn tick(&mut self, at: Timestamp, tables: &Tables) -> Result<(), String> {
        self.task.tick(at, &self.state, tables).map_err(|error| error.to_string())
    }

    fn commit(&mut self) {
        if let Some(commit) = self.task.prepare_commit() {
            state::apply(&mut self.state.0, &commit.changes);
            self.outputs.extend(commit.outputs);
            self.task.committed_batch();
        }
    }

    fn compare(&self, attempts: &[Arc<Attempt>]) -> Result<(), String> {
        let mut state = Entries::new();
        let mut outputs = Vec::with_capacity(self.outputs.len());
        for attempt in attempts {
            let tasks = attempt.batch.tasks.iter();
            for task in tasks.filter(|task| task.partition == self.partition) {
                outputs.extend(&task.outputs);
                state::apply(&mut state, &task.changes);
            }
        }
        state.retain(|(store, key), _| !state::is_offsets(*store, key));
        if let Some(difference) = state::difference(&state, &self.state.0) {
            return Err(format!("the state was and is now: {difference}"));
        }
        let mut pairs = (0..).zip(outputs.iter().copied().zip(&self.outputs));
        if let Some((index, (was, is))) = pairs.find(|(_, (was, is))| was != is) {
            return Err(format!("output {index} was {was:?}, is {is:?}"));
        }
        if outputs.len() != self.outputs.len() {
            return Err(format!("{} outputs were {}", self.outputs.len(), outputs.len()));
        }
        Ok(())
    }
}
