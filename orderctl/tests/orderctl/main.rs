//! The program itself, run against the whole system in the process of the test.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod app;
mod export;
mod import;
mod letters;
mod other_servers;
