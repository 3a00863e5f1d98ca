//! Marks: each changelog partition has one, so that a store on disk can tell whether a changelog is
//! the one that it was made from. A topic that was deleted and created again has the same name and
//! soon the same offsets; its id would tell, but the client does not say it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use eventlog::Error as LogError;
use streams::{ConsumedRecord, Headers, Offset, Partition, ProducedRecord, TopicPartition};
use uuid::Uuid;

use crate::changelog::{PIECE_RECORDS, PIECE_WAIT, STALL_MAX, Service, written_now};
use crate::clock::Deadline;
use crate::ends::Ends;
use crate::error::unreachable;
use crate::reader::Reader;
use crate::settings::Settings;

/// The key of a mark. Those of entries begin with the name of a store, which is never empty.
const KEY: &[u8] = b"\0mark";

/// What stands in a partition's changelog from its first commit on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Where it stands.
    pub(crate) offset: Offset,
    /// What it says: nothing that any other mark says.
    pub(crate) text: Bytes,
}

impl Mark {
    /// The record of a new mark.
    pub(crate) fn record(of: TopicPartition) -> ProducedRecord {
        ProducedRecord {
            destination: of,
            timestamp: written_now(),
            key: Some(Bytes::from_static(KEY)),
            value: Some(Bytes::from(Uuid::now_v7().to_string())),
            headers: Headers::default(),
        }
    }

    /// The mark that a record is.
    pub(crate) fn of(record: &ConsumedRecord) -> Option<Self> {
        Self::at(record.offset, record.key.as_ref(), record.value.as_ref())
    }

    /// The mark that a record was which was written at this offset.
    pub(crate) fn written(record: &ProducedRecord, offset: Offset) -> Option<Self> {
        Self::at(offset, record.key.as_ref(), record.value.as_ref())
    }

    fn at(offset: Offset, key: Option<&Bytes>, value: Option<&Bytes>) -> Option<Self> {
        let text = value.filter(|_| key.is_some_and(|key| key == KEY))?.clone();
        Some(Mark { offset, text })
    }
}

/// Marks that were written or read, but are not in the store yet.
pub(crate) type FreshMarks = BTreeMap<Partition, Mark>;

/// Those partitions of a service's changelog whose mark is where it is said to be. They are read
/// by a client of their own: marks stand at the begin of changelogs, and another would read all
/// that comes behind them into memory.
pub(crate) fn marked(
    marks: &FreshMarks,
    service: &Service,
    settings: &Settings,
    ends: &Arc<Ends>,
) -> Result<BTreeSet<Partition>, LogError> {
    let place = |of: &Partition| TopicPartition::new(service.changelog, *of);
    let mut open: BTreeMap<TopicPartition, Offset> =
        marks.iter().map(|(of, mark)| (place(of), mark.offset)).collect();
    let extents = ends.extents(&open.keys().copied().collect::<Vec<_>>())?;
    open.retain(|of, offset| extents.get(of).is_some_and(|extent| extent.contains(offset)));
    if open.is_empty() {
        return Ok(BTreeSet::new());
    }
    let config = settings.reader_of_single_records(service.group);
    let mut reader =
        Reader::new(settings, config, Arc::clone(ends), Arc::new(|| ())).map_err(unreachable)?;
    let mut marked = BTreeSet::new();
    let deadline = Deadline::after(STALL_MAX);
    while !open.is_empty() {
        let from: Vec<_> = open.iter().map(|(of, offset)| (*of, *offset)).collect();
        let fetched = reader.fetch(&from, PIECE_RECORDS, PIECE_WAIT)?;
        let found = fetched.records.iter().filter_map(|record| {
            let (partition, mark) = (record.source.partition, Mark::of(record)?);
            (marks.get(&partition) == Some(&mark)).then_some(partition)
        });
        marked.extend(found);
        for (of, position) in fetched.positions {
            open.retain(|known, offset| *known != of || *offset == position);
        }
        if deadline.has_passed() {
            return Err(unreachable(format!("{} is not readable", service.changelog)));
        }
    }
    Ok(marked)
}

#[cfg(test)]
mod tests {
    use streams::TopicName;

    use super::*;

    fn consumed(record: ProducedRecord) -> ConsumedRecord {
        let ProducedRecord { destination, timestamp, key, value, headers } = record;
        let offset = Offset(3);
        ConsumedRecord { source: destination, offset, timestamp, key, value, headers }
    }

    #[test]
    fn a_mark_is_read_as_it_was_written_and_no_two_are_the_same() {
        let of = TopicPartition::new(TopicName::new("orders-changelog"), Partition(1));
        let [first, second] = [Mark::record(of), Mark::record(of)];
        let text = first.value.clone().unwrap();
        assert_ne!(Some(&text), second.value.as_ref());
        assert_eq!(Mark::of(&consumed(first)), Some(Mark { offset: Offset(3), text }));
        let entry = ProducedRecord { key: Some(Bytes::from_static(b"stock\0mark")), ..second };
        assert_eq!(Mark::of(&consumed(entry)), None);
    }
}
