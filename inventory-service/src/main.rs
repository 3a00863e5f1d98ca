//! The service of products and their stock as a process of its own, on Apache Kafka.

use std::process::ExitCode;

use clap::Parser;
use events::topics;
use inventory_service::{http, topology};
use standalone::{Service, Settings};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keeps products and their stock, reserves what orders want, and answers for both over HTTP. Any
/// number of instances share the products out among them. Ctrl-C or SIGTERM ends this one.
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
        api: |service, _| http::router(service),
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
