//! Creates the products and customers of a run.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::task::JoinSet;

use super::{
    Error,
    progress::tell,
    servers::Servers,
    shop::{Creation, Shop},
};
use crate::{clock, http_client::Client, routes::Service};

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
        let mut clients = BTreeMap::new();
        let servers = servers.clone();
        let open = Arc::clone(&open);
        workers.spawn(async move {
            let take = || open.lock().unwrap_or_else(PoisonError::into_inner).next();
            while let Some(creations) = take() {
                for creation in creations {
                    let service = Service::of_path(&creation.path);
                    let connect =
                        || Client::new(servers.of_service(service).clone(), ANSWER_TIME_MAX);
                    send(clients.entry(service).or_insert_with(connect), creation).await?;
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
