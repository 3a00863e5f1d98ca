//! The log in memory alone, for tests: what is committed counts as durable at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use streams::{
    Assignment, CommitBatch, CommitOutcome, CommitPosition, ConsumedRecord, Fetched, KeyRange,
    Offset, Partition, ProducedRecord, Restored, StateBacking, StateError, StateReader, StoreName,
    StoreWrite, TaskPositions, TopicPartition,
};

use crate::core::{Core, Wakers};
use crate::error::Error;
use crate::group::SessionId;
use crate::log::{
    Appended, BoxFuture, Log, Membership, OnDurable, RequestLog, Session, TopicConfig, Waker,
};
use crate::waiting::{call, until_due};

/// A log in memory. Clones are the same log.
#[derive(Clone, Debug)]
pub struct MemoryLog {
    core: Arc<Mutex<Core>>,
}

/// A worker's connection to a [`MemoryLog`].
#[derive(Debug)]
pub struct MemorySession {
    log: MemoryLog,
    id: SessionId,
}

impl MemoryLog {
    /// An empty log with these topics.
    pub fn new(topics: Vec<TopicConfig>, partitions: u32) -> Self {
        MemoryLog { core: Arc::new(Mutex::new(Core::new(topics, partitions))) }
    }

    /// A test that panicked while it held the lock has failed already.
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the core that commits, and wakes who has to know.
    fn committing<T>(&self, change: impl FnOnce(&mut Core) -> (T, Wakers)) -> T {
        let mut core = self.lock();
        let (result, wakers) = change(&mut core);
        let committed = core.committed();
        let due = core.advance_durable(committed);
        drop(core);
        call(due);
        wakers.iter().for_each(|wake| wake());
        result
    }
}

impl RequestLog for MemoryLog {
    fn append(&self, record: ProducedRecord) -> BoxFuture<'_, Result<Appended, Error>> {
        Box::pin(async move {
            self.committing(|core| match core.append(record) {
                Ok((appended, wakers)) => (Ok(appended), wakers),
                Err(error) => (Err(error), Wakers::new()),
            })
        })
    }

    fn durable(&self, _: CommitPosition) -> BoxFuture<'_, Result<(), Error>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn read(
        &self,
        of: TopicPartition,
        from: Offset,
        records_max: usize,
    ) -> BoxFuture<'_, Result<Vec<ConsumedRecord>, Error>> {
        Box::pin(async move { self.lock().read(of, from, records_max) })
    }

    fn follow<'a>(
        &'a self,
        from: &'a [(TopicPartition, Offset)],
        records_max: usize,
    ) -> BoxFuture<'a, Result<Fetched, Error>> {
        Box::pin(async move {
            loop {
                // What is committed is durable.
                let (fetched, next) = {
                    let core = self.lock();
                    (core.fetch(from, records_max)?, CommitPosition(core.committed().0 + 1))
                };
                if !fetched.records.is_empty() {
                    return Ok(fetched);
                }
                until_due(|then| self.lock().when_durable(next, then)).await?;
            }
        })
    }

    fn ends<'a>(&'a self, of: &'a [TopicPartition]) -> BoxFuture<'a, Result<Vec<Offset>, Error>> {
        Box::pin(async move { self.lock().ends(of) })
    }

    fn health(&self) -> Result<(), Error> {
        Ok(())
    }

    fn partitions(&self) -> u32 {
        self.lock().partitions()
    }
}

impl Log for MemoryLog {
    type Session = MemorySession;

    fn join(&self, membership: Membership, waker: Waker) -> Result<MemorySession, Error> {
        let (id, wakers) = self.lock().join(membership, waker)?;
        wakers.iter().for_each(|wake| wake());
        Ok(MemorySession { log: self.clone(), id })
    }
}

impl Drop for MemorySession {
    fn drop(&mut self) {
        let wakers = self.log.lock().leave(self.id);
        wakers.iter().for_each(|wake| wake());
    }
}

impl StateReader for MemorySession {
    fn get(
        &self,
        partition: Partition,
        store: StoreName,
        key: &[u8],
    ) -> Result<Option<Bytes>, StateError> {
        Ok(self.log.lock().get(self.id, partition, store, key))
    }

    fn range(
        &self,
        partition: Partition,
        store: StoreName,
        range: &KeyRange,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StateError> {
        Ok(self.log.lock().range(self.id, (store, partition), range, limit))
    }
}

impl Session for MemorySession {
    fn state_backing(&self) -> StateBacking {
        StateBacking::Log
    }

    fn assignment(&mut self) -> Result<Assignment, Error> {
        Ok(self.log.lock().assignment(self.id))
    }

    fn open(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn positions(&mut self, partitions: &[Partition]) -> Result<Vec<TaskPositions>, Error> {
        Ok(self.log.lock().positions(self.id, partitions))
    }

    fn ends(&mut self, of: &[TopicPartition]) -> Result<Vec<Offset>, Error> {
        self.log.lock().ends(of)
    }

    fn fetch(
        &mut self,
        from: &[(TopicPartition, Offset)],
        records_max: usize,
    ) -> Result<Fetched, Error> {
        self.log.lock().fetch(from, records_max)
    }

    fn commit(&mut self, batch: CommitBatch) -> CommitOutcome {
        self.log.committing(|core| core.commit(self.id, batch))
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
        let due = self.log.lock().when_durable(position, then);
        call(due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::LogFactory;

    struct InMemory;

    impl LogFactory for InMemory {
        type Log = MemoryLog;

        fn make(&self, topics: Vec<TopicConfig>, partitions: u32) -> MemoryLog {
            MemoryLog::new(topics, partitions)
        }

        fn restart(&self, _: MemoryLog) -> Option<MemoryLog> {
            None
        }

        fn housekeeping(&self, _: &MemoryLog) {}
    }

    crate::contract_tests!(InMemory);
}
