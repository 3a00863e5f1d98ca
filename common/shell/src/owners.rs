//! The workers of a service in this process, and which of them owns which partition.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use streams::Partition;
use tokio::sync::Notify;

use crate::driver::{Command, WorkerAddress};

/// The workers, and which of them owns which partition.
#[derive(Default)]
pub(crate) struct Owners {
    known: RwLock<Known>,
    changed: Notify,
}

#[derive(Default)]
struct Known {
    /// Every worker, whether it owns anything or not, in the order in which they began.
    workers: Vec<WorkerAddress>,
    owners: BTreeMap<Partition, WorkerAddress>,
}

impl Owners {
    /// There is this worker, which owns nothing yet.
    pub(crate) fn add(&self, worker: &WorkerAddress) {
        self.write().workers.push(worker.clone());
    }

    /// A worker owns these partitions by now.
    pub(crate) fn set(&self, partitions: &[Partition], worker: &WorkerAddress) {
        let mut known = self.write();
        let owners = &mut known.owners;
        owners
            .retain(|partition, owner| !owner.is_same_as(worker) || partitions.contains(partition));
        owners.extend(partitions.iter().map(|partition| (*partition, worker.clone())));
        drop(known);
        self.changed.notify_waiters();
    }

    /// Sends a command to the owner of a partition; `false` where none is known.
    pub(crate) fn send(&self, partition: Partition, command: Command) -> bool {
        self.read().owners.get(&partition).is_some_and(|worker| worker.send(command))
    }

    /// Sends a command that any worker can answer.
    pub(crate) fn send_any(&self, command: Command) -> bool {
        self.read().workers.first().is_some_and(|worker| worker.send(command))
    }

    /// All workers.
    pub(crate) fn all(&self) -> Vec<WorkerAddress> {
        self.read().workers.clone()
    }

    /// Waits for the next change, or this long.
    pub(crate) async fn changed(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.changed.notified()).await;
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}
