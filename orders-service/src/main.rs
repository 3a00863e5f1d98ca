//! The service of orders as a process of its own, on Apache Kafka.

use std::process::ExitCode;

use clap::Parser;
use events::topics::{self, ORDERS_SERVICE};
use orders_read_model::{Place, READ_MODEL_FILE, ReadModel};
use orders_service::{http, outcomes, settings, topology};
use shell::ServiceHandle;
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
    #[command(flatten)]
    read_model: orders_read_model::Settings,

    /// The database of the read model, as postgres://user:password@host/database; without it, a
    /// file of SQLite in the state directory
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
}

impl Settings {
    fn read_model_place(&self) -> Place {
        let file = || self.process.state_dir.join(ORDERS_SERVICE).join(READ_MODEL_FILE);
        let url = self.database_url.clone().filter(|url| !url.is_empty());
        url.map_or_else(|| Place::File(file()), Place::Url)
    }
}

fn main() -> ExitCode {
    let settings = Settings::parse();
    let (place, rebuild) = (settings.read_model_place(), settings.read_model.rebuild_read_model);
    let api = move |service: ServiceHandle, admission| {
        outcomes::watch(&service);
        let read_model = ReadModel::start(service.log(), &place, rebuild)?;
        service.add_part(read_model.report());
        Ok(http::router(service, admission, read_model))
    };
    let service = topology(settings.orders.timeouts()).map(|topology| Service {
        topology,
        topics: topics::ALL.to_vec(),
        api: Box::new(api),
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
