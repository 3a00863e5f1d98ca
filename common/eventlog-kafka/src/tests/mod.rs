//! The log on a real broker.

mod broker;
mod contract;
