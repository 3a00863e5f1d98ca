//! The log on a real broker.

mod contract;
mod fencing;
mod purge;
mod reading;
mod security;
pub(crate) mod setup;
mod state;
mod topics;
mod worker;
