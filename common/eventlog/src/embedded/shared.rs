//! What the handles, the sessions and the two threads of an embedded log share.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use streams::CommitPosition;

use crate::core::{Core, Wakers};
use crate::embedded::commits::CommitBytes;
use crate::embedded::snapshot::Snapshot;
use crate::error::Error;
use crate::waiting::{Due, call};

/// How much of the log is kept in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A checkpoint is made once this much has come since the one before.
    pub(crate) checkpoint_bytes: usize,
    /// Requests from outside are refused while this much is in memory.
    pub(crate) append_bytes_max: usize,
    /// Commits of sessions wait while this much is in memory: more than where requests are
    /// refused, so that what was let in can be worked off.
    pub(crate) commit_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Limits { checkpoint_bytes: 8 * MIB, append_bytes_max: 16 * MIB, commit_bytes_max: 24 * MIB }
    }
}

/// What is shared, and how its users wait for each other.
pub(crate) struct Shared {
    pub(crate) directory: PathBuf,
    pub(crate) limits: Limits,
    state: Mutex<State>,
    /// The journal thread waits here for commits to write.
    pub(crate) journal_work: Condvar,
    /// The checkpoint thread waits here for enough to write, and for it to be in the journal.
    pub(crate) checkpoint_work: Condvar,
    /// Whoever waits for a checkpoint to be done waits here.
    pub(crate) checkpoint_done: Condvar,
}

/// The state behind the lock.
pub(crate) struct State {
    pub(crate) core: Core,
    /// The commits that the journal thread has not taken yet; the last is the core's newest.
    pub(crate) queue: Vec<CommitBytes>,
    /// Whether the journal thread waits to be woken: spares most commits a system call.
    pub(crate) journal_waits: bool,
    pub(crate) snapshot: Arc<Snapshot>,
    /// The position of the last checkpoint.
    pub(crate) checkpointed: CommitPosition,
    /// A checkpoint that covers this position is wanted, however little it writes.
    pub(crate) checkpoint_wanted: CommitPosition,
    /// What the checkpoint thread waits for to be in the journal.
    pub(crate) checkpoint_awaits: Option<CommitPosition>,
    /// All handles are gone.
    pub(crate) closing: bool,
}

impl State {
    pub(crate) fn bytes(&self) -> usize {
        self.core.active_bytes + self.core.frozen_bytes
    }

    pub(crate) fn health(&self) -> Result<(), Error> {
        self.core.waiting.failure().map_or(Ok(()), |failure| Err(failure.clone()))
    }
}

impl Shared {
    pub(crate) fn new(directory: PathBuf, limits: Limits, state: State) -> Self {
        Shared {
            directory,
            limits,
            state: Mutex::new(state),
            journal_work: Condvar::new(),
            checkpoint_work: Condvar::new(),
            checkpoint_done: Condvar::new(),
        }
    }

    /// Takes the lock. A thread that panicked while it had it has left the state whole: the core
    /// checks first and changes then.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wait<'state>(
        &self,
        condition: &Condvar,
        state: MutexGuard<'state, State>,
    ) -> MutexGuard<'state, State> {
        condition.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues the commit that was just made for the journal, lets go of the lock, and wakes
    /// whoever it concerns.
    pub(crate) fn queue(
        &self,
        mut state: MutexGuard<'_, State>,
        commit: CommitBytes,
        wakers: &Wakers,
    ) {
        state.queue.push(commit);
        let wakes_journal = std::mem::take(&mut state.journal_waits);
        let wakes_checkpoint =
            state.core.frozen_bytes == 0 && state.core.active_bytes >= self.limits.checkpoint_bytes;
        drop(state);
        if wakes_journal {
            self.journal_work.notify_one();
        }
        if wakes_checkpoint {
            self.checkpoint_work.notify_one();
        }
        wakers.iter().for_each(|wake| wake());
    }

    /// Ends all writing: a write has failed, and trying again could make it look as if it had not.
    pub(crate) fn fail(&self, error: Error) {
        tracing::error!(%error, "the log takes no more commits");
        let due = self.lock().core.waiting.fail(error);
        self.wake_all();
        call(due);
    }

    /// Says that commits up to this position are on disk.
    pub(crate) fn advance_durable(&self, position: CommitPosition) {
        let mut state = self.lock();
        let due: Vec<Due> = state.core.advance_durable(position);
        let awaited = state.checkpoint_awaits.take_if(|awaited| *awaited <= position);
        drop(state);
        if awaited.is_some() {
            self.checkpoint_work.notify_one();
        }
        call(due);
    }

    pub(crate) fn wake_all(&self) {
        self.journal_work.notify_all();
        self.checkpoint_work.notify_all();
        self.checkpoint_done.notify_all();
    }
}
