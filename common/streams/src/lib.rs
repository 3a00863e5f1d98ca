//! A small streams runtime.
#![warn(missing_docs)]

mod codec;
mod commit;
mod partitioner;
mod record;
mod state;
mod step;
mod time;
mod topic;

pub use codec::{CloudEvents, Codec, DecodeError, Encoded, Event, Json, Key, json_bytes};
pub use commit::{CommitBatch, CommitOutcome, CommitPosition, StoreChange, TaskCommit};
pub use partitioner::partition_for_key;
pub use record::{
    ConsumedRecord, Headers, Offset, Partition, ProducedRecord, TopicName, TopicPartition,
};
pub use state::{KeyRange, StateError, StateReader};
pub use step::{
    Assignment, Fetched, Restored, StateBacking, Step, StepResult, StoreWrite, TaskPositions,
};
pub use time::Timestamp;
pub use topic::{Store, StoreName, Topic};
