//! The chaos test: the real services on a real broker, while things go wrong at random under load.
//!
//! What goes in: [`Options`] and a broker. What comes out: a [`Report`], with all that must not be
//! and was seen. Every fault and every cure is told on stderr, with the time since the start. Run
//! by `cargo run --release -p chaos -- --seconds 600`.
//! - [`cluster`]: the services as processes on a broker
//! - `options`: what a run is like
//! - `faults`: what goes wrong, and for how long
//! - `run`: the run itself
//! - `report`: what it came to
//!
//! What clients do, and how the log is judged in the end, is in [`e2e_tests::crowd`].

pub mod cluster;
mod faults;
mod options;
mod report;
mod run;

pub use options::Options;
pub use report::Report;
pub use run::{Error, run};
