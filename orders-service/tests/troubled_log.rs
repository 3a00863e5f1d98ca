//! What clients are told while the log does not do its part, or no worker does.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use eventlog::{
    Appended, BoxFuture, Error, Log, Membership, MemoryLog, MemorySession, RequestLog, Retention,
    TopicConfig, Waker,
};
use events::topics::ORDER_REQUESTS;
use orders_read_model::{Place, ReadModel};
use orders_service::order::state::Timeouts;
use serde_json::{Value, json};
use shell::admission::{Admission, Limits};
use streams::{
    CommitPosition, ConsumedRecord, Fetched, Offset, Partition, ProducedRecord, TopicPartition,
};
use tokio::time::Instant;
use tower::ServiceExt;

/// A log of one partition on which not everything goes well.
#[derive(Clone)]
struct TroubledLog {
    log: MemoryLog,
    append: Result<(), Error>,
    /// `None` is not known yet, and never will be.
    durable: Option<Result<(), Error>>,
}

impl TroubledLog {
    fn without_trouble() -> Self {
        let requests = TopicConfig { name: ORDER_REQUESTS.name(), retention: Retention::Forever };
        let log = MemoryLog::new(vec![requests], 1);
        TroubledLog { log, append: Ok(()), durable: Some(Ok(())) }
    }

    fn that_takes_nothing(error: Error) -> Self {
        TroubledLog { append: Err(error), ..Self::without_trouble() }
    }

    fn that_goes_away_after_the_write() -> Self {
        TroubledLog { durable: Some(Err(failed())), ..Self::without_trouble() }
    }

    fn whose_disk_stands_still() -> Self {
        TroubledLog { durable: None, ..Self::without_trouble() }
    }

    async fn requests_written(&self) -> usize {
        let of = TopicPartition::new(ORDER_REQUESTS.name(), Partition(0));
        self.log.read(of, Offset(0), 100).await.unwrap().len()
    }
}

impl RequestLog for TroubledLog {
    fn append(&self, record: ProducedRecord) -> BoxFuture<'_, Result<Appended, Error>> {
        Box::pin(async move {
            self.append.clone()?;
            self.log.append(record).await
        })
    }

    fn durable(&self, _: CommitPosition) -> BoxFuture<'_, Result<(), Error>> {
        match self.durable.clone() {
            Some(durable) => Box::pin(ready(durable)),
            None => Box::pin(pending()),
        }
    }

    fn read(
        &self,
        of: TopicPartition,
        from: Offset,
        records_max: usize,
    ) -> BoxFuture<'_, Result<Vec<ConsumedRecord>, Error>> {
        self.log.read(of, from, records_max)
    }

    fn follow<'a>(
        &'a self,
        from: &'a [(TopicPartition, Offset)],
        records_max: usize,
    ) -> BoxFuture<'a, Result<Fetched, Error>> {
        self.log.follow(from, records_max)
    }

    fn ends<'a>(&'a self, of: &'a [TopicPartition]) -> BoxFuture<'a, Result<Vec<Offset>, Error>> {
        RequestLog::ends(&self.log, of)
    }

    fn health(&self) -> Result<(), Error> {
        self.append.clone().and(self.durable.clone().unwrap_or(Ok(())))
    }

    fn partitions(&self) -> u32 {
        self.log.partitions()
    }
}

impl Log for TroubledLog {
    type Session = MemorySession;

    fn join(&self, membership: Membership, waker: Waker) -> Result<MemorySession, Error> {
        self.log.join(membership, waker)
    }
}

fn failed() -> Error {
    Error::Failed { reason: "no space left on device".to_owned() }
}

/// The routes of orders on this log. No worker runs.
fn routes(log: &TroubledLog) -> Router {
    let topology = Arc::new(orders_service::topology(Timeouts::DEFAULT).unwrap());
    let (failed, _) = tokio::sync::mpsc::unbounded_channel();
    let (mut services, _) = shell::start(log, &[topology], 0, failed).unwrap();
    let admission = Admission::new(Limits::default());
    let service = services.remove(0);
    // Nothing of it is asked for here.
    let nowhere = Place::Url("sqlite::memory:".to_owned());
    let read_model = ReadModel::start(service.log(), &nowhere, false).unwrap();
    let routes = orders_service::http::router(service, admission.clone(), read_model);
    shell::edge::application(routes, &admission, Vec::new())
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// What is true of every 503: its code is this one, and the client is told when to come back.
    fn assert_unavailable(&self, code: &str) {
        assert_eq!((self.status, &self.body["code"]), (503, &json!(code)), "{}", self.body);
        assert_eq!(self.header("retry-after"), Some("1"));
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
    }
}

async fn ask(log: &TroubledLog, request: Request<Body>) -> Answer {
    let (head, body) = routes(log).oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap();
    Answer { status: head.status.as_u16(), headers: head.headers, body }
}

/// Places an order, with an id of the client's own or without one.
async fn place(log: &TroubledLog, id: Option<&str>, prefer: &str) -> Answer {
    let lines = json!([{"productId": "jumper", "quantity": 2}]);
    let mut order = json!({"customerId": "c-1", "currency": "GBP", "lines": lines});
    if let Some(id) = id {
        order["id"] = json!(id);
    }
    let request = Request::post("/v1/orders")
        .header("content-type", "application/json")
        .header("prefer", prefer)
        .body(Body::from(order.to_string()));
    ask(log, request.unwrap()).await
}

#[tokio::test]
async fn an_order_that_the_log_does_not_take_is_answered_with_its_id() {
    let unreachable = Error::Unreachable { reason: "no broker answers".to_owned() };
    for (error, code) in
        [(Error::Overloaded, "OVERLOADED"), (failed(), "UNAVAILABLE"), (unreachable, "UNAVAILABLE")]
    {
        let log = TroubledLog::that_takes_nothing(error);

        let own = place(&log, Some("o-1"), "").await;
        let made_here = place(&log, None, "").await;

        own.assert_unavailable(code);
        assert_eq!(own.body["id"], "o-1");
        made_here.assert_unavailable(code);
        let id = made_here.body["id"].as_str().unwrap_or_default();
        assert_eq!(id.len(), 36, "{id} is a UUID");
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_was_written_and_may_not_last_is_answered_with_its_id() {
    for log in
        [TroubledLog::that_goes_away_after_the_write(), TroubledLog::whose_disk_stands_still()]
    {
        for (prefer, written) in [("", 1), ("respond-async", 2)] {
            let answer = place(&log, Some("o-1"), prefer).await;

            answer.assert_unavailable("UNAVAILABLE");
            assert_eq!(answer.body["id"], "o-1");
            assert_eq!(log.requests_written().await, written);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_not_decided_in_5_seconds_is_accepted_all_the_same() {
    let log = TroubledLog::without_trouble();
    let asked_at = Instant::now();

    let answer = place(&log, Some("o-1"), "").await;

    assert_eq!((answer.status, &answer.body), (202, &json!({"id": "o-1"})));
    assert_eq!(answer.header("location"), Some("/v1/orders/o-1"));
    assert_eq!(answer.header("preference-applied"), None);
    assert_eq!(log.requests_written().await, 1);
    let waited = asked_at.elapsed();
    assert!((5..=6).contains(&waited.as_secs()), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_read_that_nobody_can_answer_for_certain_is_no_404() {
    let log = TroubledLog::without_trouble();
    let asked_at = Instant::now();

    let answer = ask(&log, Request::get("/v1/orders/o-1").body(Body::empty()).unwrap()).await;

    answer.assert_unavailable("UNAVAILABLE");
    assert!(asked_at.elapsed() >= Duration::from_secs(5));
}
