//! Every promise of the REST API, kept over real connections by the real system: in this process,
//! or where the environment variable `SYSTEM` names one, by processes on Kafka.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bodies;
mod customers;
mod fuzz;
mod operations;
mod orders;
mod page;
mod past;
mod products;
mod shared;
mod test_app;
mod waiting;
