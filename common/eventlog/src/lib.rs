//! The log under the runtime.
//!
//! What goes in: batches of records, store changes and offsets, each of which becomes visible as
//! a whole or not at all. What comes out: records in order, state, and the word that a commit is
//! on disk. In reading order:
//!
//! - `log`: the contract: [`Log`], [`Session`], [`RequestLog`], and what they promise.
//! - `error`: what can go wrong.
//! - `changelog`: changes of stores as records, for logs that keep state beside them.
//! - `core`: the log in memory as a plain state machine, made of `topics` and their `tail`s,
//!   `group`s with their `memtable`s, and those `waiting` for durability.
//! - `memory`: that core behind the contract, for tests.
//! - `embedded`: that core kept on local disk; `frozen` is what of it a checkpoint
//!   writes, and `rotation` whose turn it is.
//! - `contract` (feature `test-util`): the suite that every implementation must pass.
#![warn(missing_docs)]

mod budget;
mod changelog;
#[cfg(any(test, feature = "test-util"))]
pub mod contract;
mod core;
mod embedded;
mod encoding;
mod error;
mod frozen;
mod group;
mod log;
mod memory;
mod memtable;
mod prepared;
mod rotation;
mod tail;
mod topics;
mod waiting;

pub use changelog::{changelog_change, changelog_record};
pub use core::{Commit, Core, Wakers};
pub use embedded::{EmbeddedLog, EmbeddedSession};
pub use error::Error;
pub use group::SessionId;
pub use log::*;
pub use memory::{MemoryLog, MemorySession};
pub use memtable::StorePartition;
pub use waiting::Due;
