//! What tests and measures the system as a whole, from outside.
//!
//! - [`http_client`]: one keep-alive HTTP/1.1 connection, cheap enough to measure with.
//! - [`load`]: the load tool, run by `cargo run --release -p e2e-tests --bin load`.
//!
//! `chinook/` holds a script that places a real shop's invoices through the REST API.

pub mod http_client;
pub mod load;
