//! `orderctl`, the operator's tool. It speaks to the system by its REST API.
//!
//! - [`arguments`]: what the command line and the environment say
//! - `servers`: which URL has which path, and requests to it
//! - `kind`: what can be imported and exported, its columns and its JSON
//! - `rows`: files of CSV and JSON lines, row by row
//! - `import`: rows to requests; `report`: what became of them; `progress`: how far it is
//! - `export`: lists to rows
//! - `dead_letters`: what services could not read, shown and put back
//! - `topology`: what services are made of
#![warn(missing_docs)]

pub mod arguments;
mod dead_letters;
mod export;
mod import;
mod kind;
mod progress;
mod report;
mod rows;
mod servers;
mod topology;

use std::io;
use std::process::ExitCode;

pub use arguments::Arguments;
use arguments::{Command, DeadLettersCommand};
use servers::Servers;

/// What a command came to that could be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All of it was done.
    Done,
    /// Some of it was refused or failed, and was told.
    Refused,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => ExitCode::SUCCESS,
            Outcome::Refused => ExitCode::FAILURE,
        }
    }
}

/// Does what the command line says.
///
/// # Errors
/// Where the command cannot be carried out at all; the text is for people, in one line.
pub async fn run(arguments: Arguments) -> anyhow::Result<Outcome> {
    let servers = Servers::new(&arguments.servers)?;
    match arguments.command {
        Command::Import(arguments) => import::run(&servers, &arguments).await,
        Command::Export { kind, format } => shown(export::run(&servers, kind, format).await),
        Command::DeadLetters(DeadLettersCommand::List { format }) => {
            shown(dead_letters::list(&servers, format).await)
        }
        Command::DeadLetters(DeadLettersCommand::Requeue(which)) => {
            dead_letters::requeue(&servers, which.id.as_deref()).await
        }
        Command::Topology { service, format } => shown(topology::print(service, format)),
    }
}

/// What became of a command that only shows something: where nobody reads it any more, it has ended
/// like any other.
fn shown(outcome: anyhow::Result<Outcome>) -> anyhow::Result<Outcome> {
    match outcome {
        Err(error) if is_broken_pipe(&error) => Ok(Outcome::Done),
        outcome => outcome,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| {
        let csv = cause.downcast_ref::<csv::Error>().map(csv::Error::kind);
        let within =
            csv.is_some_and(|kind| matches!(kind, csv::ErrorKind::Io(error) if is_broken(error)));
        within || cause.downcast_ref::<io::Error>().is_some_and(is_broken)
    })
}
