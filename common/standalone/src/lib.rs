//! One service as a process of its own, with its log on Apache Kafka.
//!
//! A service's `main.rs` says what is particular to it, and [`main`] or [`run`] does the
//! rest:
//!
//! 1. listen: `/healthz` answers from here on, everything else says what it waits for
//! 2. wait for the broker, create the topics that are missing, take a state slot
//! 3. run the tasks of the partitions that the group gives to this instance
//! 4. at Ctrl-C or SIGTERM: end what is under way, finish the batch, leave the group
//!
//! - `settings`: what flags and environment say
//! - `process`: these steps
#![warn(missing_docs)]

mod process;
mod settings;

pub use process::{Api, Service, main, run};
pub use settings::Settings;
