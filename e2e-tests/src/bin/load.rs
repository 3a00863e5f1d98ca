//! The load tool: see `load --help`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use e2e_tests::load::{self, Options, Report};

fn main() -> ExitCode {
    let failure = match load::run(&Options::parse()) {
        Ok(report) => match write(&report) {
            Ok(()) => report.shortfall(),
            Err(error) => Some(format!("cannot write the report: {error}")),
        },
        Err(error) => Some(error.to_string()),
    };
    let Some(failure) = failure else { return ExitCode::SUCCESS };
    // A closed stderr changes nothing about the exit code.
    let _ = writeln!(io::stderr(), "load: {failure}");
    ExitCode::FAILURE
}

fn write(report: &Report) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    serde_json::to_writer(&mut stdout, report)?;
    writeln!(stdout)
}
