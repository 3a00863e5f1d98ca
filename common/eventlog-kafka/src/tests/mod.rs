//! The log on a real broker.

mod contract;
mod fencing;
mod purge;
mod reading;
mod setup;
mod state;
mod topics;
mod worker;
