//! Reading the store as the last checkpoint left it.

use std::collections::BTreeMap;

use bytes::Bytes;
use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, TableHandle};
use streams::{ConsumedRecord, KeyRange, Offset, Partition};

use crate::budget::Share;
use crate::embedded::blocks::{records, unpack};
use crate::embedded::layout::{ByOffset, RECORDS_PREFIX, STATE_PREFIX, ValueByKey, key_of};
use crate::embedded::trouble::Trouble;
use crate::encoding::decode_record;
use crate::frozen::Wanted;

type StateTable = ReadOnlyTable<&'static [u8], &'static [u8]>;
type RecordsTable = ReadOnlyTable<(u32, u64), &'static [u8]>;

/// The store at one checkpoint, with its tables open. It stays as it is while the next checkpoint
/// is written.
pub(crate) struct Snapshot {
    state: BTreeMap<String, BTreeMap<String, StateTable>>,
    records: BTreeMap<String, RecordsTable>,
}

impl Snapshot {
    pub(crate) fn open(database: &Database) -> Result<Self, Trouble> {
        let transaction = database.begin_read()?;
        let mut snapshot = Snapshot { state: BTreeMap::new(), records: BTreeMap::new() };
        for handle in transaction.list_tables()? {
            snapshot.open_table(&transaction, handle.name())?;
        }
        Ok(snapshot)
    }

    fn open_table(&mut self, transaction: &ReadTransaction, name: &str) -> Result<(), Trouble> {
        if let Some(topic) = name.strip_prefix(RECORDS_PREFIX) {
            let table = transaction.open_table(ByOffset::new(name))?;
            self.records.insert(topic.to_owned(), table);
        } else if let Some((group, store)) =
            name.strip_prefix(STATE_PREFIX).and_then(|rest| rest.split_once('\0'))
        {
            let table = transaction.open_table(ValueByKey::new(name))?;
            self.state.entry(group.to_owned()).or_default().insert(store.to_owned(), table);
        }
        Ok(())
    }

    /// The value of a key of a state store.
    pub(crate) fn get(
        &self,
        group: &str,
        store: &str,
        partition: Partition,
        key: &[u8],
    ) -> Result<Option<Bytes>, Trouble> {
        let Some(table) = self.state_table(group, store) else { return Ok(None) };
        let row = table.get(key_of(partition.0, key).as_slice())?;
        Ok(row.map(|row| Bytes::copy_from_slice(row.value())))
    }

    /// The entries of a state store with keys in the range, in order.
    pub(crate) fn range(
        &self,
        group: &str,
        store: &str,
        partition: Partition,
        range: &KeyRange,
    ) -> Result<impl Iterator<Item = Result<(Bytes, Bytes), Trouble>>, Trouble> {
        let from = key_of(partition.0, &range.from);
        let until = match &range.until {
            Some(until) => key_of(partition.0, until),
            None => key_of(partition.0.saturating_add(1), &[]),
        };
        let is_empty = until <= from;
        let rows = match self.state_table(group, store) {
            Some(table) if !is_empty => {
                Some(table.range::<&[u8]>(from.as_slice()..until.as_slice())?)
            }
            _ => None,
        };
        Ok(rows.into_iter().flatten().map(|row| {
            let (key, value) = row?;
            let key = key.value().get(size_of::<u32>()..).unwrap_or_default();
            Ok((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value.value())))
        }))
    }

    fn state_table(&self, group: &str, store: &str) -> Option<&StateTable> {
        self.state.get(group).and_then(|stores| stores.get(store))
    }

    /// Reads records in order while the share lasts, and returns where the next read begins.
    pub(crate) fn read(
        &self,
        wanted: Wanted,
        share: &mut Share,
        into: &mut Vec<ConsumedRecord>,
    ) -> Result<Offset, Trouble> {
        let Some(table) = self.records.get(wanted.of.topic.as_str()) else {
            return Ok(wanted.until);
        };
        let partition = wanted.of.partition.0;
        let before = table.range((partition, 0)..=(partition, wanted.from.0))?.next_back();
        let first = before.transpose()?.map_or(wanted.from.0, |(key, _)| key.value().1);
        for row in table.range((partition, first)..(partition, wanted.until.0))? {
            let (key, value) = row?;
            let block = unpack(value.value())?;
            for record in records(Offset(key.value().1), &block) {
                let (offset, bytes) = record?;
                if offset < wanted.from {
                    continue;
                }
                if !share.take(bytes.len()) {
                    return Ok(offset);
                }
                // A copy of its own: who keeps a record keeps no more than the record.
                let record = Bytes::copy_from_slice(bytes);
                into.push(decode_record(&record, wanted.of, offset)?);
            }
        }
        Ok(wanted.until)
    }
}
