//! Runs the whole system in one process.

use std::io::{Write, stderr, stdout};
use std::pin::pin;
use std::process::ExitCode;

use clap::Parser;
use quickstart::Settings;
use shell::{shutdown, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let settings = Settings::parse();
    telemetry::start();
    match run(&settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where nobody reads stderr, the exit code still tells.
            let _ = writeln!(stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(settings: &Settings) -> anyhow::Result<()> {
    let mut stop = pin!(shutdown::signal()?);
    // A start that is cut off leaves what a crash would: the next one goes on from there.
    let mut system = tokio::select! {
        started = quickstart::start(settings) => started?,
        () = &mut stop => return Ok(()),
    };
    // It runs all the same where nobody reads what it says.
    let _ = write!(stdout(), "{}", system.greeting());
    let ended = tokio::select! {
        () = stop => Ok(()),
        error = system.failed() => Err(error.into()),
    };
    system.stop().await;
    ended
}
