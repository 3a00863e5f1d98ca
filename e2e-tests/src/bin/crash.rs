//! The crash test: see `crash --help`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use e2e_tests::crash::{self, Options};

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let result = crash::run(&options).await;
    // Where nobody reads, the exit code still tells.
    let _ = match &result {
        Ok(report) => writeln!(io::stdout(), "{report}"),
        Err(error) => writeln!(io::stderr(), "crash: seed {}: {error}", options.seed),
    };
    if result.is_ok_and(|report| report.outcome.findings.is_empty()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
