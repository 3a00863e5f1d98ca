//! What tests and measures the system as a whole, from outside.
//!
//! - [`clock`]: what everything here measures with.
//! - [`http_client`]: one keep-alive HTTP/1.1 connection, cheap enough to measure with.
//! - [`program`]: a program under test as a process, and [`routes`]: which of several answers what.
//! - [`crowd`]: clients who remember every answer, and the judgement of what is on the log.
//! - [`crash`]: the crash test, run by `cargo run --release -p e2e-tests --bin crash`.
//! - [`load`]: the load tool, run by `cargo run --release -p e2e-tests --bin load`.
//! - [`simulation`]: the services in the simulator, run by
//!   `cargo run --release -p e2e-tests --bin sim`.
//!
//! `chinook/` holds a script that places a real shop's invoices through the REST API.

pub mod clock;
pub mod crash;
pub mod crowd;
pub mod http_client;
pub mod load;
pub mod program;
pub mod routes;
pub mod simulation;
