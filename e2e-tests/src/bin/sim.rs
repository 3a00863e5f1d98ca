//! The simulator: see `sim --help`.

use std::io;
use std::process::ExitCode;

use clap::Parser;
use e2e_tests::simulation::{Cli, run};

/// A simulation is made of small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A panic is told as what the run came to.
    std::panic::set_hook(Box::new(|_| ()));
    match run(&Cli::parse(), &mut io::stdout().lock()) {
        Ok(code) => ExitCode::from(code),
        Err(_) => ExitCode::FAILURE,
    }
}
