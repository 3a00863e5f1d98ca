//! How tasks come to run: positions, restore from the changelog, and starting again.

use std::collections::BTreeMap;
use std::sync::Arc;

use timestamp::Timestamp;

use super::{Outstanding, RETRY_MS, Worker};
use crate::commit::CommitPosition;
use crate::error::Error;
use crate::query::TaskView;
use crate::record::{Offset, Partition, TopicName, TopicPartition};
use crate::state::StateReader;
use crate::step::{Restored, StateBacking, Step, StoreWrite, TaskPositions};
use crate::task::Task;
use crate::task_state;

/// Where a task is in its life.
#[derive(Debug)]
pub(super) enum Slot {
    /// Its positions are not known yet.
    Assigned,
    /// The end of its changelog is not known yet.
    Located { positions: TaskPositions },
    /// Its changelog is read from `from` up to `end`.
    Restoring { positions: TaskPositions, from: Offset, end: Offset },
    /// Its local store is of no use and is emptied, to be restored from the start.
    Wiping { positions: TaskPositions, end: Offset },
    /// It takes records.
    Running(Box<Running>),
}

impl Slot {
    /// Whether it may have to be woken for a tick.
    pub(super) fn wants_tick(&self) -> bool {
        matches!(self, Slot::Running(running) if running.wants_tick)
    }
}

/// A task that takes records.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) task: Task,
    /// Up to where it knows its changelog: what it has committed or restored.
    pub(super) changelog: Offset,
    /// It got there by a commit of its own, whose marker takes an offset from there on.
    pub(super) marker_follows: bool,
    /// A query's look-up showed more in the changelog than the task knows.
    pub(super) changelog_gap: bool,
    /// Since when it has taken events that meant nothing to it and that no commit had since.
    pub(super) passed_over_since: Option<Timestamp>,
    /// The position of its last commit.
    pub(super) position: CommitPosition,
    /// Its timers may have something to wait for.
    pub(super) wants_tick: bool,
    /// A tick is to be taken when its inputs have been taken up to these ends.
    pub(super) tick_after: Option<BTreeMap<TopicPartition, Offset>>,
}

impl TaskView for Running {
    /// One more offset than it has written where its own marker follows. Whatever takes that
    /// offset, no other owner has committed yet: it would first have read the changelog up to an
    /// end, which cannot be passed before that marker is written.
    fn changelog(&self) -> Offset {
        if self.marker_follows { self.changelog.next() } else { self.changelog }
    }

    fn committed(&self, topic: TopicName) -> Offset {
        self.task.committed(topic).unwrap_or_default()
    }

    fn position(&self) -> CommitPosition {
        self.position
    }
}

impl Worker {
    pub(super) fn load_positions_step(&mut self) -> Option<Step> {
        if self.start_retry_at.is_some() {
            return None;
        }
        let partitions: Vec<Partition> = self
            .slots
            .iter()
            .filter(|(_, slot)| matches!(slot, Slot::Assigned))
            .map(|(partition, _)| *partition)
            .collect();
        if partitions.is_empty() {
            return None;
        }
        let step = Step::LoadPositions(partitions.clone());
        Some(self.say(Outstanding::LoadPositions(partitions), step))
    }

    pub(super) fn positions_loaded(
        &mut self,
        partitions: &[Partition],
        positions: Vec<TaskPositions>,
        state: &dyn StateReader,
    ) -> Result<(), Error> {
        for (partition, positions) in partitions.iter().zip(positions) {
            self.seen = self.seen.max(positions.as_of);
            match self.backing {
                StateBacking::Log => {
                    let committed = positions.committed.into_iter().collect();
                    self.run(*partition, &committed, Offset(0), state)?;
                }
                StateBacking::Changelog => {
                    self.slots.insert(*partition, Slot::Located { positions });
                }
            }
        }
        Ok(())
    }

    /// The end of a task's changelog is known: everything before it is to be restored.
    pub(super) fn changelog_end_known(&mut self, partition: Partition, end: Offset) {
        let Some(slot) = self.slots.get_mut(&partition) else { return };
        if let Slot::Located { positions } = slot {
            let positions = std::mem::take(positions);
            let from = positions.checkpoint.unwrap_or_default();
            // A store beyond the end is not of this changelog.
            *slot = if from > end {
                Slot::Wiping { positions, end }
            } else {
                Slot::Restoring { positions, from, end }
            };
        }
    }

    /// Reads a changelog on: of a task that restores, or that a query showed to be behind.
    pub(super) fn changelog_step(&mut self) -> Option<Step> {
        if self.start_retry_at.is_some() {
            return None;
        }
        let (partition, from) = self.slots.iter().find_map(|(partition, slot)| match slot {
            Slot::Restoring { from, .. } => Some((*partition, Some(*from))),
            Slot::Running(running) if running.changelog_gap => {
                Some((*partition, Some(running.changelog)))
            }
            Slot::Wiping { .. } => Some((*partition, None)),
            _ => None,
        })?;
        self.changelog_had_its_turn = true;
        Some(match from {
            Some(from) => {
                let step = Step::ReadChangelog { partition, from };
                self.say(Outstanding::ReadChangelog(partition), step)
            }
            None => self.say(Outstanding::WipeStore(partition), Step::WipeStore(partition)),
        })
    }

    pub(super) fn changelog_read(
        &mut self,
        partition: Partition,
        restored: Restored,
        now: Timestamp,
    ) {
        let Restored { changes, position } = restored;
        // The rest is in a transaction that has not ended yet.
        let retry_at = Some(now + RETRY_MS);
        match self.slots.get_mut(&partition) {
            Some(Slot::Restoring { from, .. }) => {
                if position == *from {
                    self.start_retry_at = retry_at;
                } else {
                    *from = position;
                    self.writes.push_back(StoreWrite { partition, changes, position });
                }
            }
            Some(Slot::Running(running)) => {
                running.changelog_gap = false;
                if changes.is_empty() {
                    if position <= running.changelog {
                        self.start_retry_at = retry_at;
                    }
                    if position > running.changelog {
                        running.changelog = position;
                        running.marker_follows = false;
                    }
                    self.queries.touch(partition);
                } else {
                    // Another owner has committed: what this task holds is stale.
                    self.restart_task(partition);
                }
            }
            _ => {}
        }
    }

    pub(super) fn changelog_out_of_range(&mut self, partition: Partition) {
        match self.slots.get_mut(&partition) {
            Some(Slot::Restoring { positions, end, .. }) => {
                let (positions, end) = (std::mem::take(positions), *end);
                self.slots.insert(partition, Slot::Wiping { positions, end });
            }
            _ => self.restart_task(partition),
        }
    }

    pub(super) fn store_wiped(&mut self, partition: Partition) {
        if let Some(Slot::Wiping { positions, end }) = self.slots.get_mut(&partition) {
            let (positions, end) = (std::mem::take(positions), *end);
            self.slots.insert(partition, Slot::Restoring { positions, from: Offset(0), end });
        }
    }

    pub(super) fn store_written(&mut self, partition: Partition) {
        let is_written = |write: &mut StoreWrite| write.partition == partition;
        let Some(write) = self.writes.pop_front_if(is_written) else { return };
        if let Some(Slot::Running(running)) = self.slots.get_mut(&partition) {
            if write.position > running.changelog {
                running.changelog = write.position;
                running.marker_follows = true;
            }
            running.task.committed_batch();
            self.queries.committed(partition, &write.changes);
        }
    }

    /// Lets the tasks run whose changelog has been read to its end and written.
    pub(super) fn finish_restoring(&mut self, state: &dyn StateReader) -> Result<(), Error> {
        let restored: Vec<(Partition, TaskPositions, Offset)> = self
            .slots
            .iter()
            .filter_map(|(partition, slot)| match slot {
                Slot::Restoring { positions, from, end } if from >= end => {
                    Some((*partition, positions.clone(), *from))
                }
                _ => None,
            })
            .collect();
        for (partition, positions, changelog) in restored {
            let group = positions.committed.into_iter().collect();
            let changelog_offsets = task_state::read_offsets(&self.topology, state, partition)?;
            let resolved = match resolve_positions(partition, group, changelog_offsets) {
                Ok(resolved) => resolved,
                Err(error) => {
                    self.suspect(partition, error)?;
                    continue;
                }
            };
            self.suspected.remove(&partition);
            self.run(partition, &resolved.positions, changelog, state)?;
            if let Some(Slot::Running(running)) = self.slots.get_mut(&partition)
                && resolved.commit_them
            {
                running.task.begin_batch();
            }
        }
        Ok(())
    }

    /// Offsets that differ stop the worker when they do so twice alike. Once may be a commit of
    /// another owner between the look at the group's and the look at the changelog's.
    fn suspect(&mut self, partition: Partition, error: Error) -> Result<(), Error> {
        let before = self.suspected.insert(partition, error.clone());
        if before.as_ref() == Some(&error) {
            return Err(error);
        }
        self.restart_task(partition);
        Ok(())
    }

    fn run(
        &mut self,
        partition: Partition,
        positions: &BTreeMap<TopicName, Offset>,
        changelog: Offset,
        state: &dyn StateReader,
    ) -> Result<(), Error> {
        let topology = Arc::clone(&self.topology);
        let task = Task::new(topology, partition, self.partitions, positions, state)?;
        let wants_tick = task.wants_tick(state)?;
        let running = Running {
            task,
            changelog,
            marker_follows: false,
            changelog_gap: false,
            passed_over_since: None,
            position: self.seen,
            wants_tick,
            tick_after: None,
        };
        self.slots.insert(partition, Slot::Running(Box::new(running)));
        self.queries.touch(partition);
        self.fetch_due = true;
        Ok(())
    }

    /// Starts a task again from what is committed.
    pub(super) fn restart_task(&mut self, partition: Partition) {
        self.writes.retain(|write| write.partition != partition);
        if let Some(slot) = self.slots.get_mut(&partition) {
            *slot = Slot::Assigned;
            self.queries.task_restarts(partition);
        }
    }

    /// Starts everything again: what became of the last commit is not known.
    pub(super) fn restart_tasks(&mut self) {
        self.opened = false;
        let partitions: Vec<Partition> = self.slots.keys().copied().collect();
        for partition in partitions {
            self.restart_task(partition);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct ResolvedPositions {
    positions: BTreeMap<TopicName, Offset>,
    /// The group has none of its own (any more): these are to be committed for it.
    commit_them: bool,
}

/// From where a task goes on: the group's offsets, which must be the changelog's. Offsets of a
/// group expire and groups get deleted; then the changelog's are used.
fn resolve_positions(
    partition: Partition,
    group: BTreeMap<TopicName, Offset>,
    changelog: Option<BTreeMap<TopicName, Offset>>,
) -> Result<ResolvedPositions, Error> {
    let changelog = changelog.unwrap_or_default();
    for (topic, offset) in &group {
        let known = changelog.get(topic).copied();
        if known != Some(*offset) {
            return Err(Error::OffsetsDiffer {
                topic: *topic,
                partition,
                group: Some(*offset),
                changelog: known,
            });
        }
    }
    let commit_them = changelog.keys().any(|topic| !group.contains_key(topic));
    Ok(ResolvedPositions { positions: changelog, commit_them })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: TopicName = TopicName::new("orders");
    const LINES: TopicName = TopicName::new("lines");

    fn offsets(of: &[(TopicName, u64)]) -> BTreeMap<TopicName, Offset> {
        of.iter().map(|(topic, offset)| (*topic, Offset(*offset))).collect()
    }

    #[test]
    fn offsets_that_agree_are_where_the_task_goes_on() {
        let both = offsets(&[(ORDERS, 7), (LINES, 0)]);
        let resolved = resolve_positions(Partition(0), both.clone(), Some(both.clone())).unwrap();
        assert_eq!(resolved, ResolvedPositions { positions: both, commit_them: false });
    }

    #[test]
    fn expired_group_offsets_are_taken_from_the_changelog_and_committed() {
        let known = offsets(&[(ORDERS, 7)]);
        let resolved =
            resolve_positions(Partition(0), BTreeMap::new(), Some(known.clone())).unwrap();
        assert_eq!(resolved, ResolvedPositions { positions: known, commit_them: true });
    }

    #[test]
    fn a_new_task_begins_at_the_start() {
        let resolved = resolve_positions(Partition(0), BTreeMap::new(), None).unwrap();
        assert_eq!(resolved.positions, BTreeMap::new());
        assert!(!resolved.commit_them);
    }

    #[test]
    fn offsets_that_differ_stop_the_worker() {
        let group = offsets(&[(ORDERS, 7)]);
        for changelog in [None, Some(offsets(&[(ORDERS, 6)])), Some(offsets(&[(LINES, 7)]))] {
            let refused = resolve_positions(Partition(3), group.clone(), changelog);
            assert!(matches!(refused, Err(Error::OffsetsDiffer { topic: ORDERS, .. })));
        }
    }
}
