//! What every test here stands on: a broker, a cluster that no other test uses at the same time,
//! and the judgement of the log at the end.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use chaos::cluster::{Cluster, Instance};
use e2e_tests::crowd::{Crowd, Outcome};
use e2e_tests::http_client::{Answer, Client, Error, Target};
use e2e_tests::program;
use e2e_tests::routes::Service;
use eventlog_kafka::testing::Broker;
use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

/// The longest that an instance makes a client wait, and more.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(90);

/// The longest to wait for an instance that tells how it is.
const CONDITION_TIME_MAX: Duration = Duration::from_secs(5);

/// The topics of all clusters have the same names: only one uses them at a time.
static TURN: Mutex<()> = Mutex::const_new(());

/// A broker and a cluster on it.
pub(crate) struct Stage {
    pub(crate) broker: &'static Broker,
    pub(crate) cluster: Cluster,
    /// What all ids of this test begin with.
    pub(crate) prefix: String,
    _turn: MutexGuard<'static, ()>,
}

impl Stage {
    /// A cluster of no instances yet, where there is a broker.
    pub(crate) async fn find() -> Option<Self> {
        Self::on(Broker::find).await
    }

    /// As [`Stage::find`], on a broker that may be killed.
    pub(crate) async fn find_mortal() -> Option<Self> {
        Self::on(Broker::find_mortal).await
    }

    /// As [`Stage::find`], on a broker that nobody else uses.
    pub(crate) async fn find_own() -> Option<Self> {
        // It is gone with this process, however it ends.
        Self::on(|| Broker::find_own().map(|broker| &*Box::leak(Box::new(broker)))).await
    }

    async fn on(find: fn() -> Option<&'static Broker>) -> Option<Self> {
        let turn = TURN.lock().await;
        // On this thread, whose name is the test's.
        let broker = tokio::task::block_in_place(find)?;
        let programs = tokio::task::block_in_place(programs);
        Some(Stage {
            broker,
            cluster: Cluster::new(programs, broker.servers()).unwrap(),
            prefix: format!("{:08x}-", fastrand::u32(..)),
            _turn: turn,
        })
    }

    /// A crowd of nobody yet, in a shop of this test's own.
    pub(crate) async fn crowd(&self) -> Crowd {
        Crowd::open(&self.prefix, self.cluster.up()).await.unwrap()
    }

    /// The running instance of a service.
    pub(crate) fn target(&mut self, service: Service, number: u32) -> Target {
        self.cluster.process(Instance { service, number }).unwrap().target().unwrap().clone()
    }

    /// The body of an order that can be paid.
    pub(crate) fn order(&self, number: u32) -> Value {
        let prefix = &self.prefix;
        let lines = json!([{"productId": format!("{prefix}p{}", number % 12), "quantity": 1}]);
        let customer = format!("{prefix}c{}", number % 60);
        let id = self.order_id(number);
        json!({"id": id, "customerId": customer, "currency": "GBP", "lines": lines})
    }

    /// The id of that order.
    pub(crate) fn order_id(&self, number: u32) -> String {
        format!("{}order-{number}", self.prefix)
    }

    /// How far every instance has come, and where transactions hold readers back: what tells why
    /// something stands still.
    pub(crate) async fn condition(&self) -> String {
        let open = tokio::task::block_in_place(|| self.broker.undecided());
        let mut condition = format!("open transactions: {open:?}\n");
        let routes = self.cluster.routes();
        for service in Service::ALL {
            for target in routes.instances(service) {
                condition.push_str(&format!("{} at {}\n", service.program(), target.url()));
                let mut client = Client::new(target.clone(), CONDITION_TIME_MAX);
                for path in ["/readyz", "/metrics"] {
                    let path = Bytes::from_static(path.as_bytes());
                    let said = match client.send(Method::GET, path, Bytes::new()).await {
                        Ok(answer) => String::from_utf8_lossy(&answer.body).into_owned(),
                        Err(error) => error.to_string(),
                    };
                    for line in said.lines().filter(|line| !line.contains("http_")) {
                        condition.push_str(&format!("  {line}\n"));
                    }
                }
            }
        }
        condition
    }

    /// Lets the crowd go, ends all instances in an orderly way, and holds the invariants over what
    /// a reader of committed records finds on the log.
    ///
    /// # Panics
    /// Where something does not hold.
    pub(crate) async fn finish(mut self, mut crowd: Crowd) -> Outcome {
        crowd.leave().await.unwrap();
        self.cluster.end_all().await.unwrap();
        let log = tokio::task::block_in_place(|| self.cluster.log()).unwrap();
        let outcome = crowd.judge(&log).await.unwrap();
        assert!(outcome.findings.is_empty(), "{outcome}");
        outcome
    }
}

fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<std::path::PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| program::build(&Service::ALL.map(Service::program)).unwrap())
}

/// Sends a request over a connection of its own.
pub(crate) async fn ask(
    target: &Target,
    method: Method,
    path: &str,
    body: &Value,
) -> Result<Answer, Error> {
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let mut client = Client::new(target.clone(), ANSWER_TIME_MAX);
    client.send(method, Bytes::from(path.to_owned()), body).await
}

/// Asks for a path.
pub(crate) async fn get(target: &Target, path: &str) -> Answer {
    ask(target, Method::GET, path, &Value::Null).await.unwrap()
}

/// The body as JSON, where the status is this one.
///
/// # Panics
/// Where it is another.
pub(crate) fn expect(answer: &Answer, status: u16) -> Value {
    assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(&answer.body));
    serde_json::from_slice(&answer.body).unwrap()
}
