//! Batches: how much is taken before a commit, and what follows the commit.

use timestamp::Timestamp;

use super::life::Running;
use super::{Outstanding, RETRY_MS, Slot, Worker, is_ahead};
use crate::commit::{CommitBatch, CommitOutcome, StoreChange};
use crate::error::Error;
use crate::record::{Offset, Partition};
use crate::state::StateReader;
use crate::step::{StateBacking, Step, StoreWrite};
use crate::task::Progress;

/// A batch ends at this many records,
const BATCH_RECORDS_MAX: usize = 2_000;
/// or this many bytes of input,
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// or after this long, in milliseconds; and of course when there is nothing left to take.
const BATCH_MS_MAX: u64 = 100;
/// Positions behind events that were passed over are committed after this long, in milliseconds,
/// where nothing else was,
const POSITIONS_MS_MAX: u64 = 1_000;
/// or after so many of them.
const PASSED_OVER_RECORDS_MAX: usize = 2_000;
/// How many records a task takes between two looks at the clock.
const PIECE_RECORDS: usize = 128;

impl Worker {
    /// Takes what there is to take; the commit when the batch ends.
    pub(super) fn batch_step(
        &mut self,
        now: Timestamp,
        state: &dyn StateReader,
    ) -> Result<Option<Step>, Error> {
        if !self.tables_read {
            return Ok(None);
        }
        if self.take_ticks(now, state)? {
            return Ok(self.commit_step(now));
        }
        let began_at = *self.batch_began_at.get_or_insert(now);
        let more = self.process_piece(state)?;
        let full = self.batch_is_full() || now.millis_since(began_at) >= BATCH_MS_MAX;
        if more && !full {
            return Ok(Some(self.say(Outstanding::Continue, Step::Continue)));
        }
        Ok(self.commit_step(now))
    }

    /// Gives each task its tick that has come so far. A tick is a batch of its own.
    fn take_ticks(&mut self, now: Timestamp, state: &dyn StateReader) -> Result<bool, Error> {
        let mut taken = false;
        for slot in self.slots.values_mut() {
            let Slot::Running(running) = slot else { continue };
            let due = running.tick_after.as_ref().is_some_and(|ends| running.task.has_taken(ends));
            if due && running.task.batch_size().0 == 0 {
                running.tick_after = None;
                running.task.tick(now, state, &self.tables)?;
                taken = true;
            }
        }
        Ok(taken)
    }

    fn process_piece(&mut self, state: &dyn StateReader) -> Result<bool, Error> {
        let mut more = false;
        let mut behind = Vec::new();
        for (partition, slot) in &mut self.slots {
            let Slot::Running(running) = slot else { continue };
            match running.task.process(PIECE_RECORDS, state, &self.tables)? {
                Progress::Drained => {}
                Progress::More => more = true,
                Progress::TablesBehind => {
                    behind.push(*partition);
                    more |= running.task.has_input();
                }
            }
        }
        for partition in behind {
            self.request_catch_up(partition);
        }
        Ok(more)
    }

    fn batch_is_full(&self) -> bool {
        let (mut records, mut bytes) = (0, 0);
        for slot in self.slots.values() {
            if let Slot::Running(running) = slot {
                let size = running.task.batch_size();
                records += size.0;
                bytes += size.1;
            }
        }
        records >= BATCH_RECORDS_MAX || bytes >= BATCH_BYTES_MAX
    }

    /// The commit of all that the open batches come to, if there is anything.
    fn commit_step(&mut self, now: Timestamp) -> Option<Step> {
        let mut batch = CommitBatch::default();
        let mut changes = Vec::new();
        for (partition, slot) in &mut self.slots {
            let Slot::Running(running) = slot else { continue };
            running.pass_over(now);
            let Some(mut commit) = running.task.prepare_commit() else { continue };
            if self.backing == StateBacking::Changelog {
                commit.changes.push(crate::task_state::offsets(&commit.offsets));
            }
            let wanted =
                self.backing == StateBacking::Changelog || self.queries.has_parked(*partition);
            let kept = if wanted { commit.changes.clone() } else { Vec::new() };
            changes.push((*partition, kept));
            batch.tasks.push(commit);
        }
        self.batch_began_at = None;
        if batch.tasks.is_empty() {
            return None;
        }
        Some(self.say(Outstanding::Commit(changes), Step::Commit(batch)))
    }

    /// When positions are to be committed that no commit had since.
    pub(super) fn positions_due_at(&self) -> Option<Timestamp> {
        let since = self.slots.values().filter_map(|slot| match slot {
            Slot::Running(running) => running.passed_over_since,
            _ => None,
        });
        since.min().map(|since| since + POSITIONS_MS_MAX)
    }

    /// Goes on after a commit; gives the reason where it does not hold for sure.
    pub(super) fn commit_ended(
        &mut self,
        changes: Vec<(Partition, Vec<StoreChange>)>,
        outcome: CommitOutcome,
        now: Timestamp,
    ) -> Option<String> {
        self.fetch_due = true;
        if !matches!(outcome, CommitOutcome::Committed { .. }) {
            self.retry_at = Some(now + RETRY_MS);
        }
        match outcome {
            CommitOutcome::Committed { position, changelog_ends } => {
                self.seen = self.seen.max(position);
                for (partition, changes) in changes {
                    let end = changelog_ends.iter().find(|(found, _)| *found == partition);
                    self.commit_holds(partition, changes, end.map(|(_, end)| *end));
                }
                None
            }
            CommitOutcome::Aborted { reason } => {
                for slot in self.slots.values_mut() {
                    if let Slot::Running(running) = slot {
                        running.task.aborted();
                    }
                }
                Some(reason)
            }
            CommitOutcome::Unknown { reason } => {
                self.restart_tasks();
                Some(reason)
            }
            // Which partition is lost is told with the next assignment; what is not lost goes on
            // from what is committed.
            CommitOutcome::Fenced => {
                self.restart_tasks();
                None
            }
        }
    }

    fn commit_holds(
        &mut self,
        partition: Partition,
        changes: Vec<StoreChange>,
        changelog_end: Option<Offset>,
    ) {
        let Some(Slot::Running(running)) = self.slots.get_mut(&partition) else { return };
        running.position = self.seen;
        running.passed_over_since = None;
        // What it has changed may be something to wait for: the next tick looks.
        running.wants_tick |= running.task.has_timers();
        match self.backing {
            StateBacking::Log => {
                running.task.committed_batch();
                self.queries.committed(partition, &changes);
            }
            // Shown only when the local store has it too: see `store_written`.
            StateBacking::Changelog => {
                let position = changelog_end.unwrap_or(running.changelog);
                self.writes.push_back(StoreWrite { partition, changes, position });
            }
        }
    }

    /// Answers the queries that can be answered.
    pub(super) fn answer_queries(&mut self, state: &dyn StateReader) -> Result<(), Error> {
        for partition in self.queries.take_changed() {
            if let Some(Slot::Running(running)) = self.slots.get_mut(&partition) {
                running.changelog_gap |= self.queries.judge(partition, running.as_ref(), state)?;
            }
        }
        Ok(())
    }
}

impl Running {
    /// Closes the open batch where nothing needs to be committed for it, and opens one where
    /// positions have waited for long enough.
    fn pass_over(&mut self, now: Timestamp) {
        let is_due = |since| !is_ahead(now, since + POSITIONS_MS_MAX, POSITIONS_MS_MAX);
        if self.task.pass_over() {
            self.passed_over_since.get_or_insert(now);
        }
        let is_full = self.task.passed_over() >= PASSED_OVER_RECORDS_MAX;
        if is_full || self.passed_over_since.is_some_and(is_due) {
            self.task.begin_batch();
        }
    }
}
