//! The chaos test: see `chaos --help`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use chaos::Options;
use clap::Parser;
use eventlog_kafka::testing::Broker;

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let outcome = match Broker::start_one() {
        Ok(broker) => chaos::run(&options, &broker).await.map_err(|error| error.to_string()),
        Err(error) => Err(format!("there is no broker: {error}")),
    };
    // Where nobody reads, the exit code still tells.
    let _ = match &outcome {
        Ok(report) => writeln!(io::stdout(), "{report}"),
        Err(error) => writeln!(io::stderr(), "chaos: seed {}: {error}", options.seed),
    };
    if outcome.is_ok_and(|report| report.findings.is_empty()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
