//! A program under test, as a process that is started, killed and ended.

use std::{
    ffi::OsString,
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    process::{Command as Build, ExitStatus, Stdio},
    time::Duration,
};

use bytes::Bytes;
use hyper::Method;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::{sleep, timeout},
};

use crate::http_client::{self, Client, Target};

/// Far more than a start takes on a busy machine.
const START_TIME_MAX: Duration = Duration::from_secs(120);
/// Far more than an orderly end takes.
const END_TIME_MAX: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Why a program does not do what it is asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not compile.
    #[error("the programs cannot be built: {0}")]
    NotBuilt(ExitStatus),
    /// There is no such program, or it cannot be run.
    #[error("{} cannot be started: {source}", binary.display())]
    NotStarted {
        /// Its file.
        binary: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It ended although nobody killed it.
    #[error("the program ended by itself: {0}")]
    Ended(ExitStatus),
    /// It was not ready in time.
    #[error("the program did not become ready, and said last: {last}")]
    NotReady {
        /// What `/readyz` answered.
        last: String,
    },
    /// It did not end in time when it was asked to.
    #[error("the program did not end")]
    NotEnded,
    /// It cannot be reached while it runs.
    #[error(transparent)]
    Http(#[from] http_client::Error),
    /// Files or processes cannot be handled.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Builds programs of this workspace where they are not up to date, and gives the directory that
/// they are in.
///
/// # Errors
/// [`Error::NotBuilt`].
pub fn build(names: &[&str]) -> Result<PathBuf, Error> {
    let mut build = cargo("build")?;
    // With tests, since these decide which features the crates below have.
    build.args(["--quiet", "--tests"]).args(names.iter().flat_map(|name| ["--bin", name]));
    let status = build.status()?;
    if status.success() { Ok(directories()?.0) } else { Err(Error::NotBuilt(status)) }
}

/// A command of cargo over this workspace that builds what the running test was built with in the
/// same way: in the same directory, and with the same profile and features, so that nothing is
/// built twice.
///
/// # Errors
/// [`Error::Io`] where this is no test that cargo has built.
pub fn cargo(command: &str) -> Result<Build, Error> {
    let (profile, target) = directories()?;
    let mut cargo = Build::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args([command, "--locked", "--workspace", "--target-dir"]).arg(target);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    Ok(cargo)
}

/// Where cargo puts programs of the running test's profile, and where it puts all profiles.
fn directories() -> Result<(PathBuf, PathBuf), Error> {
    // .../target/<profile>/deps/test-...
    let test = std::env::current_exe()?;
    let mut above = test.ancestors().skip(2).map(Path::to_owned);
    let found = above.next().zip(above.next());
    found.ok_or_else(|| io::Error::other("this is no test that cargo has built").into())
}

/// A program, and what it is started with each time.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its file.
    pub binary: PathBuf,
    /// What it is told on its command line. Its address has to be among it.
    pub arguments: Vec<OsString>,
    /// What its environment has beside the test's own: names and values.
    pub variables: Vec<(&'static str, OsString)>,
    /// Where its own words go.
    pub words: PathBuf,
}

impl Program {
    /// Starts it.
    ///
    /// # Errors
    /// [`Error::NotStarted`], or [`Error::Io`] where its words cannot be written.
    pub fn start(&self) -> Result<Process, Error> {
        let words = OpenOptions::new().create(true).append(true).open(&self.words)?;
        let not_started = |source| Error::NotStarted { binary: self.binary.clone(), source };
        let mut child = Command::new(&self.binary)
            .args(&self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(words)
            .kill_on_drop(true)
            .spawn()
            .map_err(not_started)?;
        let stdout = child.stdout.take().ok_or_else(|| not_started(io::ErrorKind::Other.into()))?;
        let greeting = BufReader::new(stdout).lines();
        Ok(Process { child, greeting, target: None, unready: Bytes::new() })
    }
}

/// A running program.
#[derive(Debug)]
pub struct Process {
    child: Child,
    greeting: Lines<BufReader<ChildStdout>>,
    target: Option<Target>,
    /// The last answer that it was not ready.
    unready: Bytes,
}

impl Process {
    /// Waits until it listens, and says where.
    ///
    /// # Errors
    /// [`Error::NotReady`] where it takes too long, [`Error::Ended`] where it has ended.
    pub async fn listening(&mut self) -> Result<Target, Error> {
        timeout(START_TIME_MAX, self.greeted()).await.map_err(|_| self.not_ready())?
    }

    /// Waits until it is ready for requests, and says where.
    ///
    /// # Errors
    /// As [`Process::listening`].
    pub async fn ready(&mut self) -> Result<Target, Error> {
        let ready = timeout(START_TIME_MAX, self.greeted_and_ready()).await;
        ready.map_err(|_| self.not_ready())?
    }

    fn not_ready(&self) -> Error {
        Error::NotReady { last: String::from_utf8_lossy(&self.unready).into_owned() }
    }

    /// Where it listens, as far as that is known.
    #[must_use]
    pub const fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    async fn greeted(&mut self) -> Result<Target, Error> {
        if let Some(target) = &self.target {
            return Ok(target.clone());
        }
        let target = Target::resolve(&self.url().await?).await?;
        Ok(self.target.insert(target).clone())
    }

    async fn greeted_and_ready(&mut self) -> Result<Target, Error> {
        let target = self.greeted().await?;
        let mut client = Client::new(target.clone(), START_TIME_MAX);
        loop {
            let path = Bytes::from_static(b"/readyz");
            match client.send(Method::GET, path, Bytes::new()).await {
                Ok(answer) if answer.status == 200 => return Ok(target),
                Ok(answer) => {
                    self.unready = answer.body;
                    sleep(POLL_INTERVAL).await;
                }
                Err(error) => return Err(self.ended()?.map_or(error.into(), Error::Ended)),
            }
        }
    }

    /// The address in its greeting.
    async fn url(&mut self) -> Result<String, Error> {
        while let Some(line) = self.greeting.next_line().await? {
            if let Some(at) = line.find("http://") {
                let url = line[at..].split_whitespace().next().unwrap_or_default();
                return Ok(url.to_owned());
            }
        }
        Err(Error::Ended(self.child.wait().await?))
    }

    /// How it has ended, where it has.
    ///
    /// # Errors
    /// Where the system does not tell.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Kills it without any warning. Its end is not waited for.
    ///
    /// # Errors
    /// [`Error::Ended`] where it has ended by itself before.
    pub fn kill(&mut self) -> Result<(), Error> {
        if let Some(status) = self.ended()? {
            return Err(Error::Ended(status));
        }
        Ok(self.child.start_kill()?)
    }

    /// Waits until it is gone after a kill.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub async fn gone(&mut self) -> Result<(), Error> {
        self.child.wait().await?;
        Ok(())
    }

    /// Stops it where it is, until [`Process::resume`]. Its sockets stay open.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn suspend(&self) -> Result<(), Error> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn resume(&self) -> Result<(), Error> {
        self.signal(Signal::CONT)
    }

    /// Asks it to end, and waits until it has ended well.
    ///
    /// # Errors
    /// [`Error::NotEnded`], or [`Error::Ended`] with a status that is no success.
    pub async fn end(mut self) -> Result<(), Error> {
        self.signal(Signal::TERM)?;
        let status =
            timeout(END_TIME_MAX, self.child.wait()).await.map_err(|_| Error::NotEnded)??;
        if status.success() { Ok(()) } else { Err(Error::Ended(status)) }
    }

    fn signal(&self, signal: Signal) -> Result<(), Error> {
        let pid = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        pid.map_or(Ok(()), |pid| kill_process(pid, signal).map_err(io::Error::from))?;
        Ok(())
    }
}
