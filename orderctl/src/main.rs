//! The operator's tool.

use std::io::{Write, stderr};
use std::process::ExitCode;

use clap::Parser;
use orderctl::Arguments;

#[tokio::main]
async fn main() -> ExitCode {
    match orderctl::run(Arguments::parse()).await {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            // Where nobody reads stderr, the exit code still tells.
            let _ = writeln!(stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}
