//! The life of the process.

use std::fmt;
use std::io::{Write, stderr, stdout};
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::FromArgMatches;
use eventlog::{Retention, TopicConfig};
use eventlog_kafka::KafkaLog;
use shell::admission::{Admission, Limits};
use shell::starting::Starting;
use shell::{
    Awaited, DataDirectory, Peering, ServiceHandle, SpanExport, Workers, edge, endpoints_topic,
    server, shutdown, telemetry,
};
use streams::{Topology, TopologyError};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;
use utoipa_axum::router::OpenApiRouter;

use crate::settings::{Settings, command};

/// How many threads run workers: instances are how a service grows.
const WORKER_THREADS: usize = 1;
/// How many threads answer HTTP.
const HTTP_THREADS: usize = 2;
/// How long workers that are in the middle of something with a broker may take to stop: a little
/// less than engines for containers wait before they kill. What is not committed by then is done by
/// others, or after the next start.
const STOP_TIME_MAX: Duration = Duration::from_secs(8);
/// How long threads that wait for a broker may hold up the end of the process.
const END_TIME_MAX: Duration = Duration::from_millis(100);

/// Makes the routes of a service that runs.
pub type Api = Box<dyn FnOnce(ServiceHandle, Admission) -> anyhow::Result<OpenApiRouter> + Send>;

/// What is particular to a service.
pub struct Service {
    /// Its rules and what connects them.
    pub topology: Topology,
    /// The topics of the whole system.
    pub topics: Vec<TopicConfig>,
    /// Its routes.
    pub api: Api,
    /// What reads of its stores may wait for, by name.
    pub awaited: fn(&str) -> Option<Awaited>,
}

impl fmt::Debug for Service {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Service({})", self.topology.name())
    }
}

/// Runs a service that has no settings of its own, as the command line says. The name and what it
/// does are for `--help`.
pub fn main(
    name: &'static str,
    about: &'static str,
    service: Result<Service, TopologyError>,
) -> ExitCode {
    let matches = command(name, about).get_matches();
    match Settings::from_arg_matches(&matches) {
        Ok(settings) => run(&settings, service),
        Err(error) => error.exit(),
    }
}

/// Runs a service until it is told to stop, or cannot go on: then one line on stderr says why.
pub fn run(settings: &Settings, service: Result<Service, TopologyError>) -> ExitCode {
    telemetry::start();
    match start(settings, service) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where nobody reads stderr, the exit code still tells.
            let _ = writeln!(stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(settings: &Settings, service: Result<Service, TopologyError>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(HTTP_THREADS)
        .enable_all()
        .build()?;
    let ended = runtime.block_on(serve(settings, service?));
    runtime.shutdown_timeout(END_TIME_MAX);
    ended
}

/// Listens, and answers as well as it can while the service starts, runs and stops.
async fn serve(settings: &Settings, service: Service) -> anyhow::Result<()> {
    let stop = shutdown::signal()?;
    let listen = || format!("cannot listen on {}", settings.listen);
    let listener = TcpListener::bind(&settings.listen).await.with_context(listen)?;
    let address = listener.local_addr().with_context(listen)?;
    let admission = Admission::new(Limits::of_this_process());
    let starting = Starting::default();
    let application = starting.application("not connected to Kafka yet");
    let (stop_serving, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let serving = tokio::spawn(server::serve(listener, application, admission.clone(), stopped));
    // It runs all the same where nobody reads what it says.
    let _ = writeln!(stdout(), "{} listens on http://{address}", service.topology.name());

    let instance = Instance { settings, address, admission };
    let mut stop = pin!(stop);
    let started = tokio::select! {
        started = instance.start(service, &starting) => started.map(Some),
        () = &mut stop => Ok(None),
    };
    match started {
        Ok(Some((mut workers, spans))) => {
            let ended = tokio::select! {
                () = stop => Ok(()),
                error = workers.failed() => Err(error.into()),
            };
            // No more requests, then no more work: whoever waits is told to ask another instance.
            let _ = stop_serving.send(());
            serving.await?;
            match timeout(STOP_TIME_MAX, workers.stop()).await {
                Ok(stopped) => stopped?,
                Err(_) => tracing::warn!("the workers have not stopped in time: they are left"),
            }
            spans.stop().await;
            ended
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    }
}

/// An instance of a service that is about to run.
struct Instance<'a> {
    settings: &'a Settings,
    address: SocketAddr,
    admission: Admission,
}

impl Instance<'_> {
    /// Starts the service once there is a broker, and puts its routes in the place of `starting`.
    async fn start(
        self,
        service: Service,
        starting: &Starting,
    ) -> anyhow::Result<(Workers<KafkaLog>, SpanExport)> {
        let Instance { settings, address, admission } = self;
        let Service { topology, mut topics, api, awaited } = service;
        let endpoints = endpoints_topic(&topology);
        topics.push(TopicConfig { name: endpoints, retention: Retention::Compacted });
        let log_settings = log_settings(settings, topology.name());
        let directory = log_settings.state_directory.clone();
        let log = connect(log_settings, topics, &topology).await?;
        let topology = Arc::new(topology);
        let topologies = [Arc::clone(&topology)];
        let (services, workers) = Workers::start(log, &topologies, WORKER_THREADS)?;
        let host_name = rustix::system::uname();
        let host_name = host_name.nodename().to_string_lossy();
        let advertised_url = settings.url(address, &host_name);
        let peering = Peering { advertised_url, endpoints, awaited };
        let service = services.into_iter().next().context("no service was started")?;
        let service = service.with_peers(&topology, peering);
        service.add_part(Arc::new(DataDirectory::new(directory)));
        let routes = api(service.clone(), admission.clone())?;
        let services = vec![service];
        let routes = routes.merge(dead_letters::routes(services.clone()));
        let spans = SpanExport::start(&services, "kafka");
        starting.is_ready(edge::application(routes, &admission, services));
        Ok((workers, spans))
    }
}

fn log_settings(settings: &Settings, service: &str) -> eventlog_kafka::Settings {
    // Services may share a directory, too, without taking each other's slots.
    let state_directory = settings.state_dir.join(service);
    eventlog_kafka::Settings {
        properties: settings.properties(std::env::vars()),
        ..eventlog_kafka::Settings::new(
            &settings.kafka_bootstrap_servers,
            settings.partitions,
            state_directory,
        )
    }
}

/// Connects to the log, however long it takes until there is a broker.
async fn connect(
    settings: eventlog_kafka::Settings,
    topics: Vec<TopicConfig>,
    topology: &Topology,
) -> anyhow::Result<KafkaLog> {
    let services = [eventlog_kafka::Service::of(topology)];
    let connecting = tokio::task::spawn_blocking(move || {
        loop {
            match KafkaLog::connect(settings.clone(), &topics, &services) {
                Err(error @ eventlog_kafka::Error::Unreachable { .. }) => {
                    tracing::warn!(%error, "still waiting for Kafka");
                }
                connected => return connected,
            }
        }
    });
    Ok(connecting.await??)
}
