//! Changes of stores as the records of a changelog: the store's name, a zero byte and the entry's
//! key make the record's key, so that compaction keeps the newest change of each entry.

use bytes::Bytes;
use streams::{
    ConsumedRecord, Headers, ProducedRecord, StoreChange, StoreName, Timestamp, TopicPartition,
};

/// The record of a change, written at this time.
pub fn changelog_record(
    changelog: TopicPartition,
    timestamp: Timestamp,
    change: &StoreChange,
) -> ProducedRecord {
    let key = [change.store.as_str().as_bytes(), &[0], &change.key].concat();
    ProducedRecord {
        destination: changelog,
        timestamp,
        key: Some(Bytes::from(key)),
        value: change.value.clone(),
        headers: Headers::default(),
    }
}

/// The change that a record holds; `None` where it is of none of these stores.
pub fn changelog_change(stores: &[StoreName], record: &ConsumedRecord) -> Option<StoreChange> {
    let place = record.key.as_ref()?;
    let split = place.iter().position(|byte| *byte == 0)?;
    let store = *stores.iter().find(|store| store.as_str().as_bytes() == &place[..split])?;
    Some(StoreChange { store, key: place.slice(split + 1..), value: record.value.clone() })
}
