//! The broker that tests run on: one that was named to them, or one of their own in a container.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{ChildStdin, Command};
use std::sync::OnceLock;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use test_support::remove_container_when_over;
use testcontainers_modules::kafka::apache::{KAFKA_PORT, Kafka};
use testcontainers_modules::testcontainers::runners::SyncRunner;
use testcontainers_modules::testcontainers::{ContainerRequest, ImageExt};

use crate::error::Error;
use crate::settings::Settings;

/// Where the broker is, as an environment variable.
const SERVERS: &str = "KAFKA_BOOTSTRAP_SERVERS";
/// Where this is 1, a test without a broker fails.
const REQUIRED: &str = "REQUIRE_KAFKA";
/// The version of Kafka in a container.
const TAG: &str = "4.3.1";
/// How long a container may take on a busy machine.
const START_TIME_MAX: Duration = Duration::from_secs(120);
/// How long a broker that takes requests may take to answer one.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

/// What the services ask of a broker, so that a crash is noticed soon, and what makes a group
/// agree at once on who owns what; few threads, as for two cores; and patience with itself, since a
/// broker that takes itself for dead on a busy machine loses the ends of transactions (ADR 006).
const SETTINGS: [(&str, &str); 11] = [
    ("KAFKA_GROUP_CONSUMER_SESSION_TIMEOUT_MS", "6000"),
    ("KAFKA_GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS", "6000"),
    ("KAFKA_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS", "1000"),
    ("KAFKA_GROUP_CONSUMER_MIN_HEARTBEAT_INTERVAL_MS", "1000"),
    ("KAFKA_GROUP_CONSUMER_MIN_ASSIGNMENT_INTERVAL_MS", "0"),
    ("KAFKA_GROUP_CONSUMER_ASSIGNMENT_INTERVAL_MS", "0"),
    ("KAFKA_GROUP_CONSUMER_ASSIGNOR_OFFLOAD_ENABLE", "false"),
    ("KAFKA_TRANSACTION_ABORT_TIMED_OUT_TRANSACTION_CLEANUP_INTERVAL_MS", "1000"),
    ("KAFKA_NUM_NETWORK_THREADS", "1"),
    ("KAFKA_NUM_IO_THREADS", "2"),
    ("KAFKA_BROKER_SESSION_TIMEOUT_MS", "30000"),
];

/// A broker.
#[derive(Debug)]
pub struct Broker {
    servers: String,
    container: Option<Container>,
}

impl Broker {
    /// The broker that all tests of this process share, or `None` where there is none, which is
    /// said. It is the one that `KAFKA_BOOTSTRAP_SERVERS` names, else one in a container.
    ///
    /// # Panics
    /// Where there is none although `REQUIRE_KAFKA` is 1.
    pub fn find() -> Option<&'static Broker> {
        static NAMED: OnceLock<Option<Broker>> = OnceLock::new();
        let named = NAMED.get_or_init(|| {
            let servers = std::env::var(SERVERS).ok().filter(|servers| !servers.is_empty())?;
            Some(Broker { servers, container: None })
        });
        named.as_ref().or_else(|| Broker::in_container().map_err(|why| not_run(&why)).ok())
    }

    /// The broker in a container that all tests of this process share, for those that kill it. As
    /// [`Broker::find`], but for a broker that was named.
    ///
    /// # Panics
    /// As [`Broker::find`].
    pub fn find_mortal() -> Option<&'static Broker> {
        Broker::in_container().map_err(|why| not_run(&why)).ok()
    }

    /// A broker in a container of its own, for those who leave on it what others must not find. As
    /// [`Broker::find_mortal`] otherwise.
    ///
    /// # Panics
    /// As [`Broker::find`].
    pub fn find_own() -> Option<Broker> {
        Broker::find_with(&[])
    }

    /// A broker of its own with further settings, as variables of its container. As
    /// [`Broker::find_mortal`] otherwise.
    ///
    /// # Panics
    /// As [`Broker::find`].
    pub fn find_with(settings: &'static [(&str, &str)]) -> Option<Broker> {
        Broker::start_with(settings).map_err(|why| not_run(&why)).ok()
    }

    fn in_container() -> Result<&'static Broker, String> {
        static SHARED: OnceLock<Result<Broker, String>> = OnceLock::new();
        SHARED.get_or_init(Broker::start_one).as_ref().map_err(String::clone)
    }

    /// Starts a broker in a container, which is gone with this process, however it ends.
    ///
    /// # Errors
    /// Why there is none: no engine for containers, most of all.
    pub fn start_one() -> Result<Broker, String> {
        Broker::start_with(&[])
    }

    fn start_with(settings: &'static [(&str, &str)]) -> Result<Broker, String> {
        // On a thread of its own, since it blocks on a runtime of its own.
        let started = std::thread::spawn(|| Container::start(settings)).join();
        let (container, port) = started.map_err(|_| "the start panicked".to_owned())??;
        Ok(Broker { servers: format!("127.0.0.1:{port}"), container: Some(container) })
    }

    /// `host:port` of it.
    pub fn servers(&self) -> &str {
        &self.servers
    }

    /// Settings for a log on it.
    pub fn settings(&self, partitions: u32, state_directory: &Path) -> Settings {
        Settings::new(&self.servers, partitions, state_directory)
    }

    /// Whether it takes requests.
    pub fn answers(&self) -> bool {
        let client: Result<BaseConsumer, _> = self.settings(1, Path::new("")).ends().create();
        client.is_ok_and(|client| client.fetch_metadata(None, ANSWER_TIME_MAX).is_ok())
    }

    /// Kills it without any warning. What it was told is kept.
    ///
    /// # Errors
    /// Where it is in no container, or the engine does not do it.
    pub fn kill(&self) -> io::Result<()> {
        self.engine(&["kill"], &[])
    }

    /// Asks it to end in order, and waits until it has.
    ///
    /// # Errors
    /// As [`Broker::kill`].
    pub fn stop(&self) -> io::Result<()> {
        // What the engine itself would ask is a shell, which does not tell the broker.
        self.engine(&["exec"], &["pkill", "-TERM", "java"])?;
        self.engine(&["wait"], &[])
    }

    /// Starts it again, and does not wait until it can be reached.
    ///
    /// # Errors
    /// As [`Broker::kill`].
    pub fn start(&self) -> io::Result<()> {
        self.engine(&["start"], &[])
    }

    /// Stops it where it is, until [`Broker::resume`].
    ///
    /// # Errors
    /// As [`Broker::kill`].
    pub fn suspend(&self) -> io::Result<()> {
        // By a signal: engines freeze containers with what not every system lets them.
        self.engine(&["exec"], &["pkill", "-STOP", "java"])
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// As [`Broker::kill`].
    pub fn resume(&self) -> io::Result<()> {
        self.engine(&["exec"], &["pkill", "-CONT", "java"])
    }

    /// The partitions, of any topic, in which a transaction holds back those who read committed
    /// records only.
    ///
    /// # Errors
    /// [`Error::Client`] where it cannot be asked.
    pub fn undecided(&self) -> Result<Vec<String>, Error> {
        let settings = self.settings(1, Path::new(""));
        let ends: BaseConsumer = settings.ends().create().map_err(Error::client)?;
        let decided: BaseConsumer = settings.committed_ends().create().map_err(Error::client)?;
        let wait = settings.request_timeout;
        let metadata = ends.fetch_metadata(None, wait).map_err(Error::client)?;
        let mut undecided = Vec::new();
        for topic in metadata.topics() {
            for partition in topic.partitions() {
                let (name, id) = (topic.name(), partition.id());
                // In this order, or what is written between the two would count.
                let (_, end) = ends.fetch_watermarks(name, id, wait).map_err(Error::client)?;
                let (_, held) = decided.fetch_watermarks(name, id, wait).map_err(Error::client)?;
                if held < end {
                    undecided.push(format!("{name}-{id} from {held} to {end}"));
                }
            }
        }
        Ok(undecided)
    }

    /// What it has said so far.
    ///
    /// # Errors
    /// As [`Broker::kill`].
    pub fn words(&self) -> io::Result<Vec<u8>> {
        self.ask_engine(&["logs"], &[])
    }

    /// Runs a command of the engine on the container.
    fn engine(&self, verb: &[&str], then: &[&str]) -> io::Result<()> {
        self.ask_engine(verb, then).map(|_| ())
    }

    fn ask_engine(&self, verb: &[&str], then: &[&str]) -> io::Result<Vec<u8>> {
        let container = self.container.as_ref();
        let id = container.map(|container| container.id.as_str());
        let id = id.ok_or_else(|| io::Error::other("the broker is in no container of ours"))?;
        let output = Command::new("docker").args(verb).arg(id).args(then).output()?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}

fn not_run(why: &str) {
    let why = format!("{SERVERS} names none, and in a container none can be started: {why}");
    test_support::not_run(REQUIRED, "Kafka broker", &why);
}

#[derive(Debug)]
struct Container {
    id: String,
    /// When it closes, which nothing can keep it from, the container is removed.
    _life: ChildStdin,
}

impl Container {
    fn start(further: &[(&str, &str)]) -> Result<(Container, u16), String> {
        let port = free_port().map_err(|error| error.to_string())?;
        let image = Kafka::default().with_jvm_image();
        // A port that is ours stays the same when the broker is killed and started again.
        let request = image.with_tag(TAG).with_mapped_port(port, KAFKA_PORT);
        let request = request.with_startup_timeout(START_TIME_MAX);
        let with = |request: ContainerRequest<Kafka>, (name, value): &(&str, &str)| {
            request.with_env_var(*name, *value)
        };
        let request = SETTINGS.iter().chain(further).fold(request, with);
        let container = request.start().map_err(|error| error.to_string())?;
        let id = container.id().to_owned();
        let life = remove_container_when_over(&id).map_err(|error| error.to_string())?;
        // Its destructor would not run for what is shared, and would block where it must not.
        std::mem::forget(container);
        Ok((Container { id, _life: life }, port))
    }
}

/// A port that nobody listens on, and below those that systems give to outgoing connections: one of
/// these could take it while the broker is down, even a client's to that very port.
fn free_port() -> io::Result<u16> {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    // Where others look at the same time, they begin elsewhere.
    let begin = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap_or_default();
    let free = (begin..32_000).find(is_free);
    free.ok_or_else(|| io::Error::other("no port is free"))
}
