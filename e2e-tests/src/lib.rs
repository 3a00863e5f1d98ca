//! What tests and measures the system as a whole, from outside.
//!
//! - [`http_client`]: one keep-alive HTTP/1.1 connection, cheap enough to measure with.
//! - [`invariants`]: what must hold whatever happens, checked over the log and what clients heard.
//! - [`crash`]: the crash test, run by `cargo run --release -p e2e-tests --bin crash`.
//! - [`load`]: the load tool, run by `cargo run --release -p e2e-tests --bin load`.
//!
//! `chinook/` holds a script that places a real shop's invoices through the REST API.

pub mod crash;
pub mod http_client;
pub mod invariants;
pub mod load;
