//! The service that watches spending as a process of its own, on Apache Kafka.

use std::process::ExitCode;

use clap::Parser;
use events::topics;
use fraud_service::topology;
use standalone::{Service, Settings};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Finds customers who spend more than is ordinary. Any number of instances share the customers out
/// among them. Ctrl-C or SIGTERM ends this one.
#[derive(Debug, Parser)]
#[command(version)]
struct Program {
    #[command(flatten)]
    settings: Settings,
}

fn main() -> ExitCode {
    let Program { settings } = Program::parse();
    let service = topology().map(|topology| Service {
        topology,
        topics: topics::ALL.to_vec(),
        api: |_, _| axum::Router::new(),
        awaited: |_| None,
    });
    standalone::run(&settings, service)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Program;

    #[test]
    fn the_command_line_is_consistent() {
        Program::command().debug_assert();
    }
}
