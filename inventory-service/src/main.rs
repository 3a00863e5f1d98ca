//! The service of products and their stock as a process of its own, on Apache Kafka.

use std::process::ExitCode;

use events::topics::{self, INVENTORY_SERVICE};
use inventory_service::{http, topology};
use standalone::Service;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ABOUT: &str = "\
    Keeps products and their stock, reserves what orders want, and answers for both over HTTP. Any \
    number of instances share the products out among them. Ctrl-C or SIGTERM ends this one";

fn main() -> ExitCode {
    let service = topology().map(|topology| Service {
        topology,
        topics: topics::ALL.to_vec(),
        api: Box::new(|service, _| Ok(http::router(service))),
        awaited: |_| None,
    });
    standalone::main(INVENTORY_SERVICE, ABOUT, service)
}
