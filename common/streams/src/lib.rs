//! A small streams runtime: what Kafka Streams is to Java, without a thread, a file or a socket.
//!
//! A *topology* says which processor takes which topic, what stores and tables it sees and where
//! its outputs go. A *task* is one topology on one partition: records and ticks in, one commit a
//! batch out, holding outputs, store changes and offsets together. A *worker* runs tasks: it says
//! the next step, a driver does that step on a log and tells the result. So the whole runtime is
//! plain state machines, and a simulator runs the same code as production.
//!
//! ```
//! use streams::testing::TopologyDriver;
//! use streams::{Context, Key, ProcessError, Record, Store, Timestamp, Topic, TopicName};
//! # use streams::DecodeError;
//! # use bytes::Bytes;
//! # #[derive(Clone, Debug, PartialEq)]
//! # struct Word(String);
//! # impl Key for Word {
//! #     fn encode(&self) -> Bytes { Bytes::copy_from_slice(self.0.as_bytes()) }
//! #     fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
//! #         Ok(Word(String::from_utf8_lossy(bytes).into_owned()))
//! #     }
//! # }
//!
//! const WORDS: Topic<Word, u64> = Topic::new("words");
//! const COUNTS: Topic<Word, u64> = Topic::new("counts");
//! const COUNT: Store<Word, u64> = Store::new("count");
//!
//! fn count(context: &mut Context<'_>, word: Record<Word, u64>) -> Result<(), ProcessError> {
//!     let count = context.get(&COUNT, &word.key)?.unwrap_or(0) + word.value;
//!     context.put(&COUNT, &word.key, &count)?;
//!     context.forward(&COUNTS, &word.key, &count)
//! }
//!
//! let topology = streams::TopologyBuilder::new("counter", TopicName::new("dead-letters"))
//!     .stream(&WORDS, "count-words", count)
//!     .with_store(&COUNT)
//!     .to(&COUNTS)
//!     .build()?;
//!
//! let mut driver = TopologyDriver::new(topology, 2)?;
//! let word = Word("log".to_owned());
//! driver.pipe_input(&WORDS, &word, &1, Timestamp::EPOCH);
//! driver.pipe_input(&WORDS, &word, &2, Timestamp::EPOCH);
//! driver.commit()?;
//! assert_eq!(driver.read_output(&COUNTS)?, [(word.clone(), 1), (word, 3)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! In reading order:
//!
//! - `record`, `topic`, `codec`, `partitioner`: what lies on the log, and its typed names.
//! - `topology`, `context`, `window`: what a service builds, and what its processors see.
//! - `state`, `tables`, `overlay`, `commit`: committed state, and changes that are not committed.
//! - `task`, `task_state`, [`dead_letter`], [`cloud_event`]: one partition's work.
//! - `step`, `worker`, `query`: the conversation with a driver, and certain reads from outside.
//! - `testing` (feature `test-util`): runs a topology without a log.
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
mod topic;
mod topology;
mod trace_parent;
mod window;
mod worker;

pub use codec::{
    CloudEvents, Codec, DecodeError, Encoded, EncodedAs, Event, Json, Key, from_json_bytes,
    json_bytes,
};
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
pub use task::{BatchInputs, Progress, Task};
pub use timestamp::Timestamp;
pub use topic::{Retention, Store, StoreName, Topic, TopicConfig};
pub use topology::{Origin, Topology, TopologyBuilder, TopologyError};
pub use trace_parent::TraceParent;
pub use window::{Session, SessionKey, SessionStore, SessionWindows};
pub use worker::{Worker, WorkerHealth};
