//! Looking up the ends of partitions: for queries, ticks, tables and restores, all in one step.

use std::collections::BTreeMap;

use timestamp::Timestamp;

use super::{Outstanding, Slot, Worker, is_ahead};
use crate::error::Error;
use crate::query::QueryEnds;
use crate::record::{Offset, Partition, TopicName, TopicPartition};
use crate::state::StateReader;
use crate::step::{StateBacking, Step};

/// The time between two ticks, in milliseconds.
const TICK_MS: u64 = 1_000;

/// Who waits for the answer of a look-up.
#[derive(Debug, Default)]
pub(super) struct LookUp {
    of: Vec<TopicPartition>,
    queries: Vec<Partition>,
    ticks: Vec<Partition>,
    restoring: Vec<Partition>,
    tables: bool,
    /// Up to where the tasks that wait for the tables were fetched when the look-up began.
    fetched: Vec<(Partition, Vec<(TopicName, Offset)>)>,
}

/// Whether the tables are known to hold what they must.
#[derive(Debug)]
pub(super) enum CatchUp {
    /// They do, for all that was asked.
    Idle,
    /// Their ends are to be looked up.
    Requested,
    /// Their ends are being looked up.
    LookingUp,
    /// They are read up to these ends; then these tasks go on.
    Reading {
        ends: BTreeMap<TopicPartition, Offset>,
        tasks: Vec<(Partition, Vec<(TopicName, Offset)>)>,
    },
}

impl Worker {
    /// A task waits for the tables. One that asks while they are read waits for the next time.
    pub(super) fn request_catch_up(&mut self, partition: Partition) {
        self.waiting_for_tables.insert(partition);
        if matches!(self.catch_up, CatchUp::Idle) {
            self.catch_up = CatchUp::Requested;
        }
    }

    /// One look-up for all that want one.
    pub(super) fn look_up_step(
        &mut self,
        now: Timestamp,
        state: &dyn StateReader,
    ) -> Result<Option<Step>, Error> {
        let mut look_up = LookUp::default();
        self.look_up_for_restoring(&mut look_up);
        self.look_up_for_tables(&mut look_up);
        self.look_up_for_queries(&mut look_up, state)?;
        self.look_up_for_ticks(&mut look_up, now, state)?;
        if look_up.of.is_empty() {
            // Nothing is to be asked of the log: who waited goes on at once.
            self.look_up_ended(look_up, &[]);
            return Ok(None);
        }
        look_up.of.sort_unstable();
        look_up.of.dedup();
        let step = Step::LookUpEnds(look_up.of.clone());
        Ok(Some(self.say(Outstanding::LookUp(look_up), step)))
    }

    fn look_up_for_restoring(&self, look_up: &mut LookUp) {
        for (partition, slot) in &self.slots {
            if matches!(slot, Slot::Located { .. }) {
                look_up.restoring.push(*partition);
                look_up.of.push(TopicPartition::new(self.changelog, *partition));
            }
        }
    }

    fn look_up_for_tables(&mut self, look_up: &mut LookUp) {
        if !matches!(self.catch_up, CatchUp::Requested) {
            return;
        }
        self.catch_up = CatchUp::LookingUp;
        look_up.tables = true;
        look_up.of.extend(self.tables.positions().map(|(source, _)| source));
        for partition in std::mem::take(&mut self.waiting_for_tables) {
            if let Some(Slot::Running(running)) = self.slots.get(&partition) {
                look_up.fetched.push((partition, running.task.fetched()));
            }
        }
    }

    fn look_up_for_queries(
        &mut self,
        look_up: &mut LookUp,
        state: &dyn StateReader,
    ) -> Result<(), Error> {
        for partition in self.queries.fresh_partitions() {
            let Some(Slot::Running(running)) = self.slots.get(&partition) else { continue };
            if !self.queries.park_fresh(partition, running.as_ref(), state)? {
                continue;
            }
            self.queries.look_up_begins(partition);
            look_up.queries.push(partition);
            if self.backing == StateBacking::Changelog {
                look_up.of.push(TopicPartition::new(self.changelog, partition));
            }
            let sources = self.topology.sources_before_misses();
            look_up.of.extend(sources.map(|topic| TopicPartition::new(topic, partition)));
        }
        Ok(())
    }

    fn look_up_for_ticks(
        &mut self,
        look_up: &mut LookUp,
        now: Timestamp,
        state: &dyn StateReader,
    ) -> Result<(), Error> {
        if is_ahead(now, self.next_tick_at, TICK_MS) {
            return Ok(());
        }
        self.next_tick_at = now + TICK_MS;
        for (partition, slot) in &mut self.slots {
            let Slot::Running(running) = slot else { continue };
            running.wants_tick = running.task.wants_tick(state)?;
            if running.wants_tick && running.tick_after.is_none() {
                look_up.ticks.push(*partition);
                let sources = self.topology.sources();
                look_up.of.extend(sources.map(|topic| TopicPartition::new(topic, *partition)));
            }
        }
        Ok(())
    }

    pub(super) fn look_up_ended(&mut self, look_up: LookUp, ends: &[Offset]) {
        let ends: BTreeMap<TopicPartition, Offset> =
            look_up.of.iter().copied().zip(ends.iter().copied()).collect();
        for partition in look_up.restoring {
            let place = TopicPartition::new(self.changelog, partition);
            if let Some(end) = ends.get(&place) {
                self.changelog_end_known(partition, *end);
            }
        }
        for partition in look_up.queries {
            let ends = self.query_ends(partition, &ends);
            self.queries.look_up_ended(partition, Some(&ends));
        }
        for partition in look_up.ticks {
            if let Some(Slot::Running(running)) = self.slots.get_mut(&partition) {
                let of_task = ends.iter().filter(|(source, _)| source.partition == partition);
                running.tick_after = Some(of_task.map(|(source, end)| (*source, *end)).collect());
            }
        }
        if look_up.tables {
            let of_tables = ends.into_iter().filter(|(source, _)| self.tables.contains(*source));
            let ends = of_tables.collect();
            self.catch_up = CatchUp::Reading { ends, tasks: look_up.fetched };
            self.fetch_due = true;
            self.tables_moved();
        }
    }

    fn query_ends(
        &self,
        partition: Partition,
        ends: &BTreeMap<TopicPartition, Offset>,
    ) -> QueryEnds {
        let end_of = |topic| ends.get(&TopicPartition::new(topic, partition)).copied();
        QueryEnds {
            changelog: (self.backing == StateBacking::Changelog)
                .then(|| end_of(self.changelog))
                .flatten(),
            sources: self
                .topology
                .sources_before_misses()
                .filter_map(|topic| end_of(topic).map(|end| (topic, end)))
                .collect(),
        }
    }

    /// A look-up failed: whoever waits for it asks again.
    pub(super) fn look_up_failed(&mut self, look_up: LookUp) {
        for partition in look_up.queries {
            self.queries.look_up_ended(partition, None);
        }
        if !look_up.ticks.is_empty() {
            self.next_tick_at = Timestamp::EPOCH;
        }
        if look_up.tables {
            self.waiting_for_tables.extend(look_up.fetched.iter().map(|(partition, _)| *partition));
            self.catch_up = CatchUp::Requested;
        }
    }

    /// The tables were read on: if they hold what was asked for, the tasks that waited go on.
    pub(super) fn tables_moved(&mut self) {
        let CatchUp::Reading { ends, tasks } = &mut self.catch_up else { return };
        if !self.tables.have_reached(ends) {
            return;
        }
        for (partition, fetched) in std::mem::take(tasks) {
            if let Some(Slot::Running(running)) = self.slots.get_mut(&partition) {
                running.task.tables_caught_up(&fetched);
            }
        }
        self.tables_read = true;
        self.catch_up =
            if self.waiting_for_tables.is_empty() { CatchUp::Idle } else { CatchUp::Requested };
    }
}
