//! The way to a worker from outside its thread.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

use bytes::Bytes;
use eventlog::Waker;
use streams::{Query, QueryOutcome, TableEntry, TopicName, WorkerHealth};
use tokio::sync::oneshot;

/// What is asked of a worker from outside its thread.
pub(crate) enum Command {
    /// Read entries; `id` is given by the worker's loop.
    Query { query: Query, respond: oneshot::Sender<QueryOutcome> },
    /// Read a page of a table.
    TablePage { page: TablePage, respond: oneshot::Sender<Vec<(Bytes, TableEntry)>> },
    /// Say how the worker is doing; `None` before it knows which partitions are its own.
    Health { respond: oneshot::Sender<Option<WorkerHealth>> },
}

/// A page of a table: entries with keys after `after`.
pub(crate) struct TablePage {
    pub(crate) table: TopicName,
    pub(crate) after: Bytes,
    pub(crate) limit: usize,
}

/// The way to a worker: its commands, and the bell that makes its thread look at them.
#[derive(Clone)]
pub(crate) struct WorkerAddress {
    commands: Sender<Command>,
    bell: Arc<Bell>,
}

impl WorkerAddress {
    /// The way to a new worker, which gets the commands and is run by `thread`.
    pub(crate) fn new(thread: &Arc<OnceLock<Thread>>) -> (Self, Receiver<Command>) {
        let (commands, receiver) = channel();
        let bell = Arc::new(Bell { rung: AtomicBool::new(true), thread: Arc::clone(thread) });
        (WorkerAddress { commands, bell }, receiver)
    }

    /// What to call when there may be something new for the worker.
    pub(super) fn waker(&self) -> Waker {
        let bell = Arc::clone(&self.bell);
        Arc::new(move || bell.ring())
    }

    /// Whether there may be something new since the last call.
    pub(super) fn was_rung(&self) -> bool {
        self.bell.rung.swap(false, Ordering::Acquire)
    }

    /// Sends a command; `false` where the worker has stopped.
    pub(crate) fn send(&self, command: Command) -> bool {
        let sent = self.commands.send(command).is_ok();
        self.bell.ring();
        sent
    }

    /// Whether both are the way to the same worker.
    pub(crate) fn is_same_as(&self, other: &WorkerAddress) -> bool {
        Arc::ptr_eq(&self.bell, &other.bell)
    }
}

/// Tells a worker that there may be something new, and wakes its thread.
struct Bell {
    rung: AtomicBool,
    thread: Arc<OnceLock<Thread>>,
}

impl Bell {
    fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}
