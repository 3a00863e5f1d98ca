//! The service that watches spending as a process of its own, on Apache Kafka.

use std::process::ExitCode;

use events::topics::{self, FRAUD_SERVICE};
use fraud_service::topology;
use standalone::Service;
use utoipa_axum::router::OpenApiRouter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ABOUT: &str = "\
    Finds customers who spend more than is ordinary. Any number of instances share the customers \
    out among them. Ctrl-C or SIGTERM ends this one";

fn main() -> ExitCode {
    let service = topology().map(|topology| Service {
        topology,
        topics: topics::ALL.to_vec(),
        api: Box::new(|_, _| Ok(OpenApiRouter::new())),
        awaited: |_| None,
    });
    standalone::main(FRAUD_SERVICE, ABOUT, service)
}
