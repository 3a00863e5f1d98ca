//! The log on Apache Kafka.
//!
//! What goes in: the broker's address, topics and services. What comes out: the contract of
//! `eventlog` over transactions, with state stores on local disk beside the log. In reading order:
//!
//! - `settings`: how each client is set up, `security` for those of two libraries, and `error`:
//!   why a log cannot be used.
//! - `topics`: what is created, and what is checked.
//! - `log`: the log, with the way in for `requests`, readers `outside` any group, its `slots` in
//!   the state directory, and the `purge` of what has been consumed.
//! - `session`: a worker's connection, made of
//!   - `membership`: its place in the group, and `ownership`: what it owns and believes to own,
//!   - `producers`: its transactions,
//!   - `reader`: committed records, and `ends`: up to where there are any,
//!   - `changelog` and `store`: its state, on the broker and on disk, and `marks`: whether the two
//!     belong together.
//! - `records`, `remarks`, `native` and `clock`: what all of them use.
//! - `testing`: a broker for tests.
//! - `librdkafka/leader_hints.c`: stands in for a faulty function of the client library.
#![warn(missing_docs)]

mod changelog;
mod clock;
mod ends;
mod error;
mod log;
mod marks;
mod membership;
mod native;
mod outside;
mod ownership;
mod producers;
mod purge;
mod reader;
mod records;
mod remarks;
mod requests;
mod security;
mod session;
mod settings;
mod slots;
mod store;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod topics;
mod watch;

pub use changelog::Service;
pub use error::Error;
pub use log::KafkaLog;
pub use session::KafkaSession;
pub use settings::Settings;
