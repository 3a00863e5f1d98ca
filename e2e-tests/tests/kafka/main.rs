//! The services as processes on a real Kafka broker: what they promise as a whole, whichever
//! instance is asked, and whatever becomes of instances, of their disks and of the broker.
//!
//! The broker is the one that `KAFKA_BOOTSTRAP_SERVERS` names, else one in a container; without
//! either the tests say that they do not run, which fails them where `REQUIRE_KAFKA` is 1.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod broker;
#[path = "../traces/collector.rs"]
mod collector;
mod dead_letters;
mod instances;
mod rest_api;
mod stage;
mod traces;
#[path = "../traces/tree.rs"]
mod tree;
