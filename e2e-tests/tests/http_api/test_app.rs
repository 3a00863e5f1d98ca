//! The whole system, in the process of a test or as processes on Kafka, and a client that speaks
//! its API.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use bytes::Bytes;
use e2e_tests::routes::Routes;
use eventlog::RequestLog;
use events::topics::{CUSTOMER_REQUESTS, ORDER_REQUESTS, PRODUCT_REQUESTS};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use quickstart::{Running, Settings};
use serde_json::{Value, json};
use streams::{ConsumedRecord, Offset, Partition, TopicPartition};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::shared::Shared;

const PARTITIONS: u32 = 3;
/// More records than a test writes.
const RECORDS_MAX: usize = 1_000_000;

/// Names what a test may share with others: addresses as [`Routes::parse`] takes them.
pub(crate) const SYSTEM: &str = "SYSTEM";

/// The running system. It has no products and no customers but those that a test puts.
#[derive(Debug)]
pub(crate) struct TestApp {
    system: System,
}

#[derive(Debug)]
enum System {
    /// In this process, and this test's alone.
    Own { directory: TempDir, running: Box<Running> },
    /// Processes on Kafka, which answer other tests too.
    Shared(Box<Shared>),
}

impl TestApp {
    /// The system that the environment names, or else one as [`TestApp::start_alone`] gives it.
    ///
    /// # Panics
    /// Where it does not start, or is not as the environment says.
    pub(crate) async fn start() -> Self {
        let Ok(routes) = std::env::var(SYSTEM) else { return Self::start_alone().await };
        let shared = Shared::new(Routes::parse(&routes).await.unwrap());
        TestApp { system: System::Shared(Box::new(shared)) }
    }

    /// Starts one in this process, on an empty directory: for tests of what all clients see
    /// together, and of what has nothing to do with the log.
    ///
    /// # Panics
    /// Where it does not start.
    pub(crate) async fn start_alone() -> Self {
        Self::start_on(tempfile::tempdir().unwrap()).await
    }

    /// A shop with a paid order, `o-1`.
    pub(crate) async fn shop() -> Self {
        Self::start().await.filled().await
    }

    /// The same in a system that is there.
    pub(crate) async fn filled(self) -> Self {
        self.stock("jumper", "12.99", 10).await;
        self.credit("c-1", "1000.00").await;
        assert_eq!(self.settle("o-1", "c-1", "jumper", 1).await["state"], "PAID");
        self
    }

    async fn start_on(directory: TempDir) -> Self {
        let settings = Settings::empty(directory.path(), PARTITIONS);
        let running = Box::new(quickstart::start(&settings).await.unwrap());
        TestApp { system: System::Own { directory, running } }
    }

    /// Stops it, and starts it again on the same directory.
    ///
    /// # Panics
    /// Where it is shared, or does not start again.
    pub(crate) async fn restart(self) -> Self {
        let System::Own { directory, running } = self.system else {
            unreachable!("others use it too");
        };
        running.stop().await;
        Self::start_on(directory).await
    }

    /// Where whoever has this path listens.
    fn address(&self, path: &str) -> SocketAddr {
        match &self.system {
            System::Own { running, .. } => running.address(),
            System::Shared(shared) => shared.address(path),
        }
    }

    /// Asks for a path.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Bytes::new()).unwrap()).await
    }

    /// Posts a JSON value.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(json_request(Method::POST, path, body)).await
    }

    /// Puts a JSON value.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(json_request(Method::PUT, path, body)).await
    }

    /// Sends a request, over a connection of its own.
    ///
    /// # Panics
    /// Where there is no whole answer.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Answer {
        let address = self.address(request.uri().path());
        let System::Shared(shared) = &self.system else { return exchange(address, request).await };
        shared.told(exchange(address, shared.telling(request)).await)
    }

    /// How many requests of this test's clients lie on the log.
    ///
    /// # Panics
    /// Where the log cannot be read.
    pub(crate) async fn requests_written(&self) -> usize {
        match &self.system {
            System::Own { running, .. } => requests_on(running.log()).await.len(),
            System::Shared(shared) => shared.requests_written().await,
        }
    }

    /// Puts a product with so many pieces of it.
    pub(crate) async fn stock(&self, product: &str, price: &str, pieces: u64) {
        let body = json!({"name": product, "price": {"amount": price, "currency": "GBP"}});
        self.put(&format!("/v1/products/{product}"), &body).await.expect(201);
        let path = format!("/v1/products/{product}/stock-adjustments");
        self.post(&path, &json!({"delta": pieces})).await.expect(201);
    }

    /// Puts a customer with so much credit.
    pub(crate) async fn credit(&self, customer: &str, limit: &str) {
        self.put(&format!("/v1/customers/{customer}"), &customer_body(limit)).await.expect(201);
    }

    /// Posts an order of so many pieces of one product, and waits until it has settled.
    pub(crate) async fn settle(
        &self,
        order: &str,
        customer: &str,
        product: &str,
        pieces: u64,
    ) -> Value {
        self.post("/v1/orders", &order_body(order, customer, product, pieces)).await.expect(201);
        self.get(&format!("/v1/orders/{order}?until=SETTLED")).await.expect(200)
    }
}

async fn exchange(address: SocketAddr, request: Request<Bytes>) -> Answer {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = request.map(Full::new);
    request.headers_mut().insert("host", "test".parse().unwrap());
    let (head, body) = sender.send_request(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: head.status, headers: head.headers, body }
}

/// All requests of clients that lie on a log.
pub(crate) async fn requests_on(log: &impl RequestLog) -> Vec<ConsumedRecord> {
    let topics = [ORDER_REQUESTS.name(), PRODUCT_REQUESTS.name(), CUSTOMER_REQUESTS.name()];
    let mut requests = Vec::new();
    for topic in topics {
        for number in 0..log.partitions() {
            let of = TopicPartition::new(topic, Partition(number));
            requests.extend(log.read(of, Offset(0), RECORDS_MAX).await.unwrap());
        }
    }
    requests
}

fn json_request(method: Method, path: &str, body: &Value) -> Request<Bytes> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(Bytes::from(body.to_string()))
        .unwrap()
}

/// The body of an order of one line, at the catalogue's price.
pub(crate) fn order_body(order: &str, customer: &str, product: &str, pieces: u64) -> Value {
    let lines = json!([{"productId": product, "quantity": pieces}]);
    json!({"id": order, "customerId": customer, "currency": "GBP", "lines": lines})
}

/// The body of a customer with this credit limit.
pub(crate) fn customer_body(limit: &str) -> Value {
    json!({
        "firstName": "Ada",
        "lastName": "Lovelace",
        "email": "ada@example.com",
        "address": "12 St James's Square\nLondon",
        "level": "GOLD",
        "creditLimit": {"amount": limit, "currency": "GBP"},
    })
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body as sent.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON, where the status is this one.
    ///
    /// # Panics
    /// Where it is another.
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// The body as JSON; `null` where there is none.
    ///
    /// # Panics
    /// Where it is something else.
    pub(crate) fn json(&self) -> Value {
        if self.body.is_empty() { Value::Null } else { serde_json::from_slice(&self.body).unwrap() }
    }

    /// A header, where it is there.
    ///
    /// # Panics
    /// Where it is no text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The code of the problem that was answered with this status.
    ///
    /// # Panics
    /// Where it is no problem, or one of another status.
    pub(crate) fn problem(&self, status: u16) -> String {
        let problem = self.expect(status);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(problem["status"], status);
        for member in ["type", "title", "detail", "instance"] {
            assert!(problem[member].is_string(), "{member} in {problem}");
        }
        problem["code"].as_str().unwrap().to_owned()
    }

    /// Where the violations of a 422 stand: JSON pointers, and names of parameters and headers.
    ///
    /// # Panics
    /// Where it is no such problem.
    pub(crate) fn violations(&self) -> Vec<String> {
        assert_eq!(self.problem(422), "INVALID_REQUEST");
        let errors = self.json()["errors"].as_array().unwrap().clone();
        let place = |error: &Value| {
            let names = ["pointer", "parameter", "header"];
            names.iter().find_map(|name| error[name].as_str()).unwrap().to_owned()
        };
        errors.iter().map(place).collect()
    }
}
