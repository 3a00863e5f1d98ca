//! The workers of a service in this process, and which of them owns which partition.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use streams::Partition;
use tokio::sync::Notify;

use crate::driver::{Command, WorkerAddress};

/// The workers, and which of them owns which partition.
#[derive(Default)]
pub(crate) struct Owners {
    /// In the order in which they last said what they own.
    workers: RwLock<Vec<Known>>,
    changed: Notify,
}

/// A worker as its service knows it.
struct Known {
    address: WorkerAddress,
    /// What it says that it owns. When a partition passes on, two may say so for a moment; the
    /// former owner may even be the later one to say it.
    owns: BTreeSet<Partition>,
}

impl Owners {
    /// There is this worker, which owns nothing yet.
    pub(crate) fn add(&self, worker: &WorkerAddress) {
        self.set(&[], worker);
    }

    /// A worker owns these partitions by now.
    pub(crate) fn set(&self, partitions: &[Partition], worker: &WorkerAddress) {
        let owns = partitions.iter().copied().collect();
        let mut workers = self.write();
        workers.retain(|known| !known.address.is_same_as(worker));
        workers.push(Known { address: worker.clone(), owns });
        drop(workers);
        self.changed.notify_waiters();
    }

    /// Sends a command to the owner of a partition, of several to the one that said so last;
    /// `false` where none is known.
    pub(crate) fn send(&self, partition: Partition, command: Command) -> bool {
        let workers = self.read();
        let owner = workers.iter().rfind(|known| known.owns.contains(&partition));
        owner.is_some_and(|owner| owner.address.send(command))
    }

    /// Sends a command that any worker can answer; `false` where there is none.
    pub(crate) fn send_any(&self, command: Command) -> bool {
        self.read().first().is_some_and(|worker| worker.address.send(command))
    }

    /// All workers.
    pub(crate) fn all(&self) -> Vec<WorkerAddress> {
        self.read().iter().map(|known| known.address.clone()).collect()
    }

    /// What the workers say that they own.
    pub(crate) fn owned(&self) -> BTreeSet<Partition> {
        self.read().iter().flat_map(|known| known.owns.iter().copied()).collect()
    }

    /// Waits for the next change, or this long.
    pub(crate) async fn changed(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.changed.notified()).await;
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<Known>> {
        self.workers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Vec<Known>> {
        self.workers.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc::Receiver;
    use std::sync::{Arc, OnceLock};

    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    fn worker(owners: &Owners) -> (WorkerAddress, Receiver<Command>) {
        let (address, commands) = WorkerAddress::new(&Arc::new(OnceLock::new()));
        owners.add(&address);
        (address, commands)
    }

    /// Sends a command to each of four partitions; which of them `commands` got.
    fn reached(owners: &Owners, commands: &Receiver<Command>) -> Vec<u32> {
        let got = |partition: &u32| {
            while commands.try_recv().is_ok() {}
            let (respond, _) = oneshot::channel();
            owners.send(Partition(*partition), Command::Health { respond });
            commands.try_recv().is_ok()
        };
        (0..4).filter(got).collect()
    }

    #[test]
    fn a_partition_belongs_to_whoever_said_so_last_until_it_gives_it_up() {
        let owners = Owners::default();
        let ((first, of_first), (second, of_second)) = (worker(&owners), worker(&owners));
        owners.set(&[0, 1, 2].map(Partition), &first);
        assert_eq!(reached(&owners, &of_first), [0, 1, 2]);

        // The second hears of its share before the first hears of its loss.
        owners.set(&[1, 3].map(Partition), &second);
        assert_eq!(reached(&owners, &of_first), [0, 2]);
        owners.set(&[Partition(0)], &first);

        assert_eq!(reached(&owners, &of_first), [0]);
        assert_eq!(reached(&owners, &of_second), [1, 3]);
    }

    #[test]
    fn a_former_owner_that_says_late_that_it_owns_a_partition_does_not_take_it_away() {
        let owners = Owners::default();
        let ((former, _commands), (owner, of_owner)) = (worker(&owners), worker(&owners));
        owners.set(&[Partition(1)], &owner);

        owners.set(&[Partition(1)], &former);
        owners.set(&[], &former);

        assert_eq!(reached(&owners, &of_owner), [1]);
    }

    #[test]
    fn a_command_for_nobody_or_for_a_worker_that_stopped_is_not_sent() {
        let owners = Owners::default();
        let command = || Command::Health { respond: oneshot::channel().0 };
        assert!(!owners.send_any(command()));
        let (address, commands) = worker(&owners);
        assert!(!owners.send(Partition(0), command()));
        owners.set(&[Partition(0)], &address);
        assert!(owners.send(Partition(0), command()));

        drop(commands);

        assert!(!owners.send(Partition(0), command()));
        assert!(!owners.send_any(command()));
    }

    #[tokio::test]
    async fn whoever_waits_for_an_owner_hears_of_a_change() {
        let owners = Owners::default();
        let (address, _commands) = worker(&owners);
        let mut changed = pin!(owners.changed(Duration::from_secs(3_600)));
        assert!(changed.as_mut().now_or_never().is_none());

        owners.set(&[Partition(0)], &address);

        assert!(changed.now_or_never().is_some());
    }
}
