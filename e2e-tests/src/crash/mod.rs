//! The crash test: the real program, killed without warning again and again under load.
//!
//! What goes in: [`Options`]. What comes out: a [`Report`], with all that must not be and was seen.
//! - `options`: what a run is like
//! - `report`: what a run came to
//!
//! What clients do, and how the log is judged in the end, is in [`crowd`].

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use eventlog::EmbeddedLog;
use fastrand::Rng;
use orders_read_model::{Place, READ_MODEL_FILE, ReadModel, testing::differences};
use tokio::{sync::watch, time::sleep};

mod options;
mod report;

pub use options::Options;
pub use report::Report;

use crate::{
    clock,
    crowd::{self, Crowd},
    program::{self, Process, Program},
    routes::Routes,
};

/// How many partitions each topic has: enough for work to go on side by side.
const PARTITIONS: u32 = 6;

/// One restart in so many is killed too, before it is complete.
const EARLY_KILL_ONE_IN: u32 = 5;
/// The longest that a restart lives that is killed early.
const EARLY_LIFE_MS_MAX: u64 = 60;

/// How long the tables of the read model have to come up with the log.
const TABLES_LOOK: Duration = Duration::from_millis(100);
const TABLES_LOOKS_MAX: u32 = 300;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server does not do what it is asked to.
    #[error(transparent)]
    Server(#[from] program::Error),
    /// Nothing can be said of what it did.
    #[error(transparent)]
    Crowd(#[from] crowd::Error),
    /// What it left behind cannot be read.
    #[error(transparent)]
    Log(#[from] eventlog::Error),
    /// The read model cannot be read.
    #[error(transparent)]
    ReadModel(#[from] orders_read_model::Error),
    /// There is no directory for it.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Runs the whole test. Where it finds something the directory is kept, and named.
///
/// # Errors
/// [`Error`] where it could not be done, or the server did not come back.
pub async fn run(options: &Options) -> Result<Report, Error> {
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => std::env::current_exe()?.with_file_name("quickstart"),
    };
    let directory = tempfile::tempdir()?;
    let data_dir = directory.path().join("data");
    let program = Program {
        binary,
        arguments: arguments(&data_dir),
        variables: Vec::new(),
        words: directory.path().join("server.log"),
    };
    let result = Run::new(options, program, data_dir).run().await;
    let is_sound = result.as_ref().is_ok_and(|report| report.outcome.findings.is_empty());
    if is_sound {
        return result;
    }
    let kept = format!("its data and log are kept in {}", directory.keep().display());
    result.map(|mut report| {
        report.outcome.findings.push(kept);
        report
    })
}

/// On its directory and on any port that is free.
fn arguments(data_dir: &Path) -> Vec<OsString> {
    let partitions = PARTITIONS.to_string();
    let mut arguments: Vec<OsString> =
        ["--listen", "127.0.0.1:0", "--no-sample", "--partitions", &partitions, "--data-dir"]
            .map(OsString::from)
            .to_vec();
    arguments.push(data_dir.into());
    arguments
}

struct Run<'a> {
    options: &'a Options,
    program: Program,
    data_dir: PathBuf,
    random: Rng,
    /// Where the server is while it is up.
    up: watch::Sender<Option<Routes>>,
    kills: u32,
    restarts: Vec<Duration>,
}

impl<'a> Run<'a> {
    fn new(options: &'a Options, program: Program, data_dir: PathBuf) -> Self {
        Self {
            options,
            program,
            data_dir,
            random: Rng::with_seed(options.seed),
            up: watch::channel(None).0,
            kills: 0,
            restarts: Vec::new(),
        }
    }

    async fn run(mut self) -> Result<Report, Error> {
        let mut server = self.program.start()?;
        self.is_up(&mut server).await?;
        let mut crowd = Crowd::open("", self.up.subscribe()).await?;
        crowd.enter(self.options.clients, &mut self.random);
        while self.kills < self.options.kills {
            self.live().await;
            server = self.kill(server).await?;
        }
        self.live().await;
        crowd.leave().await?;
        server.end().await?;
        let log = Arc::new(quickstart::open_log(&self.data_dir, PARTITIONS)?);
        let mut outcome = crowd.judge(&*log).await?;
        outcome.findings.extend(self.tables(log).await?);
        self.restarts.sort_unstable();
        Ok(Report { kills: self.kills, restarts: self.restarts, outcome })
    }

    /// What the tables of the read model have otherwise than a fold of the log, once they are up
    /// with it.
    async fn tables(&self, log: Arc<EmbeddedLog>) -> Result<Vec<String>, Error> {
        let place = Place::File(self.data_dir.join(READ_MODEL_FILE));
        let read_model = ReadModel::start(Arc::<EmbeddedLog>::clone(&log), &place, false)?;
        for _ in 0..TABLES_LOOKS_MAX {
            if read_model.is_whole() && read_model.lag() == 0 {
                break;
            }
            sleep(TABLES_LOOK).await;
        }
        read_model.stop().await;
        Ok(differences(&place, &*log).await?)
    }

    async fn is_up(&self, server: &mut Process) -> Result<(), Error> {
        let target = server.ready().await?;
        self.up.send_replace(Some(Routes::of_one(target)));
        Ok(())
    }

    async fn live(&mut self) {
        let life_ms = self.random.u64(0..=self.options.life_ms_max);
        sleep(Duration::from_millis(life_ms)).await;
    }

    /// Kills the server, and starts it again until it is ready.
    async fn kill(&mut self, mut server: Process) -> Result<Process, Error> {
        let killed = clock::now();
        self.kill_once(&mut server).await?;
        server = self.program.start()?;
        while self.kills < self.options.kills && self.random.u32(0..EARLY_KILL_ONE_IN) == 0 {
            let life_ms = self.random.u64(0..=EARLY_LIFE_MS_MAX);
            sleep(Duration::from_millis(life_ms)).await;
            self.kill_once(&mut server).await?;
            server = self.program.start()?;
        }
        self.is_up(&mut server).await?;
        self.restarts.push(clock::now() - killed);
        Ok(server)
    }

    async fn kill_once(&mut self, server: &mut Process) -> Result<(), Error> {
        server.kill()?;
        self.up.send_replace(None);
        self.kills += 1;
        Ok(server.gone().await?)
    }
}
