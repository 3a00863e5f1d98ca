//! The parts of the system put together.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use eventlog::EmbeddedLog;
use events::topics;
use orders_read_model::{Place, READ_MODEL_FILE, ReadModel};
use orders_service::order::state::Timeouts;
use shell::admission::{Admission, Limits};
use shell::{DataDirectory, ServiceHandle, SpanExport, Workers, edge, server};
use streams::{Topology, TopologyError};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use utoipa_axum::router::OpenApiRouter;

use crate::greeting::Greeting;
use crate::page;
use crate::sample::{self, Sample};
use crate::settings::Settings;

/// How many threads run workers. The log's own threads and those that answer HTTP share the cores
/// with them.
const WORKER_THREADS: usize = 1;

/// What spans call the log.
const MESSAGING_SYSTEM: &str = "eventlog";

/// How long a start waits for the services to be ready, and how often it asks.
const READY_TIME_MAX: Duration = Duration::from_secs(10);
const READY_PAUSE: Duration = Duration::from_millis(5);

/// Why the system does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken, or is none.
    #[error("cannot listen on {listen}: {source}")]
    Listen {
        /// The address.
        listen: String,
        /// What the system said.
        source: io::Error,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    Log(#[from] eventlog::Error),
    /// A service is put together wrongly.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// A worker cannot be started, or stopped by itself.
    #[error(transparent)]
    Worker(#[from] shell::Error),
    /// The read model cannot be started.
    #[error(transparent)]
    ReadModel(#[from] orders_read_model::Error),
    /// The sample cannot be loaded.
    #[error("the sample is not loaded: {0}")]
    Sample(#[from] sample::Error),
}

/// The running system.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    data_dir: PathBuf,
    sample: Sample,
    workers: Workers<EmbeddedLog>,
    spans: SpanExport,
    read_model: ReadModel,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

/// Starts the system, and loads the sample where it is wanted.
///
/// # Errors
/// [`Error`]; nothing runs then.
pub async fn start(settings: &Settings) -> Result<Running, Error> {
    // The address first: where it is taken, nothing is made in the data directory.
    let not_listening = |source| Error::Listen { listen: settings.listen.clone(), source };
    let listener = TcpListener::bind(&settings.listen).await.map_err(not_listening)?;
    let address = listener.local_addr().map_err(not_listening)?;
    let data_dir = settings.data_dir.clone();
    let sample = Sample::prepare(&data_dir, !settings.no_sample).map_err(|error| {
        eventlog::Error::Directory { path: data_dir.clone(), reason: error.to_string() }
    })?;
    let (directory, partitions) = (data_dir.clone(), settings.partitions);
    let opening = tokio::task::spawn_blocking(move || open_log(&directory, partitions));
    let log = opening.await.map_err(|error| eventlog::Error::Directory {
        path: data_dir.clone(),
        reason: error.to_string(),
    })??;
    let topologies = topologies(settings.orders.timeouts())?;
    let (services, mut workers) = Workers::start(log, &topologies, WORKER_THREADS)?;
    let services = Services::of(services);
    orders_service::outcomes::watch(&services.orders);
    services.orders.add_part(Arc::new(DataDirectory::new(&data_dir)));
    let started = tokio::select! {
        error = workers.failed() => Err(error.into()),
        loaded = fill(&sample, &services) => loaded.map_err(Error::Sample),
    };
    let read_model = started.and_then(|()| services.read_model(settings));
    let read_model = match read_model {
        Ok(read_model) => read_model,
        Err(error) => {
            close(workers).await;
            return Err(error);
        }
    };
    // Whoever connects before the shop is filled waits until it is.
    let admission = Admission::new(Limits::of_this_process());
    let spans = SpanExport::start(&services.all(), MESSAGING_SYSTEM);
    let letters = dead_letters::routes(services.all());
    let api = services.api(&admission, &read_model).merge(letters);
    let application = edge::application(api, &admission, services.all());
    let (stop, stopped) = oneshot::channel();
    let stopped = async { drop(stopped.await) };
    let serving = tokio::spawn(server::serve(listener, application, admission, stopped));
    Ok(Running { address, data_dir, sample, workers, spans, read_model, stop, serving })
}

/// Loads the sample where it is to be loaded, and waits until every service is ready: not for
/// ever, since `/readyz` says what is missing to whoever has started it.
async fn fill(sample: &Sample, services: &Services) -> Result<(), sample::Error> {
    sample.load(&services.inventory, &services.payments).await?;
    let all_ready = async {
        for service in services.all() {
            while !service.health().await.missing.is_empty() {
                tokio::time::sleep(READY_PAUSE).await;
            }
        }
    };
    if tokio::time::timeout(READY_TIME_MAX, all_ready).await.is_err() {
        tracing::warn!("not ready yet: /readyz says why");
    }
    Ok(())
}

impl Running {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The log under it.
    pub const fn log(&self) -> &EmbeddedLog {
        self.workers.log()
    }

    /// What to say now that it runs.
    pub fn greeting(&self) -> Greeting {
        Greeting {
            address: self.address,
            data_dir: self.data_dir.clone(),
            has_sample: self.sample.is_loaded(),
        }
    }

    /// Waits until it cannot go on, and gives the reason.
    pub async fn failed(&mut self) -> Error {
        self.workers.failed().await.into()
    }

    /// Stops it: requests under way are ended, then the projection and the workers, then the log
    /// is closed, and spans that are left are exported.
    pub async fn stop(self) {
        let Running { workers, spans, read_model, stop, serving, .. } = self;
        // Where nobody listens, serving has ended already.
        let _ = stop.send(());
        if let Err(error) = serving.await {
            tracing::error!(%error, "serving ended");
        }
        read_model.stop().await;
        close(workers).await;
        spans.stop().await;
    }
}

async fn close(workers: Workers<EmbeddedLog>) {
    if let Err(error) = workers.stop().await {
        tracing::error!(%error, "closing ended");
    }
}

/// The services, in the order that [`Services::of`] takes their handles.
fn topologies(timeouts: Timeouts) -> Result<[Arc<Topology>; 4], TopologyError> {
    Ok([
        Arc::new(orders_service::topology(timeouts)?),
        Arc::new(inventory_service::topology()?),
        Arc::new(fraud_service::topology()?),
        Arc::new(payments_service::topology()?),
    ])
}

/// The running services.
struct Services {
    orders: ServiceHandle,
    inventory: ServiceHandle,
    fraud: ServiceHandle,
    payments: ServiceHandle,
}

impl Services {
    /// The handles of the services, in the order of [`topologies`].
    fn of(handles: Vec<ServiceHandle>) -> Self {
        match <[ServiceHandle; 4]>::try_from(handles) {
            Ok([orders, inventory, fraud, payments]) => {
                Services { orders, inventory, fraud, payments }
            }
            Err(handles) => unreachable!("{} handles of 4 topologies", handles.len()),
        }
    }

    fn all(&self) -> Vec<ServiceHandle> {
        [&self.orders, &self.inventory, &self.fraud, &self.payments].map(Clone::clone).to_vec()
    }

    /// The read model of orders, in a file beside the log.
    fn read_model(&self, settings: &Settings) -> Result<ReadModel, Error> {
        let place = Place::File(settings.data_dir.join(READ_MODEL_FILE));
        let rebuild = settings.read_model.rebuild_read_model;
        let read_model = ReadModel::start(self.orders.log(), &place, rebuild)?;
        self.orders.add_part(read_model.report());
        Ok(read_model)
    }

    fn api(&self, admission: &Admission, read_model: &ReadModel) -> OpenApiRouter {
        let read_model = read_model.clone();
        orders_service::http::router(self.orders.clone(), admission.clone(), read_model)
            .merge(inventory_service::http::router(self.inventory.clone()))
            .merge(payments_service::http::router(self.payments.clone()))
            .merge(page::router().into())
    }
}

/// Opens the log in a data directory, for the system or for whoever reads what it has left there.
///
/// # Errors
/// [`eventlog::Error`] where the directory cannot be used, or another process uses it.
pub fn open_log(data_dir: &Path, partitions: u32) -> Result<EmbeddedLog, eventlog::Error> {
    EmbeddedLog::open(data_dir, topics::ALL.to_vec(), partitions)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[tokio::test]
    async fn every_route_is_described_and_every_description_has_its_route() {
        let directory = tempfile::tempdir().unwrap();
        let log = open_log(directory.path(), 1).unwrap();
        let topologies = topologies(Timeouts::DEFAULT).unwrap();
        let (services, workers) = Workers::start(log, &topologies, WORKER_THREADS).unwrap();
        let services = Services::of(services);
        let place = Place::File(directory.path().join(READ_MODEL_FILE));
        let read_model = ReadModel::start(services.orders.log(), &place, false).unwrap();
        let admission = Admission::new(Limits::default());

        let api = services.api(&admission, &read_model);
        let (router, document) = api.split_for_parts();

        // A router shows its paths in no other way.
        let shown = format!("{router:?}");
        let routes: BTreeSet<&str> =
            shown.split('"').filter(|text| text.starts_with("/v1/")).collect();
        let described: BTreeSet<&str> = document.paths.paths.keys().map(String::as_str).collect();
        assert_eq!(routes, described);
        assert!(routes.len() > 10, "{shown}");
        read_model.stop().await;
        workers.stop().await.unwrap();
    }
}
