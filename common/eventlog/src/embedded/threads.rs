//! The two threads of an embedded log: one writes the journal, one makes checkpoints.

use std::sync::Arc;

use redb::Database;
use streams::CommitPosition;

use crate::embedded::commits::CommitBytes;
use crate::embedded::journal::Journal;
use crate::embedded::shared::Shared;
use crate::embedded::snapshot::Snapshot;
use crate::embedded::store;
use crate::embedded::trouble::{Trouble, guarded};
use crate::frozen::Frozen;

/// Writes what is queued, all of it in one go, until the log is closed or a write fails. Commits
/// that come while it writes wait for its next turn: the more there are, the fewer syncs each
/// costs.
pub(crate) fn write_journal(shared: &Shared, mut journal: Journal) {
    while let Some(batch) = next_batch(shared) {
        let written = guarded(|| journal.write(batch.first, &batch.commits, batch.checkpointed));
        match written {
            Ok(()) => shared.advance_durable(batch.last()),
            Err(trouble) => return shared.fail(trouble.on_failing()),
        }
    }
}

/// Commits that the journal thread writes as one row.
struct Batch {
    first: u64,
    commits: Vec<CommitBytes>,
    checkpointed: CommitPosition,
}

impl Batch {
    fn last(&self) -> CommitPosition {
        CommitPosition(self.first + self.commits.len() as u64 - 1)
    }
}

/// Waits for commits; `None` once there will be none any more.
fn next_batch(shared: &Shared) -> Option<Batch> {
    let mut state = shared.lock();
    while state.queue.is_empty() && !state.closing && state.health().is_ok() {
        state.journal_waits = true;
        state = shared.wait(&shared.journal_work, state);
    }
    state.journal_waits = false;
    if state.queue.is_empty() || state.health().is_err() {
        return None;
    }
    let commits = std::mem::take(&mut state.queue);
    let first = state.core.committed().0 + 1 - commits.len() as u64;
    Some(Batch { first, commits, checkpointed: state.checkpointed })
}

/// Makes checkpoints until the log is closed or a write fails.
pub(crate) fn make_checkpoints(shared: &Shared, store: &Database) {
    while let Some(frozen) = next_checkpoint(shared) {
        match guarded(|| checkpoint(store, &frozen)) {
            Ok(snapshot) => finish(shared, &frozen, snapshot),
            Err(trouble) => return shared.fail(trouble.on_failing()),
        }
    }
}

/// Waits for enough to make a checkpoint of, and for that to be in the journal. So it is the
/// journal alone that makes a commit durable, and after it has failed nothing becomes so.
fn next_checkpoint(shared: &Shared) -> Option<Frozen> {
    let mut state = shared.lock();
    while !state.closing
        && state.health().is_ok()
        && state.core.active_bytes < shared.limits.checkpoint_bytes
        && state.checkpoint_wanted <= state.checkpointed
    {
        state = shared.wait(&shared.checkpoint_work, state);
    }
    if state.closing || state.health().is_err() {
        return None;
    }
    let frozen = state.core.freeze();
    while state.core.durable() < frozen.position {
        if state.health().is_err() {
            return None;
        }
        state.checkpoint_awaits = Some(frozen.position);
        state = shared.wait(&shared.checkpoint_work, state);
    }
    Some(frozen)
}

fn checkpoint(store: &Database, frozen: &Frozen) -> Result<Snapshot, Trouble> {
    store::write(store, frozen)?;
    Snapshot::open(store)
}

/// Has readers look at the store for what was frozen, in one step with forgetting it in memory.
fn finish(shared: &Shared, frozen: &Frozen, snapshot: Snapshot) {
    let mut state = shared.lock();
    state.core.release(frozen);
    state.checkpointed = frozen.position;
    let former = std::mem::replace(&mut state.snapshot, Arc::new(snapshot));
    drop(state);
    // The last of the former snapshot and of what was frozen goes here, without the lock.
    drop(former);
    shared.checkpoint_done.notify_all();
}
