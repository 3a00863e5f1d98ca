//! The services as processes on a broker: any number of instances of each, which are started,
//! killed, stopped for a while and ended, and the way to any of them.
//!
//! A cluster begins empty. The broker under it may have what others left: ids are told apart by
//! what they begin with.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt, fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitStatus,
};

use eventlog_kafka::{KafkaLog, Settings};
use events::topics;
use tempfile::TempDir;
use tokio::sync::watch;

use e2e_tests::{
    program::{self, Process, Program},
    routes::{Routes, Service},
};

/// How many partitions each topic has.
pub const PARTITIONS: u32 = 6;
/// So many of an instance's last words are shown where a test fails.
const LAST_WORDS: usize = 40;

/// An instance of a service, running or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instance {
    /// The service.
    pub service: Service,
    /// Which of its instances.
    pub number: u32,
}

impl fmt::Display for Instance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.service.program(), self.number)
    }
}

/// Services on a broker.
#[derive(Debug)]
pub struct Cluster {
    programs: PathBuf,
    servers: String,
    directory: TempDir,
    variables: Vec<(&'static str, OsString)>,
    running: BTreeMap<Instance, Process>,
    up: watch::Sender<Option<Routes>>,
}

impl Cluster {
    /// A cluster of none yet, of programs in a directory, on the broker with this address.
    ///
    /// # Errors
    /// [`program::Error::Io`].
    pub fn new(programs: &Path, servers: &str) -> Result<Self, program::Error> {
        Ok(Cluster {
            programs: programs.to_owned(),
            servers: servers.to_owned(),
            directory: tempfile::tempdir()?,
            variables: Vec::new(),
            running: BTreeMap::new(),
            up: watch::channel(None).0,
        })
    }

    /// Sets a variable of the environment, for all that are started from then on.
    pub fn set(&mut self, variable: &'static str, value: impl Into<OsString>) {
        self.variables.push((variable, value.into()));
    }

    /// Where its instances are, as far as they are expected to answer.
    #[must_use]
    pub fn up(&self) -> watch::Receiver<Option<Routes>> {
        self.up.subscribe()
    }

    /// Where its instances are.
    #[must_use]
    pub fn routes(&self) -> Routes {
        self.up.borrow().clone().unwrap_or_default()
    }

    /// Starts instances, and waits until all of them are ready.
    ///
    /// # Errors
    /// [`program::Error`].
    pub async fn start(&mut self, instances: &[Instance]) -> Result<(), program::Error> {
        for instance in instances {
            self.launch(*instance)?;
        }
        for instance in instances {
            self.ready(*instance).await?;
        }
        Ok(())
    }

    /// Starts as many instances of every service, and waits until all of them are ready.
    ///
    /// # Errors
    /// [`program::Error`].
    pub async fn start_each(&mut self, count: u32) -> Result<(), program::Error> {
        let instances = |service| (0..count).map(move |number| Instance { service, number });
        let all: Vec<Instance> = Service::ALL.into_iter().flat_map(instances).collect();
        self.start(&all).await
    }

    /// Starts an instance, and waits for nothing. It has the state directory that it had before.
    ///
    /// # Errors
    /// [`program::Error::NotStarted`].
    pub fn launch(&mut self, instance: Instance) -> Result<(), program::Error> {
        let process = self.program(instance).start()?;
        self.running.insert(instance, process);
        Ok(())
    }

    /// Waits until a running instance listens, and from then on lets clients call it.
    ///
    /// # Errors
    /// [`program::Error`].
    pub async fn listening(&mut self, instance: Instance) -> Result<(), program::Error> {
        self.process(instance)?.listening().await?;
        self.announce();
        Ok(())
    }

    /// Waits until a running instance is ready, and from then on lets clients call it.
    ///
    /// # Errors
    /// [`program::Error`].
    pub async fn ready(&mut self, instance: Instance) -> Result<(), program::Error> {
        self.process(instance)?.ready().await?;
        self.announce();
        Ok(())
    }

    /// Kills an instance without any warning. Clients that call it get no answer from then on,
    /// and those who choose know that it is gone.
    ///
    /// # Errors
    /// [`program::Error`].
    pub async fn kill(&mut self, instance: Instance) -> Result<(), program::Error> {
        let mut process = self.take(instance)?;
        process.kill()?;
        self.announce();
        process.gone().await
    }

    /// Asks an instance to end, and waits until it has ended well. Clients know at once.
    ///
    /// # Errors
    /// [`program::Error`].
    pub async fn end(&mut self, instance: Instance) -> Result<(), program::Error> {
        let process = self.take(instance)?;
        self.announce();
        process.end().await
    }

    /// Ends all instances.
    ///
    /// # Errors
    /// [`program::Error`] of the first that does not end well.
    pub async fn end_all(&mut self) -> Result<(), program::Error> {
        while let Some(instance) = self.running.keys().next().copied() {
            self.end(instance).await?;
        }
        Ok(())
    }

    /// The process of a running instance, to be stopped for a while.
    ///
    /// # Errors
    /// [`program::Error::Io`] where it does not run.
    pub fn process(&mut self, instance: Instance) -> Result<&mut Process, program::Error> {
        self.running.get_mut(&instance).ok_or_else(|| not_running(instance))
    }

    /// The instances that run, those that stand still among them.
    pub fn running(&self) -> impl Iterator<Item = Instance> {
        self.running.keys().copied()
    }

    /// An instance that has ended although nobody asked it to, and how, where there is one.
    ///
    /// # Errors
    /// [`program::Error::Io`].
    pub fn ended(&mut self) -> Result<Option<(Instance, ExitStatus)>, program::Error> {
        for (instance, process) in &mut self.running {
            if let Some(status) = process.ended()? {
                return Ok(Some((*instance, status)));
            }
        }
        Ok(None)
    }

    /// Removes all that an instance, which does not run, has on disk.
    ///
    /// # Errors
    /// [`program::Error::Io`].
    pub fn lose_state(&self, instance: Instance) -> Result<(), program::Error> {
        match fs::remove_dir_all(self.state_dir(instance)) {
            // It did not live long enough to have any.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => Ok(removed?),
        }
    }

    /// Keeps what instances have on disk, and their words, when it is gone itself, and says where.
    pub fn keep(&mut self) -> &Path {
        self.directory.disable_cleanup(true);
        self.directory.path()
    }

    /// The log under the cluster, for reading. Blocks until the broker is reached.
    ///
    /// # Errors
    /// [`eventlog_kafka::Error`].
    pub fn log(&self) -> Result<KafkaLog, eventlog_kafka::Error> {
        let directory = self.directory.path().join("reader");
        let mut settings = Settings::new(&self.servers, PARTITIONS, directory);
        // It goes from one partition to the next: waiting for more of one holds up all others.
        settings.properties.insert("fetch.wait.max.ms".to_owned(), "5".to_owned());
        KafkaLog::connect(settings, &topics::ALL, &[])
    }

    fn take(&mut self, instance: Instance) -> Result<Process, program::Error> {
        self.running.remove(&instance).ok_or_else(|| not_running(instance))
    }

    /// Tells clients which instances there are now.
    fn announce(&self) {
        let mut routes = Routes::default();
        for (instance, process) in &self.running {
            if let Some(target) = process.target() {
                routes.add(instance.service, target.clone());
            }
        }
        self.up.send_replace(Some(routes));
    }

    fn program(&self, instance: Instance) -> Program {
        let name = instance.service.program();
        let partitions = PARTITIONS.to_string();
        let mut arguments: Vec<_> = [
            "--listen",
            "127.0.0.1:0",
            "--kafka-bootstrap-servers",
            &self.servers,
            "--partitions",
            &partitions,
            "--state-dir",
        ]
        .map(Into::into)
        .to_vec();
        arguments.push(self.state_dir(instance).into());
        let (binary, words) = (self.programs.join(name), self.words(instance));
        Program { binary, arguments, variables: self.variables.clone(), words }
    }

    fn state_dir(&self, Instance { service, number }: Instance) -> PathBuf {
        self.directory.path().join(format!("{}-{number}", service.program()))
    }

    fn words(&self, instance: Instance) -> PathBuf {
        self.state_dir(instance).with_extension("log")
    }

    /// Shows the last words of every instance that ever ran.
    fn show_words(&self) -> io::Result<()> {
        let mut stderr = io::stderr().lock();
        for entry in fs::read_dir(self.directory.path())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                let words = fs::read_to_string(&path)?;
                let lines: Vec<&str> = words.lines().collect();
                writeln!(stderr, "--- the last words in {}", path.display())?;
                for line in &lines[lines.len().saturating_sub(LAST_WORDS)..] {
                    writeln!(stderr, "{line}")?;
                }
            }
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The test has failed already.
            let _ = self.show_words();
        }
    }
}

fn not_running(instance: Instance) -> program::Error {
    io::Error::other(format!("{instance} does not run")).into()
}
