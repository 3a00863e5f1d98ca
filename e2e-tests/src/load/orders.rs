//! The users: each places one order after another, as the schedule says.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use hyper::Method;
use tokio::task::JoinSet;

use super::{
    ANSWER_GRACE, Error, Options,
    measures::{Exchange, Measures},
    outcome::{self, Failure, Step},
    process::Meter,
    progress,
    report::OrdersReport,
    schedule::Schedule,
    servers::Servers,
    setup,
    shop::Shop,
};
use crate::{
    clock,
    http_client::{Answer, Client},
};

/// After an order that failed, a user of a closed loop waits so long: a server that refuses at
/// once must not be asked again at once.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

const EMPTY_ROUTE: Bytes = Bytes::from_static(b"/healthz");

/// What the users of a run share.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) workload: Workload,
    pub(super) schedule: Schedule,
    pub(super) measures: Mutex<Measures>,
}

/// What one "order" is.
#[derive(Debug)]
pub(super) enum Workload {
    /// A POST, and a GET that waits until it is VALIDATED.
    Orders(Shop),
    /// Two GETs of a route that does nothing.
    EmptyRoute,
}

impl Workload {
    async fn exchange(&self, client: &mut Client, number: u64) -> Exchange {
        let sent = clock::now();
        let mut posted = None;
        let outcome = match self {
            Self::Orders(shop) => place(shop, client, number, &mut posted).await,
            Self::EmptyRoute => ask_twice(client, &mut posted).await,
        };
        Exchange { sent, posted, ended: clock::now(), outcome }
    }
}

async fn place(
    shop: &Shop,
    client: &mut Client,
    number: u64,
    posted: &mut Option<Instant>,
) -> Result<(), Failure> {
    let path = Bytes::from_static(b"/v1/orders");
    let answer = client.send(Method::POST, path, shop.order(number)).await;
    let answer = answer.map_err(|error| Failure::transport(Step::Post, &error))?;
    outcome::of_post(&answer)?;
    *posted = Some(clock::now());
    outcome::of_order(&get(client, shop.until_validated(number)).await?)
}

async fn ask_twice(client: &mut Client, posted: &mut Option<Instant>) -> Result<(), Failure> {
    outcome::of_empty_route(&get(client, EMPTY_ROUTE).await?)?;
    *posted = Some(clock::now());
    outcome::of_empty_route(&get(client, EMPTY_ROUTE).await?)
}

pub(super) async fn get(client: &mut Client, path: Bytes) -> Result<Answer, Failure> {
    let answer = client.send(Method::GET, path, Bytes::new()).await;
    answer.map_err(|error| Failure::transport(Step::Get, &error))
}

/// Runs a load as the options say, of at most `orders_max` orders.
pub(super) async fn run(
    options: &Options,
    servers: &Servers,
    server: Option<u32>,
    orders_max: u64,
) -> Result<OrdersReport, Error> {
    let workload = if options.empty_route {
        Workload::EmptyRoute
    } else {
        let shop = Shop::new(options.products, options.customers, options.order_timeout);
        setup::create(&shop, servers).await?;
        Workload::Orders(shop)
    };
    let answer_time_max = options.order_timeout + ANSWER_GRACE;
    let clients = connect(servers, options.users, answer_time_max).await?;
    let server_meter = server.and_then(Meter::start);
    let tool_meter = Meter::start(std::process::id());
    let (started, duration) = (clock::now(), options.duration());
    let schedule = match options.rate {
        Some(rate) => Schedule::open(started, duration, orders_max, rate),
        None => Schedule::closed(started, duration, orders_max),
    };
    let run = Arc::new(Run { workload, schedule, measures: Mutex::new(Measures::new()?) });
    drive(&run, clients, server).await?;
    Ok(OrdersReport::new(options, &run, server_meter, tool_meter))
}

/// Connections for all users, so that no order's latency has the opening of one in it.
pub(super) async fn connect(
    servers: &Servers,
    users: u32,
    answer_time_max: Duration,
) -> Result<Vec<Client>, Error> {
    let mut clients = Vec::new();
    for number in 0..users {
        let target = servers.of_order(number as usize).clone();
        let mut client = Client::new(target, answer_time_max);
        client.connect().await?;
        clients.push(client);
    }
    Ok(clients)
}

/// Runs one user for each client until the schedule is over.
pub(super) async fn drive(
    run: &Arc<Run>,
    clients: Vec<Client>,
    server: Option<u32>,
) -> Result<(), Error> {
    let mut tasks = JoinSet::new();
    let (pacing, users) = (Arc::clone(run), clients.len());
    tasks.spawn_blocking(move || pacing.schedule.pace(users));
    for client in clients {
        tasks.spawn(user(Arc::clone(run), client));
    }
    let all_done = async {
        while let Some(done) = tasks.join_next().await {
            done.map_err(std::io::Error::from)?;
        }
        Ok(())
    };
    tokio::select! {
        result = all_done => result,
        () = progress::each_second(run, server) => Ok(()),
    }
}

async fn user(run: Arc<Run>, mut client: Client) {
    while let Some(slot) = run.schedule.next().await {
        let exchange = run.workload.exchange(&mut client, slot.number).await;
        let failed = exchange.outcome.is_err();
        run.measures.lock().unwrap_or_else(PoisonError::into_inner).count(slot.intended, exchange);
        if failed && run.schedule.is_closed_loop() {
            tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
        }
    }
}
