//! The log on local disk.
//!
//! ```text
//!   commit --> core (memory) --> queue --> journal.redb     one row and one sync for all that
//!                |                                          waits; then it is durable
//!                +-- checkpoint --> store.redb              what the tail in memory has beyond
//!                                                           some bytes, in one transaction
//! ```
//!
//! A commit is made in memory and seen at once by the sessions; it is durable, and seen by readers
//! outside, once the journal has it. The store takes over what is older: records packed in blocks,
//! entries of state stores, offsets. So the memory in use is bounded, the journal is short, and
//! opening the log means reading a few rows of the store and replaying the journal.
//!
//! A write that fails ends all writing until the next start. A second try could succeed although
//! the system has thrown away what the first one was to write.

mod blocks;
mod commits;
mod compaction;
mod files;
mod journal;
mod layout;
mod opening;
#[cfg(test)]
mod power;
#[cfg(test)]
mod power_cut;
#[cfg(test)]
mod same_as_memory;
mod session;
mod shared;
mod snapshot;
mod store;
#[cfg(test)]
mod tests;
mod threads;
mod trouble;

use std::fmt;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use redb::Database;
#[cfg(any(test, feature = "test-util"))]
use redb::StorageBackend;
use streams::{CommitPosition, ConsumedRecord, Fetched, Offset, ProducedRecord, TopicPartition};

use crate::budget::{Budget, Share};
use crate::encoding::encode_record;
use crate::error::Error;
use crate::frozen::Wanted;
use crate::log::{Appended, BoxFuture, Log, Membership, RequestLog, TopicConfig, Waker};
use crate::prepared::Prepared;
use crate::waiting;

pub use session::EmbeddedSession;

use commits::CommitBytes;
use files::Databases;
use opening::Opened;
use shared::{Limits, Shared};
use trouble::{Trouble, guarded};

/// The log on local disk. Clones are the same log; it is closed when the last of them and of its
/// sessions is dropped, after what was committed is written.
#[derive(Clone)]
pub struct EmbeddedLog {
    running: Arc<Running>,
}

/// The threads of a log, which end when it goes.
struct Running {
    shared: Arc<Shared>,
    /// Kept open for the readers, also when the checkpoint thread has ended for an error.
    store: Option<Arc<Database>>,
    threads: Vec<JoinHandle<()>>,
    /// Keeps other processes away until the files are closed.
    _lock: Option<File>,
}

impl EmbeddedLog {
    /// Opens the log in this directory, and makes it where it is not there. Topics may be added
    /// from one opening to the next; the number of partitions is for good.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::Directory`], [`Error::Corrupt`], [`Error::Partitions`].
    pub fn open(
        directory: &Path,
        topics: Vec<TopicConfig>,
        partitions: u32,
    ) -> Result<Self, Error> {
        let open = || files::open(directory, partitions);
        Self::start(directory, open, (topics, partitions), Limits::default())
    }

    fn start(
        directory: &Path,
        open: impl FnOnce() -> Result<Databases, Trouble>,
        (topics, partitions): (Vec<TopicConfig>, u32),
        limits: Limits,
    ) -> Result<Self, Error> {
        let opened = guarded(|| opening::load(open()?, &topics, partitions));
        let Opened { state, journal, store, lock } =
            opened.map_err(|trouble| trouble.in_directory(directory))?;
        let store = Arc::new(store);
        let shared = Arc::new(Shared::new(directory.to_owned(), limits, state));
        let mut running = Running {
            shared: Arc::clone(&shared),
            store: Some(Arc::clone(&store)),
            threads: Vec::new(),
            _lock: lock,
        };
        let for_journal = Arc::clone(&shared);
        let for_checkpoints = Arc::clone(&shared);
        running.spawn("log-journal", move || threads::write_journal(&for_journal, journal))?;
        running.spawn("log-checkpoint", move || {
            threads::make_checkpoints(&for_checkpoints, &store);
        })?;
        Ok(EmbeddedLog { running: Arc::new(running) })
    }

    fn shared(&self) -> &Shared {
        &self.running.shared
    }

    fn append_now(&self, record: &ProducedRecord) -> Result<Appended, Error> {
        let of = record.destination;
        let commit = Prepared::append(of, encode_record(record));
        let bytes = CommitBytes::new(&commit);
        let mut state = self.shared().lock();
        state.health()?;
        if state.bytes() >= self.shared().limits.append_bytes_max {
            return Err(Error::Overloaded);
        }
        let (appended, wakers) = state.core.append_prepared(of, commit)?;
        self.shared().queue(state, bytes, &wakers);
        Ok(appended)
    }

    fn read_now(
        &self,
        of: TopicPartition,
        from: Offset,
        records_max: usize,
    ) -> Result<Vec<ConsumedRecord>, Error> {
        let mut records = Vec::new();
        self.read_into(&mut records, (of, from), &mut Share::of_records(records_max))?;
        Ok(records)
    }

    fn read_into(
        &self,
        records: &mut Vec<ConsumedRecord>,
        (of, mut position): (TopicPartition, Offset),
        share: &mut Share,
    ) -> Result<(), Error> {
        loop {
            let (snapshot, until) = {
                let state = self.shared().lock();
                let tail = state.core.topics.readable(of, position)?;
                if position >= tail.base() {
                    let durable = state.core.durable();
                    tail.read_durable((of, position), durable, share, records);
                    return Ok(());
                }
                (Arc::clone(&state.snapshot), tail.base())
            };
            let wanted = Wanted { of, from: position, until };
            position = guarded(|| snapshot.read(wanted, share, records))
                .map_err(|trouble| trouble.in_directory(&self.shared().directory))?;
            if share.is_used_up() {
                return Ok(());
            }
        }
    }

    /// Durable records from these positions on, and up to where all of them were looked for.
    fn follow_now(
        &self,
        from: &[(TopicPartition, Offset)],
        records_max: usize,
    ) -> Result<Fetched, Error> {
        let as_of = self.shared().lock().core.durable();
        let mut fetched = Fetched { as_of, ..Fetched::default() };
        let mut budget = Budget::new(from.len(), records_max);
        for (of, position) in from {
            let mut share = budget.share();
            let before = fetched.records.len();
            self.read_into(&mut fetched.records, (*of, *position), &mut share)?;
            budget.settle(&share);
            let last = fetched.records[before..].last();
            fetched.positions.push((*of, last.map_or(*position, |last| last.offset.next())));
        }
        Ok(fetched)
    }
}

/// For tests: files that are not files, small limits, checkpoints at will.
#[cfg(any(test, feature = "test-util"))]
impl EmbeddedLog {
    /// Opens the log that two storage backends hold, with checkpoints every `checkpoint_bytes`.
    ///
    /// # Errors
    /// As [`EmbeddedLog::open`].
    pub fn open_on(
        (journal, store): (impl StorageBackend, impl StorageBackend),
        (topics, partitions): (Vec<TopicConfig>, u32),
        checkpoint_bytes: usize,
    ) -> Result<Self, Error> {
        let open = || files::open_backends(journal, store, partitions);
        let limits = Limits { checkpoint_bytes, ..Limits::default() };
        Self::start(Path::new("in-memory"), open, (topics, partitions), limits)
    }

    /// Makes a checkpoint of everything that is committed, and waits for it.
    ///
    /// # Errors
    /// [`Error::Failed`].
    pub fn checkpoint(&self) -> Result<(), Error> {
        let mut state = self.shared().lock();
        let wanted = state.core.committed();
        state.checkpoint_wanted = wanted;
        self.shared().checkpoint_work.notify_one();
        while state.checkpointed < wanted {
            state.health()?;
            state = self.shared().wait(&self.shared().checkpoint_done, state);
        }
        Ok(())
    }
}

impl RequestLog for EmbeddedLog {
    fn append(&self, record: ProducedRecord) -> BoxFuture<'_, Result<Appended, Error>> {
        Box::pin(async move { self.append_now(&record) })
    }

    fn durable(&self, position: CommitPosition) -> BoxFuture<'_, Result<(), Error>> {
        let register = move |then| self.shared().lock().core.when_durable(position, then);
        Box::pin(waiting::until_due(register))
    }

    /// Reads from disk where the records are not in memory any more: tens of microseconds, on the
    /// caller's thread.
    fn read(
        &self,
        of: TopicPartition,
        from: Offset,
        records_max: usize,
    ) -> BoxFuture<'_, Result<Vec<ConsumedRecord>, Error>> {
        Box::pin(async move { self.read_now(of, from, records_max) })
    }

    /// As [`EmbeddedLog::read`]. It waits for the next commit of all, whatever it is of.
    fn follow<'a>(
        &'a self,
        from: &'a [(TopicPartition, Offset)],
        records_max: usize,
    ) -> BoxFuture<'a, Result<Fetched, Error>> {
        Box::pin(async move {
            loop {
                let fetched = self.follow_now(from, records_max)?;
                if !fetched.records.is_empty() {
                    return Ok(fetched);
                }
                self.durable(CommitPosition(fetched.as_of.0 + 1)).await?;
            }
        })
    }

    fn ends<'a>(&'a self, of: &'a [TopicPartition]) -> BoxFuture<'a, Result<Vec<Offset>, Error>> {
        Box::pin(async move { self.shared().lock().core.ends(of) })
    }

    fn health(&self) -> Result<(), Error> {
        self.shared().lock().health()
    }

    fn partitions(&self) -> u32 {
        self.shared().lock().core.partitions()
    }
}

impl Log for EmbeddedLog {
    type Session = EmbeddedSession;

    fn join(&self, membership: Membership, waker: Waker) -> Result<EmbeddedSession, Error> {
        let group = membership.group;
        let (id, wakers) = self.shared().lock().core.join(membership, waker)?;
        wakers.iter().for_each(|wake| wake());
        Ok(EmbeddedSession::new(self.clone(), group, id))
    }
}

impl Running {
    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
        let thread = thread.map_err(|error| Error::Failed { reason: error.to_string() })?;
        self.threads.push(thread);
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.wake_all();
        for thread in self.threads.drain(..) {
            // The last handle can go in a callback, on the journal's own thread.
            if thread.thread().id() != thread::current().id() {
                // A thread that panicked has nothing more to say.
                let _ = thread.join();
            }
        }
        let store = self.store.take();
        if let Err(trouble) = guarded(|| {
            drop(store);
            Ok(())
        }) {
            tracing::error!(%trouble, "the store could not be closed");
        }
    }
}

impl fmt::Debug for EmbeddedLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EmbeddedLog")
            .field("directory", &self.shared().directory)
            .field("core", &self.shared().lock().core)
            .finish_non_exhaustive()
    }
}
