//! Logs: to stderr, so that stdout is left to what a command has to say.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// What is logged unless the environment variable `RUST_LOG` says otherwise.
const DEFAULT_FILTER: &str = "info";

/// Begins to log as `RUST_LOG` says. A part of `RUST_LOG` that cannot be read is ignored. Where
/// logging has begun already nothing changes.
pub fn start() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::builder().parse_lossy(DEFAULT_FILTER));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .try_init();
    if started.is_err() {
        tracing::debug!("logging has begun already");
    }
}
