//! The crash test: the real program, killed without warning again and again under load.
//!
//! What goes in: [`Options`]. What comes out: a [`Report`], with all that must not be and was seen.
//! In reading order:
//!
//! - `options`: what a run is like
//! - `server`: the program as a process that is started, killed and ended
//! - `shop`: what there is to order, and the requests
//! - `client`: one of many who place and change orders and remember every answer
//! - `world`: what clients share, and how they call a server that comes and goes
//! - `verdict`: what is left on the log, and whether all invariants hold over it
//! - `report`: what a run came to

use std::{io, path::PathBuf, process::ExitStatus, sync::Arc, time::Duration};

use fastrand::Rng;
use tokio::{sync::watch, task::JoinSet, time::sleep};

mod client;
mod clock;
mod options;
mod report;
mod server;
mod shop;
mod verdict;
mod world;

pub use options::Options;
pub use report::Report;

use crate::http_client::{self, Target};
use client::Client;
use server::{Process, Program};
use world::{Caller, Finding, World};

/// How many partitions each topic has: enough for work to go on side by side.
const PARTITIONS: u32 = 6;

/// One restart in so many is killed too, before it is complete.
const EARLY_KILL_ONE_IN: u32 = 5;
/// The longest that a restart lives that is killed early.
const EARLY_LIFE_MS_MAX: u64 = 60;

/// The system is at rest when nothing has changed over so many looks, this far apart.
const LOOKS_AT_REST: u32 = 10;
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
const LOOKS_MAX: u32 = 600;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such program, or it cannot be run.
    #[error("{} cannot be started: {source}", binary.display())]
    NotStarted {
        /// Its file.
        binary: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It ended although nobody killed it.
    #[error("the server ended by itself: {0}")]
    Ended(ExitStatus),
    /// It was not ready in time.
    #[error("the server did not become ready")]
    NotReady,
    /// It did not end in time when it was asked to.
    #[error("the server did not end")]
    NotEnded,
    /// It kept changing although nobody asked anything of it.
    #[error("the server does not come to rest")]
    NoRest,
    /// A product or a customer was not created.
    #[error("the shop cannot be set up: {0}")]
    SetUp(String),
    /// What it left behind cannot be read.
    #[error(transparent)]
    Log(#[from] eventlog::Error),
    /// The server cannot be reached while it runs.
    #[error(transparent)]
    Http(#[from] http_client::Error),
    /// Files or processes cannot be handled.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A client stopped.
    #[error(transparent)]
    Client(#[from] tokio::task::JoinError),
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
    let program = Program::new(&binary, directory.path());
    let result = Run::new(options, &program).run().await;
    let is_sound = result.as_ref().is_ok_and(|report| report.findings.is_empty());
    if is_sound {
        return result;
    }
    let kept = format!("its data and log are kept in {}", directory.keep().display());
    result.map(|mut report| {
        report.findings.push(kept);
        report
    })
}

struct Run<'a> {
    options: &'a Options,
    program: &'a Program,
    random: Rng,
    world: Arc<World>,
    /// Where the server is while it is up.
    up: watch::Sender<Option<Target>>,
    kills: u32,
    restarts: Vec<Duration>,
}

impl<'a> Run<'a> {
    fn new(options: &'a Options, program: &'a Program) -> Self {
        Self {
            options,
            program,
            random: Rng::with_seed(options.seed),
            world: Arc::default(),
            up: watch::channel(None).0,
            kills: 0,
            restarts: Vec::new(),
        }
    }

    async fn run(mut self) -> Result<Report, Error> {
        let mut server = self.program.start()?;
        self.up.send_replace(Some(server.ready().await?));
        self.set_up().await?;
        let mut clients = JoinSet::new();
        for number in 0..self.options.clients {
            let (world, up) = (Arc::clone(&self.world), self.up.subscribe());
            clients.spawn(Client::new(number, world, up, self.random.fork()).run());
        }
        while self.kills < self.options.kills {
            self.live().await;
            server = self.kill(server).await?;
        }
        self.live().await;
        self.world.end();
        while let Some(ended) = clients.join_next().await {
            ended?;
        }
        self.rest().await?;
        server.end().await?;
        self.report().await
    }

    async fn set_up(&self) -> Result<(), Error> {
        let mut caller = Caller::new(self.up.subscribe());
        for call in shop::set_up() {
            let answer = caller.insist(&self.world, &call).await;
            match answer {
                Ok(answer) if answer.status == 201 => {}
                Ok(answer) => {
                    return Err(Error::SetUp(Finding::answer(&call, &answer).to_string()));
                }
                Err(finding) => return Err(Error::SetUp(finding.to_string())),
            }
        }
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
        let target = server.ready().await?;
        self.restarts.push(clock::now() - killed);
        self.up.send_replace(Some(target));
        Ok(server)
    }

    async fn kill_once(&mut self, server: &mut Process) -> Result<(), Error> {
        server.kill()?;
        self.up.send_replace(None);
        self.kills += 1;
        server.gone().await
    }

    /// Waits until nothing changes any more. Orders have settled by then; what is looked at is
    /// what follows from them, stock and accounts.
    async fn rest(&self) -> Result<(), Error> {
        let mut caller = Caller::new(self.up.subscribe());
        let (mut before, mut unchanged) = (Vec::new(), 0);
        for _ in 0..LOOKS_MAX {
            let mut seen = Vec::new();
            for call in shop::views() {
                seen.push(caller.ask(&self.world, &call).await.map(|answer| answer.body));
            }
            unchanged = if seen == before { unchanged + 1 } else { 0 };
            if unchanged == LOOKS_AT_REST {
                return Ok(());
            }
            before = seen;
            sleep(LOOK_INTERVAL).await;
        }
        Err(Error::NoRest)
    }

    async fn report(mut self) -> Result<Report, Error> {
        let answers = std::mem::take(&mut *self.world.answers());
        let verdict = verdict::of_log(self.program.data_dir(), &answers).await?;
        let mut findings = self.world.findings();
        findings.extend(verdict.findings);
        self.restarts.sort_unstable();
        let count = std::sync::atomic::Ordering::Relaxed;
        Ok(Report {
            kills: self.kills,
            restarts: self.restarts,
            orders: verdict.orders,
            reasons: verdict.reasons,
            orders_answered: answers.order_count(),
            successes: self.world.successes.load(count),
            unclear: self.world.unclear.load(count),
            findings,
        })
    }
}
