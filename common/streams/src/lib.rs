//! A small streams runtime.
#![warn(missing_docs)]

pub mod cloud_event;
mod codec;
mod commit;
mod context;
pub mod dead_letter;
mod error;
mod overlay;
mod partitioner;
mod query;
mod record;
mod state;
mod step;
mod tables;
mod task;
mod task_state;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;
mod time;
mod topic;
mod topology;
mod window;
mod worker;

pub use codec::{CloudEvents, Codec, DecodeError, Encoded, Event, Json, Key, json_bytes};
pub use commit::{CommitBatch, CommitOutcome, CommitPosition, StoreChange, TaskCommit};
pub use context::{Context, ProcessError, Record, Tick};
pub use error::Error;
pub use partitioner::partition_for_key;
pub use query::{Answer, Condition, Query, QueryId, QueryOutcome};
pub use record::{
    ConsumedRecord, Headers, Offset, Partition, ProducedRecord, TopicName, TopicPartition,
};
pub use state::{KeyRange, StateError, StateReader};
pub use step::{
    Assignment, Fetched, Restored, StateBacking, Step, StepResult, StoreWrite, TaskPositions,
};
pub use tables::{TableEntry, Tables};
pub use task::{Progress, Task};
pub use time::Timestamp;
pub use topic::{Store, StoreName, Topic};
pub use topology::{Origin, Topology, TopologyBuilder, TopologyError};
pub use window::{Session, SessionKey, SessionStore, SessionWindows};
pub use worker::{Worker, WorkerHealth};
