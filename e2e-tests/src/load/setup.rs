//! Creates the products and customers of a run.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::task::JoinSet;

use super::{
    Error, clock,
    progress::tell,
    servers::Servers,
    shop::{Creation, Shop},
};
use crate::http_client::Client;

/// Few enough never to be refused for too much load.
const CONNECTIONS: usize = 16;
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);
/// How much of an unexpected answer is shown.
const SHOWN_BYTES_MAX: usize = 200;

/// Creates everything that the shop's orders need, or says what was not accepted.
pub(super) async fn create(shop: &Shop, servers: &Servers) -> Result<(), Error> {
    let started = clock::now();
    let creations: Vec<Vec<Creation>> = shop.creations().collect();
    let count = creations.len();
    let open = Arc::new(Mutex::new(creations.into_iter()));
    let mut workers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let mut clients = Clients::default();
        let servers = servers.clone();
        let open = Arc::clone(&open);
        workers.spawn(async move {
            let take = || open.lock().unwrap_or_else(PoisonError::into_inner).next();
            while let Some(creations) = take() {
                for creation in creations {
                    send(clients.of_path(&servers, &creation.path), creation).await?;
                }
            }
            Ok::<(), Error>(())
        });
    }
    while let Some(worker) = workers.join_next().await {
        worker.map_err(std::io::Error::from)??;
    }
    let elapsed = clock::now() - started;
    tell(format_args!("set-up: {count} products and customers in {elapsed:.1?}"));
    Ok(())
}

/// A connection to each service that something was asked of.
#[derive(Default)]
struct Clients {
    products: Option<Client>,
    customers: Option<Client>,
}

impl Clients {
    fn of_path(&mut self, servers: &Servers, path: &str) -> &mut Client {
        let client = match path.starts_with("/v1/products") {
            true => &mut self.products,
            false => &mut self.customers,
        };
        client.get_or_insert_with(|| Client::new(servers.of_path(path).clone(), ANSWER_TIME_MAX))
    }
}

async fn send(client: &mut Client, creation: Creation) -> Result<(), Error> {
    let Creation { method, path, body } = creation;
    let request = format!("{method} {path}");
    let answer = client.send(method, path.into(), body.into()).await?;
    if matches!(answer.status, 200 | 201) {
        return Ok(());
    }
    let shown = &answer.body[..answer.body.len().min(SHOWN_BYTES_MAX)];
    let body = String::from_utf8_lossy(shown).into_owned();
    Err(Error::SetUp { request, status: answer.status, body })
}
