//! A service's changelog: what its stores change by, as records, and reading them again.

use std::sync::Arc;
use std::time::Duration;

use eventlog::{Error as LogError, changelog_change, changelog_record};
use streams::{
    ConsumedRecord, Offset, Partition, ProducedRecord, Restored, StoreChange, StoreName, Timestamp,
    TopicName, TopicPartition, Topology,
};

use crate::clock::{Deadline, unix_ms};
use crate::ends::Ends;
use crate::error::{Error, unreachable};
use crate::marks::{FreshMarks, Mark};
use crate::reader::Reader;
use crate::settings::Settings;

/// How many records one piece of a changelog has at most.
pub(crate) const PIECE_RECORDS: usize = 4_000;
/// How long one read waits for something to come.
pub(crate) const PIECE_WAIT: Duration = Duration::from_millis(100);
/// Where nothing comes for so long although there is more, something is wrong with the broker. An
/// open transaction that hides what is there is ended by its time-out before that.
pub(crate) const STALL_MAX: Duration = Duration::from_secs(30);

/// A service as the log knows it: its group, its changelog and its stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The name of its group.
    pub group: &'static str,
    /// The topic with the changes of its stores.
    pub changelog: TopicName,
    /// Its stores, the runtime's own among them.
    pub stores: Vec<StoreName>,
}

impl Service {
    /// The service that runs a topology.
    pub fn of(topology: &Topology) -> Self {
        Service {
            group: topology.name(),
            changelog: TopicName::derived(topology.changelog_name()),
            stores: topology.stores().to_vec(),
        }
    }

    /// The record of a change.
    pub(crate) fn record(changelog: TopicPartition, change: &StoreChange) -> ProducedRecord {
        changelog_record(changelog, written_now(), change)
    }

    /// The change that a record holds; `None` where it is of no store that there is.
    fn change(&self, record: &ConsumedRecord) -> Option<StoreChange> {
        changelog_change(&self.stores, record)
    }
}

/// The time of a record that no event is behind: compaction goes by its age.
pub(crate) fn written_now() -> Timestamp {
    Timestamp::from_millis(unix_ms().cast_signed())
}

/// Reads a service's changelog.
pub(crate) struct Changelog {
    service: Service,
    reader: Reader,
    /// Where the last reads ended, and until when there must be more.
    stalled: Option<(TopicPartition, Offset, Deadline)>,
}

impl Changelog {
    pub(crate) fn new(
        settings: &Settings,
        service: &Service,
        ends: Arc<Ends>,
    ) -> Result<Self, Error> {
        let config = settings.reader_of_changelog(service.group);
        let reader = Reader::new(settings, config, ends, Arc::new(|| ()))?;
        Ok(Changelog { service: service.clone(), reader, stalled: None })
    }

    /// Committed changes from a position on. Marks among them are added to `marks`.
    pub(crate) fn read(
        &mut self,
        partition: Partition,
        from: Offset,
        marks: &mut FreshMarks,
    ) -> Result<Restored, LogError> {
        let of = TopicPartition::new(self.service.changelog, partition);
        let fetched = self.reader.fetch(&[(of, from)], PIECE_RECORDS, PIECE_WAIT)?;
        let position = fetched.positions.first().map_or(from, |(_, position)| *position);
        self.check_progress(of, from, position)?;
        marks.extend(fetched.records.iter().filter_map(Mark::of).map(|mark| (partition, mark)));
        let changes = fetched.records.iter().filter_map(|record| self.service.change(record));
        Ok(Restored { changes: changes.collect(), position })
    }

    /// Reads nothing ahead until the next read: what a session commits itself it does not read.
    pub(crate) fn rest(&mut self) {
        if let Err(error) = self.reader.rest() {
            tracing::debug!(%error, "the changelog is read on in vain");
        }
    }

    fn check_progress(
        &mut self,
        of: TopicPartition,
        from: Offset,
        position: Offset,
    ) -> Result<(), LogError> {
        if position > from {
            self.stalled = None;
            return Ok(());
        }
        match self.stalled {
            Some((known, at, deadline)) if (known, at) == (of, from) => {
                if deadline.has_passed() {
                    self.stalled = None;
                    let waited = STALL_MAX.as_secs();
                    let reason = format!("{of} is not readable beyond {from} for {waited} s");
                    return Err(unreachable(reason));
                }
            }
            _ => self.stalled = Some((of, from, Deadline::after(STALL_MAX))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const SERVICE: &str = "orders";

    fn service() -> Service {
        let changelog = TopicName::new("orders-changelog");
        Service { group: SERVICE, changelog, stores: vec![StoreName::new("stock")] }
    }

    fn read_back(change: &StoreChange) -> Option<StoreChange> {
        let ProducedRecord { destination, timestamp, key, value, headers } =
            Service::record(TopicPartition::new(service().changelog, Partition(3)), change);
        let offset = Offset(7);
        let record = ConsumedRecord { source: destination, offset, timestamp, key, value, headers };
        service().change(&record)
    }

    #[test]
    fn a_change_is_read_as_it_was_written() {
        for value in [Some(Bytes::from_static(b"7")), None] {
            let key = Bytes::from_static(b"a\0b");
            let change = StoreChange { store: StoreName::new("stock"), key, value };
            assert_eq!(read_back(&change), Some(change));
        }
    }

    #[test]
    fn a_change_of_a_store_that_is_gone_is_passed_over() {
        let change = StoreChange {
            store: StoreName::new("former"),
            key: Bytes::from_static(b"a"),
            value: None,
        };
        assert_eq!(read_back(&change), None);
    }
}
