//! Many clients who place and change orders and remember every answer, and the judgement of what
//! is on the log in the end.
//!
//! In reading order:
//!
//! - `shop`: what there is to order, and the requests
//! - `client`: one of many who place and change orders and remember every answer
//! - `world`: what clients share, and how they call servers that come and go
//! - `verdict`: what is left on the log, and whether all invariants hold over it

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use eventlog::RequestLog;
use events::order::{OrderState, Reason};
use fastrand::Rng;
use tokio::{sync::watch, task::JoinSet, time::sleep};

mod client;
mod shop;
mod verdict;
mod world;

use crate::{http_client::Answer, routes::Routes};
use client::Client;
use shop::{Call, Shop};
use world::{Caller, Finding, World};

/// The system is at rest when nothing has changed over so many looks, this far apart.
const LOOKS_AT_REST: u32 = 10;
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
const LOOKS_MAX: u32 = 600;

/// So many calls are made at once while the shop is set up or looked at.
const LANES: usize = 16;

/// Why nothing can be said of the system.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It kept changing although nobody asked anything of it.
    #[error("the system does not come to rest")]
    NoRest,
    /// A product or a customer was not created.
    #[error("the shop cannot be set up: {0}")]
    SetUp(String),
    /// What it left behind cannot be read.
    #[error(transparent)]
    Log(#[from] eventlog::Error),
    /// A client stopped.
    #[error(transparent)]
    Client(#[from] tokio::task::JoinError),
}

/// What all clients and the log have told in the end.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How many orders came to rest in each state.
    pub orders: Vec<(OrderState, usize)>,
    /// How many orders failed for each reason, the first that each has.
    pub reasons: BTreeMap<Reason, usize>,
    /// How many orders clients had an answer about.
    pub orders_answered: usize,
    /// How many answers were 2xx.
    pub successes: u64,
    /// How many requests had no clear answer.
    pub unclear: u64,
    /// What must not be, and was seen.
    pub findings: Vec<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { successes, unclear, orders_answered, .. } = self;
        let total: usize = self.orders.iter().map(|(_, count)| count).sum();
        write!(formatter, "{total} orders (")?;
        let kept = self.orders.iter().filter(|(_, count)| *count > 0);
        for (at, (state, count)) in kept.enumerate() {
            write!(formatter, "{}{count} {state}", if at == 0 { "" } else { ", " })?;
        }
        write!(formatter, "; failed for {:?}), ", self.reasons)?;
        write!(formatter, "{orders_answered} answered; {successes} answers 2xx, ")?;
        write!(formatter, "{unclear} without a clear answer; ")?;
        match self.findings.len() {
            0 => formatter.write_str("no violation"),
            count => write!(formatter, "{count} VIOLATIONS"),
        }?;
        self.findings.iter().try_for_each(|finding| write!(formatter, "\n  {finding}"))
    }
}

/// A call, and how it ended.
type Answered = (Call, Result<Answer, Finding>);

/// The clients of one shop.
#[derive(Debug)]
pub struct Crowd {
    shop: Shop,
    world: Arc<World>,
    up: watch::Receiver<Option<Routes>>,
    clients: JoinSet<()>,
}

impl Crowd {
    /// Opens a shop, all of whose ids begin with `prefix`: several may use the same system. `up`
    /// tells where the system is; while it is `None` everybody waits.
    ///
    /// # Errors
    /// [`Error::SetUp`].
    pub async fn open(prefix: &str, up: watch::Receiver<Option<Routes>>) -> Result<Self, Error> {
        let crowd =
            Crowd { shop: Shop::new(prefix), world: Arc::default(), up, clients: JoinSet::new() };
        for (call, answer) in crowd.insist_all(crowd.shop.set_up().collect()).await? {
            match answer {
                // One whose answer was lost on the way is there when it is asked for again.
                Ok(answer) if matches!(answer.status, 200 | 201) => {}
                Ok(answer) => {
                    return Err(Error::SetUp(Finding::answer(&call, &answer).to_string()));
                }
                Err(finding) => return Err(Error::SetUp(finding.to_string())),
            }
        }
        Ok(crowd)
    }

    /// Makes calls until each has a clear answer: those of a group one after the other, groups side
    /// by side.
    async fn insist_all(&self, groups: Vec<Vec<Call>>) -> Result<Vec<Answered>, Error> {
        let lane_length = groups.len().div_ceil(LANES).max(1);
        let lanes: Vec<_> = groups
            .chunks(lane_length)
            .map(|lane| {
                let (world, calls) = (Arc::clone(&self.world), lane.concat());
                let mut caller = Caller::new(self.up.clone());
                tokio::spawn(async move {
                    let mut answers = Vec::new();
                    for call in calls {
                        let answer = caller.insist(&world, &call).await;
                        answers.push((call, answer));
                    }
                    answers
                })
            })
            .collect();
        let mut answers = Vec::new();
        for lane in lanes {
            answers.extend(lane.await?);
        }
        Ok(answers)
    }

    /// Lets so many clients in.
    pub fn enter(&mut self, count: u32, random: &mut Rng) {
        for number in 0..count {
            let (shop, world) = (self.shop.clone(), Arc::clone(&self.world));
            let client = Client::new(number, shop, world, self.up.clone(), random.fork());
            self.clients.spawn(client.run());
        }
    }

    /// Lets all clients come to their end, and waits until nothing changes any more.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn leave(&mut self) -> Result<(), Error> {
        self.world.end();
        while let Some(ended) = self.clients.join_next().await {
            ended?;
        }
        self.rest().await
    }

    /// Orders have settled by then; what is looked at is what follows from them, stock and
    /// accounts.
    async fn rest(&self) -> Result<(), Error> {
        let (mut before, mut unchanged) = (Vec::new(), 0);
        for _ in 0..LOOKS_MAX {
            let views = self.shop.views().map(|call| vec![call]).collect();
            let answers = self.insist_all(views).await?;
            let body = |(_, answer): Answered| answer.ok().map(|answer| answer.body);
            let seen: Vec<_> = answers.into_iter().map(body).collect();
            unchanged = if seen == before { unchanged + 1 } else { 0 };
            if unchanged == LOOKS_AT_REST {
                return Ok(());
            }
            before = seen;
            sleep(LOOK_INTERVAL).await;
        }
        Err(Error::NoRest)
    }

    /// Checks the log against all that clients were answered, once they have left.
    ///
    /// # Errors
    /// [`Error::Log`] where it cannot be read.
    pub async fn judge(self, log: &impl RequestLog) -> Result<Outcome, Error> {
        let answers = std::mem::take(&mut *self.world.answers());
        let verdict = verdict::of_log(log, &answers).await?;
        let mut findings = self.world.findings();
        findings.extend(verdict.findings);
        let count = std::sync::atomic::Ordering::Relaxed;
        Ok(Outcome {
            orders: verdict.orders,
            reasons: verdict.reasons,
            orders_answered: answers.order_count(),
            successes: self.world.successes.load(count),
            unclear: self.world.unclear.load(count),
            findings,
        })
    }
}
