//! Many readers that wait at once, for orders which will not ship.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::clock;

use super::{
    ANSWER_GRACE, Error, Options, Percentiles,
    measures::{Latencies, Measures},
    orders::{self, Run, Workload},
    outcome::{self, Failure, Step},
    process,
    progress::tell,
    report::{float, rounded},
    schedule::Schedule,
    servers::Servers,
    setup,
    shop::Shop,
};
use crate::http_client::{Client, Target};

/// Orders to wait for; readers share them when there are more.
const ORDERS_MAX: u64 = 1_000;
/// Orders placed while all the readers wait, to see what they do to others.
const PROBE_ORDERS: u64 = 100;
/// How long placing either of these may take.
const PLACING_TIME_MAX: Duration = Duration::from_secs(60);
const KIB_PER_MIB: f64 = 1024.0;

/// What many waiting readers cost.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LongPollsReport {
    /// `long-polls`.
    pub mode: &'static str,
    /// The server.
    pub url: String,
    /// Readers asked for.
    pub long_polls: u64,
    /// Readers that waited at the same time, after the probe.
    pub open: u64,
    /// How long it took to open them.
    pub opening_seconds: f64,
    /// POST to VALIDATED of some orders placed while they waited.
    pub probe_post_to_validated_ms: Percentiles,
    /// The server's memory without them and with them, if its process was found.
    pub memory: Option<Memory>,
    /// Readers that waited out their time and were told so (504).
    pub timed_out: u64,
    /// How long they waited for that.
    pub waited_ms: Percentiles,
    /// Readers to which something else happened, by kind.
    pub errors: BTreeMap<String, u64>,
}

/// The server's memory in RAM.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// Before the first reader.
    pub rss_mib_before: f64,
    /// While all waited.
    pub rss_mib_with: f64,
    /// When all were answered.
    pub rss_mib_after: f64,
    /// The difference that one reader made.
    pub kib_per_long_poll: f64,
}

impl LongPollsReport {
    pub(super) fn shortfall(&self) -> Option<String> {
        let Self { long_polls, open, timed_out, .. } = self;
        let all = open == long_polls && timed_out == long_polls;
        (!all).then(|| {
            format!(
                "of {long_polls} long-polls {open} were open at once and {timed_out} were \
                 answered as they should"
            )
        })
    }
}

/// How one reader's wait ended.
#[derive(Debug)]
struct Wait {
    sent: Instant,
    ended: Instant,
    /// Nothing when it was told that its time is over.
    failure: Option<Failure>,
}

/// Opens `polls` readers, keeps them open and waits until all are answered.
pub(super) async fn run(
    options: &Options,
    servers: &Servers,
    server: Option<u32>,
    polls: u32,
) -> Result<LongPollsReport, Error> {
    let shop = Shop::new(options.products, options.customers, options.order_timeout);
    setup::create(&shop, servers).await?;
    let order_count = u64::from(polls).min(ORDERS_MAX);
    let answer_time_max = options.order_timeout + ANSWER_GRACE;
    let clients = orders::connect(servers, options.users, answer_time_max).await?;
    place(shop.clone(), order_count, clients).await?;
    let prober = orders::connect(servers, 1, answer_time_max).await?;

    let rss_mib = || server.and_then(process::usage).map(|usage| usage.rss_mib);
    let before = rss_mib();
    let mut readers = Readers::new(options.long_poll_timeout);
    let opening = clock::now();
    let target = servers.of_order(0);
    for number in 0..u64::from(polls) {
        if !readers.open(target, shop.until_shipped(number % order_count, readers.timeout)).await {
            break;
        }
    }
    let opening_seconds = rounded((clock::now() - opening).as_secs_f64());
    let probe = place(shop.with_orders_named("probe"), PROBE_ORDERS, prober).await?;
    let (open, with) = (readers.open_now(), rss_mib());
    tell(format_args!("{open} of {polls} long-polls open after {opening_seconds} s"));

    let (waited_ms, errors) = readers.finish().await?;
    let memory = before.zip(with).zip(rss_mib());
    Ok(LongPollsReport {
        mode: "long-polls",
        url: options.url.join(","),
        long_polls: polls.into(),
        open,
        opening_seconds,
        probe_post_to_validated_ms: probe,
        memory: memory.map(|((before, with), after)| Memory {
            rss_mib_before: rounded(before),
            rss_mib_with: rounded(with),
            rss_mib_after: rounded(after),
            kib_per_long_poll: rounded((with - before) * KIB_PER_MIB / float(open.max(1))),
        }),
        timed_out: waited_ms.count,
        waited_ms,
        errors,
    })
}

/// Places orders and waits until they are VALIDATED, all of them.
async fn place(shop: Shop, count: u64, clients: Vec<Client>) -> Result<Percentiles, Error> {
    let run = Arc::new(Run {
        workload: Workload::Orders(shop),
        schedule: Schedule::closed(clock::now(), PLACING_TIME_MAX, count),
        measures: Mutex::new(Measures::new()?),
    });
    orders::drive(&run, clients, None).await?;
    let measures = run.measures.lock().unwrap_or_else(PoisonError::into_inner);
    if measures.validated < count {
        let failures = format!("{:?}", measures.failures_by_name());
        return Err(Error::SetUpOrders { validated: measures.validated, orders: count, failures });
    }
    Ok(measures.post_to_validated.percentiles())
}

/// The readers, each a task with a connection of its own.
struct Readers {
    timeout: Duration,
    tasks: JoinSet<Wait>,
    waiting: Arc<AtomicU64>,
    not_opened: Option<Failure>,
}

impl Readers {
    fn new(timeout: Duration) -> Self {
        let waiting = Arc::new(AtomicU64::new(0));
        Self { timeout, tasks: JoinSet::new(), waiting, not_opened: None }
    }

    /// Connects one more reader and lets it ask; `false` when the server takes no more.
    async fn open(&mut self, target: &Target, path: Bytes) -> bool {
        let mut client = Client::new(target.clone(), self.timeout + ANSWER_GRACE);
        if let Err(error) = client.connect().await {
            self.not_opened = Some(Failure::transport(Step::Get, &error));
            return false;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Arc::clone(&self.waiting);
        self.tasks.spawn(async move {
            let sent = clock::now();
            let failure = wait_out(&mut client, path).await.err();
            waiting.fetch_sub(1, Ordering::Relaxed);
            Wait { sent, ended: clock::now(), failure }
        });
        true
    }

    fn open_now(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits until all are answered: how long those waited that ran out of time, and what
    /// happened to the others.
    async fn finish(mut self) -> Result<(Percentiles, BTreeMap<String, u64>), Error> {
        let mut waited = Latencies::new()?;
        let mut errors = BTreeMap::new();
        if let Some(failure) = self.not_opened {
            errors.insert(failure.to_string(), 1);
        }
        while let Some(wait) = self.tasks.join_next().await {
            let Wait { sent, ended, failure } = wait.map_err(std::io::Error::from)?;
            match failure {
                None => waited.record(sent, ended),
                Some(failure) => *errors.entry(failure.to_string()).or_default() += 1,
            }
        }
        Ok((waited.percentiles(), errors))
    }
}

async fn wait_out(client: &mut Client, path: Bytes) -> Result<(), Failure> {
    outcome::of_wait_without_end(&orders::get(client, path).await?)
}
