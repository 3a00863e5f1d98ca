//! What the runtime itself remembers of a task, in a store of its own: how many ticks it has
//! taken, its input offsets where state lives beside the log, and the records it could not decode.
//!
//! A record that could not be decoded is remembered until it is put back: that it is remembered is
//! what lets the task take it then, once, and pass over every other copy.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::codec::{DecodeError, json_bytes};
use crate::commit::StoreChange;
use crate::error::Error;
use crate::record::{ConsumedRecord, Offset, Partition, TopicName, TopicPartition};
use crate::state::{KeyRange, StateError, StateReader};
use crate::topology::{Origin, TASK_STORE, Topology};

const TICKS: &[u8] = b"ticks";
const OFFSETS: &[u8] = b"offsets";
/// Records of our own services.
const BAD: &[u8] = b"bad/";
/// Records from outside, which nobody has to look after.
const REFUSED: &[u8] = b"refused/";

/// The entry with the number of ticks taken.
pub(crate) fn ticks(number: u64) -> (Bytes, Bytes) {
    (Bytes::from_static(TICKS), Bytes::from(number.to_string()))
}

/// The number of ticks taken.
pub(crate) fn read_ticks(state: &dyn StateReader, partition: Partition) -> Result<u64, Error> {
    read(state, partition, TICKS).map(Option::unwrap_or_default)
}

/// The change that puts a task's input offsets into its changelog.
pub(crate) fn offsets(offsets: &[(TopicName, Offset)]) -> StoreChange {
    let offsets: BTreeMap<&str, u64> =
        offsets.iter().map(|(topic, offset)| (topic.as_str(), offset.0)).collect();
    StoreChange {
        store: TASK_STORE,
        key: Bytes::from_static(OFFSETS),
        value: Some(json_bytes(&offsets)),
    }
}

/// The input offsets that came with the state; `None` where there is no state yet.
pub(crate) fn read_offsets(
    topology: &Topology,
    state: &dyn StateReader,
    partition: Partition,
) -> Result<Option<BTreeMap<TopicName, Offset>>, Error> {
    let Some(known) = read::<BTreeMap<String, u64>>(state, partition, OFFSETS)? else {
        return Ok(None);
    };
    let offsets = topology
        .sources()
        .filter_map(|topic| known.get(topic.as_str()).map(|offset| (topic, Offset(*offset))))
        .collect();
    Ok(Some(offsets))
}

/// The entry of a record that could not be decoded.
pub(crate) fn bad_record(
    record: &ConsumedRecord,
    origin: Origin,
    error: &DecodeError,
) -> (Bytes, Bytes) {
    let offset = record.offset.to_string();
    (bad_record_key(record.source, origin, offset.as_bytes()), json_bytes(&error.to_string()))
}

/// The key of that entry.
pub(crate) fn bad_record_key(source: TopicPartition, origin: Origin, offset: &[u8]) -> Bytes {
    let kind = match origin {
        Origin::Internal => BAD,
        Origin::Requests => REFUSED,
    };
    let source = source.to_string();
    Bytes::from([kind, source.as_bytes(), b"/", offset].concat())
}

/// The entries of all those of our own services.
pub(crate) fn bad_records(
    state: &dyn StateReader,
    partition: Partition,
) -> Result<Vec<(Bytes, Bytes)>, StateError> {
    state.range(partition, TASK_STORE, &KeyRange::prefix(BAD), usize::MAX)
}

fn read<T: serde::de::DeserializeOwned>(
    state: &dyn StateReader,
    partition: Partition,
    key: &[u8],
) -> Result<Option<T>, Error> {
    state
        .get(partition, TASK_STORE, key)?
        .map(|bytes| serde_json::from_slice(&bytes))
        .transpose()
        .map_err(|error| Error::TaskState { partition, reason: error.to_string() })
}
