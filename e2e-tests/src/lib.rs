//! What tests and measures the system as a whole, from outside.
//!
//! - [`http_client`]: one keep-alive HTTP/1.1 connection, cheap enough to measure with.
//! - [`crash`]: the crash test, run by `cargo run --release -p e2e-tests --bin crash`.
//! - [`load`]: the load tool, run by `cargo run --release -p e2e-tests --bin load`.
//! - [`simulation`]: the services in the simulator, run by
//!   `cargo run --release -p e2e-tests --bin sim`.
//!
//! `chinook/` holds a script that places a real shop's invoices through the REST API.

pub mod crash;
pub mod http_client;
pub mod load;
pub mod simulation;
