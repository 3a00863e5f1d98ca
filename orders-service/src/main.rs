//! The service of orders as a process of its own, on Apache Kafka.

use std::process::ExitCode;

use clap::Parser;
use events::topics;
use orders_service::{http, settings, topology};
use standalone::Service;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Takes orders in, has them validated and paid, and answers for them over HTTP. Any number of
/// instances share the orders out among them. Ctrl-C or SIGTERM ends this one.
#[derive(Debug, Parser)]
#[command(version)]
struct Settings {
    #[command(flatten)]
    process: standalone::Settings,
    #[command(flatten)]
    orders: settings::Settings,
}

fn main() -> ExitCode {
    let settings = Settings::parse();
    let service = topology(settings.orders.timeouts()).map(|topology| Service {
        topology,
        topics: topics::ALL.to_vec(),
        api: http::router,
        awaited: http::awaited,
    });
    standalone::run(&settings.process, service)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Settings;

    #[test]
    fn the_command_line_is_consistent() {
        Settings::command().debug_assert();
    }
}
