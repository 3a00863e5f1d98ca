//! One run: instances and broker in trouble again and again, clients all the while, and the
//! judgement of what is left.

use std::{
    fmt, fs,
    io::{self, Write},
    process::ExitStatus,
    time::{Duration, Instant},
};

use e2e_tests::{
    clock,
    crowd::{self, Crowd},
    program,
    routes::Service,
};
use eventlog_kafka::testing::Broker;
use fastrand::Rng;
use tokio::{
    task::block_in_place,
    time::{sleep, sleep_until},
};

use crate::{
    Options, Report,
    cluster::{Cluster, Instance},
    faults::{Cure, Fault},
};

/// So many faults last at the same time: with more, nothing but waiting would go on.
const TROUBLES_MAX: usize = 3;
/// How long the broker is well between two of its faults, from when it takes requests again:
/// everything waits for it.
const BROKER_PEACE: Duration = Duration::from_secs(20);
/// The least time between two faults.
const PAUSE_MS_MIN: u64 = 500;
/// For how long everything runs well at the start, so that there is something to lose.
const CALM: Duration = Duration::from_secs(3);
/// A transaction of whoever was killed is ended by the broker long before.
const DECIDED_TIME_MAX: Duration = Duration::from_secs(20);
/// Far more than a broker takes to write the markers of transactions that have ended.
const MARKERS_TIME_MAX: Duration = Duration::from_secs(1);
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The services do not do what they are asked to.
    #[error(transparent)]
    Service(#[from] program::Error),
    /// One has ended although nobody asked it to.
    #[error("{instance} ended by itself: {status}")]
    Ended {
        /// The instance.
        instance: Instance,
        /// How it ended.
        status: ExitStatus,
    },
    /// The broker does not do what it is asked to.
    #[error("the broker: {0}")]
    Broker(#[from] io::Error),
    /// Nothing can be said of what they did.
    #[error(transparent)]
    Crowd(#[from] crowd::Error),
    /// What they left behind cannot be read.
    #[error(transparent)]
    Log(#[from] eventlog_kafka::Error),
    /// There is no report because of this, and what instances left is in a directory.
    #[error("{error}; {kept}")]
    Kept {
        /// Why.
        error: Box<Error>,
        /// Where.
        kept: String,
    },
}

/// Runs the whole test. Where it finds something, the directories and words of all instances are
/// kept, and named.
///
/// # Errors
/// [`Error`] where it could not be done, or an instance ended or did not come back.
pub async fn run(options: &Options, broker: &Broker) -> Result<Report, Error> {
    let programs = match &options.programs {
        Some(programs) => programs.clone(),
        None => std::env::current_exe()?.with_file_name(""),
    };
    let mut cluster = Cluster::new(&programs, broker.servers())?;
    let mut run = Run::new(options, broker, &mut cluster);
    let result = run.run().await;
    if result.as_ref().is_ok_and(|report| report.findings.is_empty()) {
        return result;
    }
    let kept = keep(&mut cluster, broker);
    match result {
        Ok(mut report) => {
            report.findings.push(kept);
            Ok(report)
        }
        Err(error) => Err(Error::Kept { error: Box::new(error), kept }),
    }
}

/// Keeps what tells why, and says where. A broker that does not answer tells nothing.
fn keep(cluster: &mut Cluster, broker: &Broker) -> String {
    let directory = cluster.keep();
    let words = broker.words().and_then(|words| fs::write(directory.join("broker.log"), words));
    let undecided = block_in_place(|| broker.undecided());
    format!(
        "state and words of all instances and of the broker are in {} ({words:?}); open \
         transactions are in {undecided:?}",
        directory.display()
    )
}

/// What is to be done at its time.
enum Step {
    Fault,
    Cure(Cure),
}

struct Run<'a> {
    broker: &'a Broker,
    cluster: &'a mut Cluster,
    options: &'a Options,
    random: Rng,
    started: Instant,
    agenda: Vec<(Instant, Step)>,
    broker_left_alone_until: Instant,
    /// It was started, and has not been seen to take requests since.
    broker_starts: bool,
    newcomers: u32,
    report: Report,
}

impl<'a> Run<'a> {
    fn new(options: &'a Options, broker: &'a Broker, cluster: &'a mut Cluster) -> Self {
        Run {
            broker,
            cluster,
            options,
            random: Rng::with_seed(options.seed),
            started: clock::now(),
            broker_left_alone_until: clock::now(),
            broker_starts: false,
            agenda: Vec::new(),
            newcomers: 0,
            report: Report { seed: options.seed, seconds: options.seconds, ..Report::default() },
        }
    }

    async fn run(&mut self) -> Result<Report, Error> {
        self.tell(format_args!("{:?}", self.options));
        self.cluster.start_each(self.options.instances).await?;
        let mut crowd = Crowd::open("", self.cluster.up()).await?;
        crowd.enter(self.options.clients, &mut self.random);
        self.tell("clients are in");
        sleep(CALM).await;
        self.torment().await?;
        self.recover().await?;
        self.tell("all instances are ready");
        crowd.leave().await?;
        self.tell("clients have left");
        self.cluster.end_all().await?;
        self.tell("all instances have ended");
        self.transactions_end().await?;
        let log = self.cluster.log()?;
        let outcome = crowd.judge(&log).await?;
        let mut report = std::mem::take(&mut self.report);
        report.add(outcome);
        Ok(report)
    }

    /// Writes a line. A closed stderr is no reason to stop.
    fn tell(&self, what: impl fmt::Display) {
        let elapsed = (clock::now() - self.started).as_secs_f64();
        let _ = writeln!(io::stderr(), "{elapsed:>7.2} s: {what}");
    }

    /// Lets things go wrong until the time is over, and then waits until the last has been put
    /// right again.
    async fn torment(&mut self) -> Result<(), Error> {
        let ends_at = clock::now() + Duration::from_secs(self.options.seconds);
        self.agenda.push((clock::now(), Step::Fault));
        while let Some((at, step)) = self.next_step() {
            sleep_until(at.into()).await;
            self.all_run()?;
            match step {
                Step::Cure(cure) => self.cure(cure).await?,
                Step::Fault => {
                    self.fault().await?;
                    let pause_ms = PAUSE_MS_MIN..=self.options.pause_ms_max.max(PAUSE_MS_MIN);
                    let next = clock::now() + Duration::from_millis(self.random.u64(pause_ms));
                    if next < ends_at {
                        self.agenda.push((next, Step::Fault));
                    }
                }
            }
        }
        Ok(())
    }

    fn next_step(&mut self) -> Option<(Instant, Step)> {
        let first = (0..self.agenda.len()).min_by_key(|at| self.agenda[*at].0)?;
        Some(self.agenda.swap_remove(first))
    }

    fn all_run(&mut self) -> Result<(), Error> {
        match self.cluster.ended()? {
            Some((instance, status)) => Err(Error::Ended { instance, status }),
            None => Ok(()),
        }
    }

    /// What is wrong now, as what will put it right.
    fn troubles(&self) -> impl Iterator<Item = Cure> {
        self.agenda.iter().filter_map(|(_, step)| match step {
            Step::Cure(cure) => Some(*cure),
            Step::Fault => None,
        })
    }

    /// Any instance that runs and stays.
    fn victim(&mut self) -> Option<Instance> {
        let instances =
            |service| (0..self.options.instances).map(move |number| Instance { service, number });
        let is_well =
            |instance: &Instance| self.troubles().all(|cure| cure.instance() != Some(*instance));
        let well: Vec<Instance> =
            Service::ALL.into_iter().flat_map(instances).filter(is_well).collect();
        self.random.choice(well)
    }

    /// An instance that there never was.
    fn newcomer(&mut self) -> Instance {
        let service = Service::ALL[self.random.usize(0..Service::ALL.len())];
        self.newcomers += 1;
        Instance { service, number: self.options.instances - 1 + self.newcomers }
    }

    /// Lets something go wrong, unless enough does already.
    async fn fault(&mut self) -> Result<(), Error> {
        let Some(victim) = self.victim() else { return Ok(()) };
        let newcomer = self.newcomer();
        let fault = Fault::any(&mut self.random, victim, newcomer);
        let duration = fault.duration(&mut self.random);
        let is_of_broker = fault.cure().instance().is_none();
        let is_too_soon = is_of_broker && !self.broker_is_well();
        if is_too_soon || self.troubles().count() >= TROUBLES_MAX {
            return Ok(());
        }
        if is_of_broker {
            self.broker_left_alone_until = clock::now() + duration + BROKER_PEACE;
        }
        self.tell(format_args!("{fault}, for {} ms", duration.as_millis()));
        self.begin(fault).await?;
        *self.report.faults.entry(fault.name()).or_default() += 1;
        self.agenda.push((clock::now() + duration, Step::Cure(fault.cure())));
        Ok(())
    }

    /// Whether the broker has been well for a while. One that is asked to end while it still starts
    /// does not end in order.
    fn broker_is_well(&mut self) -> bool {
        if self.broker_starts && block_in_place(|| self.broker.answers()) {
            self.broker_starts = false;
            self.broker_left_alone_until = clock::now() + BROKER_PEACE;
        }
        !self.broker_starts && clock::now() >= self.broker_left_alone_until
    }

    async fn begin(&mut self, fault: Fault) -> Result<(), Error> {
        match fault {
            Fault::Kill(instance) => self.cluster.kill(instance).await?,
            Fault::LoseState(instance) => {
                self.cluster.kill(instance).await?;
                self.cluster.lose_state(instance)?;
            }
            Fault::Suspend(instance) => self.cluster.process(instance)?.suspend()?,
            Fault::Join(instance) => self.launch(instance).await?,
            Fault::RestartBroker => self.stop_broker().await?,
            Fault::SuspendBroker => block_in_place(|| self.broker.suspend())?,
        }
        Ok(())
    }

    /// Lets the broker end in order. While it does, no partition has a leader, and a transaction
    /// that ends then loses its markers (ADR 006): nobody moves until it is gone.
    async fn stop_broker(&mut self) -> Result<(), Error> {
        let stands_still =
            |instance: &Instance| self.troubles().any(|cure| cure == Cure::Resume(*instance));
        let moving: Vec<Instance> =
            self.cluster.running().filter(|instance| !stands_still(instance)).collect();
        for instance in &moving {
            self.cluster.process(*instance)?.suspend()?;
        }
        sleep(MARKERS_TIME_MAX).await;
        block_in_place(|| self.broker.stop())?;
        for instance in &moving {
            self.cluster.process(*instance)?.resume()?;
        }
        Ok(())
    }

    async fn cure(&mut self, cure: Cure) -> Result<(), Error> {
        self.tell(cure);
        match cure {
            Cure::Launch(instance) => self.launch(instance).await?,
            Cure::Resume(instance) => self.cluster.process(instance)?.resume()?,
            Cure::End(instance) => self.cluster.end(instance).await?,
            Cure::StartBroker => {
                block_in_place(|| self.broker.start())?;
                self.broker_starts = true;
            }
            Cure::ResumeBroker => block_in_place(|| self.broker.resume())?,
        }
        Ok(())
    }

    /// Starts an instance. Clients call it as soon as it listens, long before it is ready.
    async fn launch(&mut self, instance: Instance) -> Result<(), Error> {
        self.cluster.launch(instance)?;
        Ok(self.cluster.listening(instance).await?)
    }

    /// Waits until all instances are ready.
    async fn recover(&mut self) -> Result<(), Error> {
        let cured = clock::now();
        for service in Service::ALL {
            for number in 0..self.options.instances {
                self.cluster.ready(Instance { service, number }).await?;
            }
        }
        self.report.recovery_ms = (clock::now() - cured).as_millis();
        Ok(())
    }

    /// Checks that no transaction stays open, now that there is nobody to end it.
    async fn transactions_end(&mut self) -> Result<(), Error> {
        let ends_at = clock::now() + DECIDED_TIME_MAX;
        loop {
            let undecided = block_in_place(|| self.broker.undecided())?;
            if undecided.is_empty() {
                return Ok(());
            }
            if clock::now() > ends_at {
                let findings = undecided.into_iter();
                let findings = findings.map(|place| format!("a transaction is open in {place}"));
                self.report.findings.extend(findings);
                return Ok(());
            }
            sleep(LOOK_INTERVAL).await;
        }
    }
}
