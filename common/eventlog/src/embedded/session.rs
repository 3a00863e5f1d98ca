//! A worker's connection to an embedded log.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use streams::{
    Assignment, CommitBatch, CommitOutcome, CommitPosition, Fetched, KeyRange, Offset, Partition,
    Restored, StateBacking, StateError, StateReader, StoreName, StoreWrite, TaskPositions,
    TopicPartition,
};

use crate::budget::Budget;
use crate::core::Core;
use crate::embedded::EmbeddedLog;
use crate::embedded::commits::CommitBytes;
use crate::embedded::snapshot::Snapshot;
use crate::embedded::trouble::guarded;
use crate::error::Error;
use crate::frozen::{Wanted, released};
use crate::group::SessionId;
use crate::log::{OnDurable, Session};
use crate::memtable::{Known, merged};
use crate::prepared::Prepared;
use crate::waiting::call;

/// A worker's connection to an [`EmbeddedLog`].
pub struct EmbeddedSession {
    log: EmbeddedLog,
    group: &'static str,
    id: SessionId,
}

impl EmbeddedSession {
    pub(super) fn new(log: EmbeddedLog, group: &'static str, id: SessionId) -> Self {
        EmbeddedSession { log, group, id }
    }

    /// Reads what is not in memory any more, which only those want who are far behind.
    fn fetch_released(
        &self,
        released: &[(usize, Wanted)],
        snapshot: &Snapshot,
        records_max: usize,
        fetched: &mut Fetched,
    ) -> Result<(), Error> {
        let mut budget = Budget::new(released.len(), records_max);
        for (index, wanted) in released {
            let mut share = budget.share();
            let next = guarded(|| snapshot.read(*wanted, &mut share, &mut fetched.records))
                .map_err(|trouble| trouble.in_directory(&self.log.shared().directory))?;
            budget.settle(&share);
            fetched.positions[*index].1 = next;
        }
        Ok(())
    }
}

impl Drop for EmbeddedSession {
    fn drop(&mut self) {
        let wakers = self.log.shared().lock().core.leave(self.id);
        wakers.iter().for_each(|wake| wake());
    }
}

impl StateReader for EmbeddedSession {
    fn get(
        &self,
        partition: Partition,
        store: StoreName,
        key: &[u8],
    ) -> Result<Option<Bytes>, StateError> {
        let snapshot = {
            let state = self.log.shared().lock();
            if let Known::Changed(value) = state.core.known(self.id, (store, partition), key) {
                return Ok(value);
            }
            Arc::clone(&state.snapshot)
        };
        guarded(|| snapshot.get(self.group, store.as_str(), partition, key))
            .map_err(|trouble| trouble.on_state(store))
    }

    fn range(
        &self,
        partition: Partition,
        store: StoreName,
        range: &KeyRange,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StateError> {
        let (changes, snapshot) = {
            let state = self.log.shared().lock();
            let changes = state.core.changes(self.id, (store, partition), range, limit);
            (changes, Arc::clone(&state.snapshot))
        };
        guarded(|| {
            let below = snapshot.range(self.group, store.as_str(), partition, range)?;
            merged(changes, below, limit)
        })
        .map_err(|trouble| trouble.on_state(store))
    }
}

impl Session for EmbeddedSession {
    fn state_backing(&self) -> StateBacking {
        StateBacking::Log
    }

    fn assignment(&mut self) -> Result<Assignment, Error> {
        Ok(self.log.shared().lock().core.assignment(self.id))
    }

    fn open(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn positions(&mut self, partitions: &[Partition]) -> Result<Vec<TaskPositions>, Error> {
        Ok(self.log.shared().lock().core.positions(self.id, partitions))
    }

    fn ends(&mut self, of: &[TopicPartition]) -> Result<Vec<Offset>, Error> {
        self.log.shared().lock().core.ends(of)
    }

    fn fetch(
        &mut self,
        from: &[(TopicPartition, Offset)],
        records_max: usize,
    ) -> Result<Fetched, Error> {
        let mut fetched = Fetched { positions: from.to_vec(), ..Fetched::default() };
        loop {
            let (released, snapshot) = {
                let state = self.log.shared().lock();
                let places = state.core.readable(&fetched.positions)?;
                let released = released(&places);
                if released.is_empty() {
                    return Ok(Core::fetch_from(&places, records_max));
                }
                fetched.as_of = state.checkpointed;
                (released, Arc::clone(&state.snapshot))
            };
            self.fetch_released(&released, &snapshot, records_max, &mut fetched)?;
            // Where the store had none, there may be some in memory.
            if !fetched.records.is_empty() {
                return Ok(fetched);
            }
        }
    }

    fn commit(&mut self, batch: CommitBatch) -> CommitOutcome {
        let shared = self.log.shared();
        let commit = Prepared::batch(self.group, batch);
        let bytes = CommitBytes::new(&commit);
        let mut state = shared.lock();
        loop {
            if let Err(error) = state.health() {
                return CommitOutcome::Aborted { reason: error.to_string() };
            }
            if state.bytes() < shared.limits.commit_bytes_max {
                break;
            }
            state = shared.wait(&shared.checkpoint_done, state);
        }
        let (outcome, wakers) = state.core.commit_prepared(self.id, commit);
        if matches!(outcome, CommitOutcome::Committed { .. }) {
            shared.queue(state, bytes, &wakers);
        }
        outcome
    }

    fn restore(&mut self, _: Partition, from: Offset) -> Result<Restored, Error> {
        Ok(Restored { changes: Vec::new(), position: from })
    }

    fn store(&mut self, _: Vec<StoreWrite>) -> Result<(), Error> {
        Ok(())
    }

    fn wipe(&mut self, _: Partition) -> Result<(), Error> {
        Ok(())
    }

    fn when_durable(&self, position: CommitPosition, then: OnDurable) {
        let due = self.log.shared().lock().core.when_durable(position, then);
        call(due);
    }
}

impl fmt::Debug for EmbeddedSession {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EmbeddedSession")
            .field("group", &self.group)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
