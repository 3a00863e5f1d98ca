//! The program under test, as a process that can be killed.

use std::{
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
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

use super::Error;
use crate::http_client::{Client, Target};

/// Far more than a start takes on a busy machine.
const START_TIME_MAX: Duration = Duration::from_secs(120);
/// Far more than an orderly end takes.
const END_TIME_MAX: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// The program, and what it is started on each time.
#[derive(Debug)]
pub(super) struct Program {
    binary: PathBuf,
    data_dir: PathBuf,
    /// Where its own words go.
    words: PathBuf,
}

impl Program {
    /// The program of this file, with its data and its words in a directory.
    pub(super) fn new(binary: &Path, directory: &Path) -> Self {
        Self {
            binary: binary.to_owned(),
            data_dir: directory.join("data"),
            words: directory.join("server.log"),
        }
    }

    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Starts it on its directory and on any port that is free.
    pub(super) fn start(&self) -> Result<Process, Error> {
        let words = OpenOptions::new().create(true).append(true).open(&self.words)?;
        let not_started = |source| Error::NotStarted { binary: self.binary.clone(), source };
        let mut child = Command::new(&self.binary)
            .args(["--listen", "127.0.0.1:0", "--no-sample", "--data-dir"])
            .arg(&self.data_dir)
            .arg("--partitions")
            .arg(super::PARTITIONS.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(words)
            .kill_on_drop(true)
            .spawn()
            .map_err(not_started)?;
        let stdout = child.stdout.take().ok_or_else(|| not_started(io::ErrorKind::Other.into()))?;
        Ok(Process { child, greeting: BufReader::new(stdout).lines() })
    }
}

/// The running program.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    greeting: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Waits until it is ready for requests, and says where.
    pub(super) async fn ready(&mut self) -> Result<Target, Error> {
        timeout(START_TIME_MAX, self.greeted_and_ready()).await.map_err(|_| Error::NotReady)?
    }

    async fn greeted_and_ready(&mut self) -> Result<Target, Error> {
        let target = Target::resolve(&self.url().await?).await?;
        let mut client = Client::new(target.clone(), START_TIME_MAX);
        loop {
            let path = Bytes::from_static(b"/readyz");
            match client.send(Method::GET, path, Bytes::new()).await {
                Ok(answer) if answer.status == 200 => return Ok(target),
                Ok(_) => sleep(POLL_INTERVAL).await,
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

    fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Kills it without any warning. Its end is not waited for.
    pub(super) fn kill(&mut self) -> Result<(), Error> {
        if let Some(status) = self.ended()? {
            return Err(Error::Ended(status));
        }
        Ok(self.child.start_kill()?)
    }

    /// Waits until it is gone after a kill.
    pub(super) async fn gone(&mut self) -> Result<(), Error> {
        self.child.wait().await?;
        Ok(())
    }

    /// Asks it to end, and waits until it has ended well.
    pub(super) async fn end(mut self) -> Result<(), Error> {
        let pid = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM).map_err(io::Error::from)?;
        }
        let status =
            timeout(END_TIME_MAX, self.child.wait()).await.map_err(|_| Error::NotEnded)??;
        if status.success() { Ok(()) } else { Err(Error::Ended(status)) }
    }
}
