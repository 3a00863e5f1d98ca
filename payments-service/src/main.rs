//! The service of customers and their accounts as a process of its own, on Apache Kafka.

use std::process::ExitCode;

use events::topics::{self, PAYMENTS_SERVICE};
use payments_service::{http, topology};
use standalone::Service;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ABOUT: &str = "\
    Keeps customers and their accounts, pays orders from them, and answers for both over HTTP. Any \
    number of instances share the customers out among them. Ctrl-C or SIGTERM ends this one";

fn main() -> ExitCode {
    let service = topology().map(|topology| Service {
        topology,
        topics: topics::ALL.to_vec(),
        api: Box::new(|service, _| Ok(http::router(service))),
        awaited: |_| None,
    });
    standalone::main(PAYMENTS_SERVICE, ABOUT, service)
}
