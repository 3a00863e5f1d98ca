//! Instances of one service on one log, whose workers are the tests'.

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use eventlog::RequestLog;
use streams::{Offset, Partition, QueryOutcome, TopicName, TopicPartition, partition_for_key};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;

use super::Peering;
use super::call::{Answer, Caller};
use crate::admission::{Admission, Limits};
use crate::driver::fixtures::{COUNT, ENDPOINTS, FaultyLog, VISITS, counter};
use crate::driver::{Command, WorkerAddress};
use crate::read::{Awaited, Read, ReadOutcome};
use crate::service::{ServiceError, ServiceHandle};
use crate::{edge, server};

const PARTITIONS: u32 = 6;

/// A running instance, which owns nothing at first.
struct Instance {
    service: ServiceHandle,
    worker: WorkerAddress,
    commands: Option<Receiver<Command>>,
    url: String,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

fn awaited(name: &str) -> Option<Awaited> {
    let holds = |entries: &[Option<Bytes>]| entries == [Some(Bytes::from_static(b"7"))];
    (name == "SEVEN").then(|| Awaited { name: "SEVEN", holds: Arc::new(holds) })
}

fn ada() -> Partition {
    partition_for_key(b"ada", PARTITIONS)
}

fn read(timeout: Duration) -> Read {
    let ada = Bytes::from_static(b"ada");
    Read {
        partition_key: ada.clone(),
        entries: vec![(COUNT.name(), ada)],
        after: Some((VISITS.name(), Offset(3))),
        until: awaited("SEVEN"),
        timeout,
    }
}

const LONG: Duration = Duration::from_secs(20);

fn found() -> Result<ReadOutcome, ServiceError> {
    Ok(ReadOutcome::Found(vec![Some(Bytes::from_static(b"7")), None]))
}

impl Instance {
    async fn start(log: &FaultyLog) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let service = ServiceHandle::new(counter(), Arc::new(log.clone()));
        let (worker, commands) = WorkerAddress::new(&Arc::new(OnceLock::new()));
        service.owners().add(&worker);
        let peering = Peering { advertised_url: url.clone(), endpoints: ENDPOINTS, awaited };
        let service = service.with_peers(&counter(), peering);
        let admission = Admission::new(Limits::default());
        let application =
            edge::application(OpenApiRouter::new(), &admission, vec![service.clone()]);
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        let serving = tokio::spawn(server::serve(listener, application, admission, stopped));
        Instance { service, worker, commands: Some(commands), url, stop, serving }
    }

    /// Owns the partition of `ada`, and answers queries in this way.
    fn owns_ada(&mut self, answer: impl Fn(Command) + Send + 'static) {
        self.service.owners().set(&[ada()], &self.worker);
        let commands = self.commands.take().unwrap();
        std::thread::spawn(move || commands.into_iter().for_each(answer));
    }

    fn loses_ada(&self) {
        self.service.owners().set(&[], &self.worker);
    }
}

/// Answers what [`read`] asks.
fn answers(command: Command) {
    let Command::Query { query, respond } = command else { panic!("no query") };
    let asked = read(LONG);
    assert_eq!((query.partition, query.entries), (ada(), asked.entries));
    assert_eq!(query.after, asked.after);
    let seven = Some(Bytes::from_static(b"7"));
    let holds = query.until.unwrap();
    assert!(holds(std::slice::from_ref(&seven)) && !holds(&[None]));
    let _ = respond.send(QueryOutcome::Found(vec![seven, None]));
}

fn is_former(command: Command) {
    let Command::Query { respond, .. } = command else { panic!("no query") };
    let _ = respond.send(QueryOutcome::NotOwner);
}

#[tokio::test]
async fn a_read_of_what_another_instance_owns_is_answered_by_it() {
    let log = FaultyLog::new(PARTITIONS);
    let (asked, mut owner) = (Instance::start(&log).await, Instance::start(&log).await);
    owner.owns_ada(answers);

    assert_eq!(asked.service.read(read(LONG)).await, found());
    assert_eq!(owner.service.read(read(LONG)).await, found());
}

#[tokio::test]
async fn what_the_owner_cannot_say_in_time_is_told_as_such() {
    let log = FaultyLog::new(PARTITIONS);
    let (asked, mut owner) = (Instance::start(&log).await, Instance::start(&log).await);
    owner.owns_ada(|command| {
        let Command::Query { respond, .. } = command else { panic!("no query") };
        let _ = respond.send(QueryOutcome::Unavailable);
    });

    assert_eq!(asked.service.read(read(LONG)).await, Err(ServiceError::NotInTime));
}

#[tokio::test]
async fn a_read_waits_until_an_instance_owns_the_partition() {
    let log = FaultyLog::new(PARTITIONS);
    let (asked, mut owner) = (Instance::start(&log).await, Instance::start(&log).await);
    let (answer, ()) = tokio::join!(asked.service.read(read(LONG)), async {
        tokio::task::yield_now().await;
        owner.owns_ada(answers);
    });
    assert_eq!(answer, found());

    let without_owner = Instance::start(&FaultyLog::new(PARTITIONS)).await;
    let in_vain = without_owner.service.read(read(Duration::from_millis(50))).await;
    assert_eq!(in_vain, Err(ServiceError::NotInTime));
}

#[tokio::test]
async fn a_former_owner_passes_nothing_on_and_the_read_goes_to_the_next() {
    let log = FaultyLog::new(PARTITIONS);
    let asked = Instance::start(&log).await;
    let (mut former, mut next) = (Instance::start(&log).await, Instance::start(&log).await);
    former.owns_ada(is_former);
    wait_for(&log, &former.url).await;

    next.owns_ada(answers);

    assert_eq!(asked.service.read(read(LONG)).await, found());
    let at_former = Caller::default().call(&former.url, &read(LONG), Instant::now() + LONG).await;
    assert_eq!(at_former, Answer::NotOwner);
}

#[tokio::test]
async fn an_owner_that_is_silent_is_left_when_another_has_its_partition() {
    let log = FaultyLog::new(PARTITIONS);
    let asked = Instance::start(&log).await;
    let (mut silent, mut next) = (Instance::start(&log).await, Instance::start(&log).await);
    let (told, tells) = channel();
    silent.owns_ada(move |command| told.send(command).unwrap());
    wait_for(&log, &silent.url).await;

    let answer = tokio::spawn({
        let service = asked.service.clone();
        async move { service.read(read(LONG)).await }
    });
    let held = tokio::task::spawn_blocking(move || tells.recv().map(|command| (tells, command)));
    let held = held.await.unwrap().unwrap();
    next.owns_ada(answers);

    assert_eq!(answer.await.unwrap(), found());
    drop(held);
}

#[tokio::test]
async fn an_instance_that_stops_sends_those_away_who_wait() {
    let log = FaultyLog::new(PARTITIONS);
    let mut owner = Instance::start(&log).await;
    let (told, tells) = channel();
    owner.owns_ada(move |command| told.send(command).unwrap());

    let url = owner.url.clone();
    let waiting = tokio::spawn(async move {
        Caller::default().call(&url, &read(LONG), Instant::now() + LONG).await
    });
    let held = tokio::task::spawn_blocking(move || tells.recv().map(|command| (tells, command)));
    let held = held.await.unwrap().unwrap();
    owner.stop.send(()).unwrap();

    assert_eq!(waiting.await.unwrap(), Answer::NotOwner);
    owner.serving.await.unwrap();
    drop(held);
}

#[tokio::test]
async fn a_read_that_names_what_is_not_known_is_refused() {
    let log = FaultyLog::new(PARTITIONS);
    let mut owner = Instance::start(&log).await;
    owner.owns_ada(answers);
    let unknown_store =
        Read { entries: vec![(streams::StoreName::new("x"), "k".into())], ..read(LONG) };
    let unknown_source = Read { after: Some((TopicName::new("x"), Offset(0))), ..read(LONG) };
    let until = awaited("SEVEN").map(|awaited| Awaited { name: "x", ..awaited });
    let unknown_until = Read { until, ..read(LONG) };

    for read in [unknown_store, unknown_source, unknown_until] {
        let answer = Caller::default().call(&owner.url, &read, Instant::now() + LONG).await;
        let reason = format!("the owner at {} answered 422 Unprocessable Entity", owner.url);
        let refused = ServiceError::Unavailable { reason, may_be_written: false };
        assert_eq!(answer, Answer::Read(Err(refused)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_owner_whose_partition_another_claims_says_so_again_after_a_while() {
    let log = FaultyLog::new(PARTITIONS);
    let (mut first, mut second) = (Instance::start(&log).await, Instance::start(&log).await);
    first.owns_ada(answers);
    wait_for(&log, &first.url).await;

    // The second hears of its share before the first hears of its loss.
    second.owns_ada(answers);
    wait_for(&log, &second.url).await;
    wait_for(&log, &first.url).await;
    first.loses_ada();
    wait_for(&log, &second.url).await;

    // Time stands still here but for this: whoever still disagrees would say so.
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(said(&log).await.len() <= 6, "{:?}", said(&log).await);
    assert_eq!(said(&log).await.last(), Some(&second.url));
}

/// The URLs that have been said for the partition of `ada`, in order.
async fn said(log: &FaultyLog) -> Vec<String> {
    let place = TopicPartition::new(ENDPOINTS, Partition(0));
    let records = log.read(place, Offset(0), 1_000).await.unwrap();
    let of_ada =
        records.iter().filter(|record| record.key.as_deref() == Some(ada().to_string().as_bytes()));
    let value = |record: &streams::ConsumedRecord| -> serde_json::Value {
        serde_json::from_slice(record.value.as_ref().unwrap()).unwrap()
    };
    of_ada.map(|record| value(record)["url"].as_str().unwrap().to_owned()).collect()
}

/// Waits until this is what was said last. A log tells nobody outside of a new record, so it is
/// looked at again and again.
async fn wait_for(log: &FaultyLog, url: &str) {
    while said(log).await.last().map(String::as_str) != Some(url) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
