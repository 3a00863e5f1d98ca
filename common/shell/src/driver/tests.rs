//! What the driver owes its workers and those who ask them.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use streams::{
    Headers, Offset, Partition, ProducedRecord, Query, QueryId, QueryOutcome, TableEntry,
    Timestamp, TraceParent, cloud_event,
};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use traces::{Deed, Traces};

use super::fixtures::{COUNT, FaultyLog, FaultySession, TITLES, VISITS, counter};
use super::worker_loop::{Turn, WorkerLoop};
use super::{Command, IDLE_MS_MAX, TablePage, start};
use crate::clock;
use crate::commits::Observer;
use crate::flow::Flow;
use crate::health::Report;
use crate::metrics::{Sample, Value, render};
use crate::owners::Owners;
use crate::read::{Read, ReadOutcome};

/// More turns than anything takes here.
const MANY_TURNS: usize = 1_000;

/// The one worker of a service, and the way to it.
struct Fixture {
    log: FaultyLog,
    owners: Arc<Owners>,
    flow: Arc<Flow>,
    worker: WorkerLoop<FaultySession>,
}

impl Fixture {
    fn new() -> Self {
        let (log, owners) = (FaultyLog::new(1), Arc::new(Owners::default()));
        let thread = Arc::new(OnceLock::new());
        let flow = Arc::new(Flow::new("counter"));
        let own = (Arc::clone(&owners), Arc::clone(&flow));
        let worker = WorkerLoop::join(&log, counter(), own.0, own.1, &thread).unwrap();
        Fixture { log, owners, flow, worker }
    }

    fn settled() -> Self {
        let mut fixture = Fixture::new();
        fixture.settle();
        fixture
    }

    /// Gives the worker its turns until it has nothing to do.
    fn settle(&mut self) {
        while self.worker.turn().unwrap() == Turn::Busy {}
    }

    /// Whether clients know the partition's owner. Rings no bell where they do not.
    fn is_owner_known(&self) -> bool {
        let (respond, _) = oneshot::channel();
        self.owners.send(Partition(0), Command::Health { respond })
    }

    fn ask(&self, query: Query) -> oneshot::Receiver<QueryOutcome> {
        let (respond, answer) = oneshot::channel();
        assert!(self.owners.send(Partition(0), Command::Query { query, respond }));
        answer
    }

    fn ask_page(&self) -> oneshot::Receiver<Vec<(Bytes, TableEntry)>> {
        let (respond, page) = oneshot::channel();
        let asked = TablePage { table: TITLES.name(), after: Bytes::new(), limit: 10 };
        assert!(self.owners.send_any(Command::TablePage { page: asked, respond }));
        page
    }

    /// What is counted of records: name, topic and count.
    fn counted(&self) -> Vec<(&'static str, String, u64)> {
        let mut counted = Vec::new();
        for Sample { name, labels, value, .. } in self.flow.samples() {
            if let Value::Counter(count) = value
                && name.starts_with("streams_records_")
            {
                counted.push((name, labels[1].1.to_string(), count));
            }
        }
        counted.sort_unstable();
        counted
    }

    /// Of the numbers of commits, the lines with this in them.
    fn commit_lines(&self, part: &str) -> Vec<String> {
        let text = render(self.flow.commits().samples("counter"));
        text.lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }

    /// Whether the worker says that it runs all its tasks; `None` before it knows which.
    fn runs_all(&mut self) -> Option<bool> {
        let (respond, mut health) = oneshot::channel();
        assert!(self.owners.send_any(Command::Health { respond }));
        self.settle();
        health.try_recv().unwrap().map(|health| health.running == health.assigned)
    }
}

fn count_of_ada(after: Option<Offset>) -> Query {
    Query {
        id: QueryId(0),
        partition: Partition(0),
        entries: vec![(COUNT.name(), Bytes::from_static(b"ada"))],
        after: after.map(|offset| (VISITS.name(), offset)),
        until: None,
        deadline: Timestamp::from_millis(i64::MAX),
    }
}

fn found(count: &'static str) -> QueryOutcome {
    QueryOutcome::Found(vec![Some(Bytes::from_static(count.as_bytes()))])
}

#[test]
fn a_record_is_taken_between_whatever_two_turns_it_comes() {
    for turns_before in 0..30 {
        let mut fixture = Fixture::new();
        let _ = fixture.worker.turn_of(1).unwrap();
        let mut answer = fixture.ask(count_of_ada(Some(Offset(0))));
        for _ in 0..turns_before {
            let _ = fixture.worker.turn_of(1).unwrap();
        }

        assert_eq!(fixture.log.write(VISITS.name(), "ada", "1"), Offset(0));
        for _ in 0..MANY_TURNS {
            let _ = fixture.worker.turn_of(1).unwrap();
        }

        assert_eq!(answer.try_recv(), Ok(found("1")), "after {turns_before} turns");
    }
}

#[test]
fn a_record_that_nobody_rings_for_is_taken_when_the_worker_looks_around() {
    let mut fixture = Fixture::settled();
    fixture.log.faults().silent = true;
    fixture.log.write(VISITS.name(), "ada", "7");
    let is_taken = |fixture: &Fixture| fixture.counted().iter().any(|(name, ..)| *name == READ);
    assert!(!is_taken(&fixture));

    let late = clock::now() + 10 * IDLE_MS_MAX;
    while !is_taken(&fixture) {
        assert!(clock::now() < late);
        let _ = fixture.worker.turn().unwrap();
    }
}

const READ: &str = "streams_records_read_total";
const WRITTEN: &str = "streams_records_written_total";

#[test]
fn records_are_counted_by_topic_when_they_are_read_and_when_they_are_committed() {
    let mut fixture = Fixture::settled();
    fixture.log.write(TITLES.name(), "ada", "\"countess\"");
    for visits in ["1", "2", "no number"] {
        fixture.log.write(VISITS.name(), "ada", visits);
    }

    fixture.settle();

    let counts = [(READ, "titles", 1), (READ, "visits", 3), (WRITTEN, "dead-letters", 1)];
    let counts = counts.map(|(name, topic, count)| (name, topic.to_owned(), count));
    assert_eq!(fixture.counted(), counts);
}

#[test]
fn what_is_not_committed_is_not_counted_as_written() {
    let mut fixture = Fixture::settled();
    fixture.log.faults().commits_abort = true;
    fixture.log.write(VISITS.name(), "ada", "no number");
    let one = |name| (name, String::from(if name == READ { "visits" } else { "dead-letters" }), 1);
    let turn = (0..MANY_TURNS).find(|_| {
        let _ = fixture.worker.turn_of(1).unwrap();
        fixture.counted().contains(&one(READ))
    });
    assert!(turn.is_some());
    for _ in 0..MANY_TURNS {
        let _ = fixture.worker.turn_of(1).unwrap();
    }
    let none = (WRITTEN, "dead-letters".to_owned(), 0);
    assert_eq!(fixture.counted(), [one(READ), none]);

    fixture.log.faults().commits_abort = false;

    while !fixture.counted().contains(&one(WRITTEN)) {
        let _ = fixture.worker.turn_of(1).unwrap();
    }
}

const COMMITTED: &str = "outcome=\"committed\"";
const ABORTED: &str = "outcome=\"aborted\"";

#[test]
fn a_commit_is_counted_with_its_time_and_its_records() {
    let mut fixture = Fixture::settled();
    for visits in ["1", "2", "3"] {
        fixture.log.write(VISITS.name(), "ada", visits);
    }

    fixture.settle();

    let total = "streams_commits_total{service=\"counter\",outcome=\"committed\"} 1";
    assert_eq!(fixture.commit_lines(COMMITTED), [total]);
    let records = ["sum", "count"].map(|part| format!("streams_batch_records_{part}"));
    assert_eq!(fixture.commit_lines(&records[0]), [format!("{}{COUNTER} 3.0", records[0])]);
    assert_eq!(fixture.commit_lines(&records[1]), [format!("{}{COUNTER} 1", records[1])]);
    let times = format!("streams_commit_duration_seconds_count{COUNTER} 1");
    assert_eq!(fixture.commit_lines("duration_seconds_count"), [times]);
}

const COUNTER: &str = "{service=\"counter\"}";

/// Sees dead letters.
#[derive(Default)]
struct Undertaker(Mutex<Vec<(Option<Bytes>, Timestamp)>>);

impl Undertaker {
    fn seen(&self) -> Vec<(Option<Bytes>, Timestamp)> {
        self.0.lock().unwrap().clone()
    }
}

impl Report for Undertaker {
    fn samples(&self) -> Vec<Sample> {
        Vec::new()
    }
}

impl Observer for Undertaker {
    fn wants(&self, record: &ProducedRecord) -> bool {
        record.value.as_deref() == Some(b"no number")
    }

    fn committed(&self, records: Vec<ProducedRecord>, at: Timestamp) {
        self.0.lock().unwrap().extend(records.into_iter().map(|record| (record.value, at)));
    }
}

#[test]
fn an_observer_is_shown_what_it_wants_of_a_commit_that_holds_and_of_no_other() {
    let mut fixture = Fixture::settled();
    let undertaker = Arc::new(Undertaker::default());
    assert!(fixture.flow.commits().observe(Arc::clone(&undertaker) as Arc<dyn Observer>));
    let began_at = clock::now();
    fixture.log.faults().commits_abort = true;
    for visits in ["no number", "1", "neither", "no number"] {
        fixture.log.write(VISITS.name(), "ada", visits);
    }
    let turn = (0..MANY_TURNS).find(|_| {
        let _ = fixture.worker.turn_of(1).unwrap();
        fixture.commit_lines(ABORTED).concat().ends_with(" 1")
    });
    assert!(turn.is_some());
    assert_eq!(undertaker.seen(), []);

    fixture.log.faults().commits_abort = false;
    while !fixture.commit_lines(COMMITTED).concat().ends_with(" 1") {
        let _ = fixture.worker.turn_of(1).unwrap();
    }

    let seen = undertaker.seen();
    let values: Vec<_> = seen.iter().map(|(value, _)| value.as_deref().unwrap()).collect();
    assert_eq!(values, [b"no number", b"no number"]);
    assert!(seen.iter().all(|(_, at)| (began_at..=clock::now()).contains(at)), "{seen:?}");
}

const RECORDED: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn what_was_processed_for_a_recorded_trace_is_told_when_its_commit_holds() {
    let mut fixture = Fixture::settled();
    let (traces, mut told) = Traces::new(1.0, 10);
    fixture.flow.trace(traces);
    fixture.log.faults().commits_abort = true;
    let mut headers = Headers::default();
    headers.add(cloud_event::TRACE_PARENT, Bytes::from_static(RECORDED));
    fixture.log.write(VISITS.name(), "ada", "1");
    let offset = fixture.log.write_with(headers, VISITS.name(), ("ada", "1"));
    while !fixture.commit_lines(ABORTED).concat().ends_with(" 1") {
        let _ = fixture.worker.turn_of(1).unwrap();
    }
    assert!(told.try_recv().is_err(), "an aborted commit has done nothing");

    fixture.log.faults().commits_abort = false;
    fixture.log.write(VISITS.name(), "eve", "1");
    while !fixture.commit_lines(COMMITTED).concat().ends_with(" 1") {
        let _ = fixture.worker.turn_of(1).unwrap();
    }

    let Deed::Commit(committed) = told.try_recv().unwrap().deed else { panic!("no commit") };
    assert_eq!((committed.records, committed.outputs), (2, 0));
    let span = told.try_recv().unwrap();
    let Deed::Processing { processing, commit } = span.deed else { panic!("no record") };
    let parent = TraceParent::parse(RECORDED).unwrap();
    assert_eq!((processing.parent, processing.offset, commit), (parent, offset, committed.span));
    assert_eq!((span.service, span.began < span.ended), ("counter", true));
    fixture.settle();
    assert!(told.try_recv().is_err(), "a commit without recorded traces is not told");
}

#[test]
fn queries_of_clients_that_have_gone_are_forgotten() {
    let mut fixture = Fixture::settled();
    fixture.log.write(VISITS.name(), "ada", "1");
    let never = || Query { until: Some(Arc::new(|_| false)), ..count_of_ada(None) };
    let mut stays = fixture.ask(never());

    for _ in 0..10_000 {
        drop(fixture.ask(never()));
    }
    fixture.settle();

    assert_eq!(fixture.worker.worker.open_queries(), 1);
    assert_eq!(stays.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn an_answer_is_given_when_what_it_shows_is_durable() {
    let mut fixture = Fixture::settled();
    fixture.log.faults().not_durable = Some(Vec::new());
    let offset = fixture.log.write(VISITS.name(), "ada", "1");

    let mut answer = fixture.ask(count_of_ada(Some(offset)));
    fixture.settle();
    assert_eq!(answer.try_recv(), Err(TryRecvError::Empty));

    fixture.log.end_waits_for_durability(&Ok(()));
    assert_eq!(answer.try_recv(), Ok(found("1")));
}

#[test]
fn what_never_becomes_durable_is_never_shown() {
    let mut fixture = Fixture::settled();
    fixture.log.faults().not_durable = Some(Vec::new());
    let offset = fixture.log.write(VISITS.name(), "ada", "1");
    let (mut answer, mut page) = (fixture.ask(count_of_ada(Some(offset))), fixture.ask_page());
    fixture.settle();

    let failed = eventlog::Error::Failed { reason: "no space".to_owned() };
    fixture.log.end_waits_for_durability(&Err(failed));

    assert_eq!(answer.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(page.try_recv().unwrap_err(), TryRecvError::Closed);
}

#[test]
fn an_assignment_that_could_not_be_asked_for_is_asked_for_again_without_a_bell() {
    let mut fixture = Fixture::new();
    fixture.log.faults().assignment_fails = true;
    fixture.settle();
    assert_eq!(fixture.runs_all(), None);
    let Turn::Idle(rest) = fixture.worker.turn().unwrap() else { panic!("more to do") };
    assert!(rest <= Duration::from_millis(100), "{rest:?}");

    fixture.log.faults().assignment_fails = false;

    while !fixture.is_owner_known() {
        fixture.settle();
    }
    assert_eq!(fixture.runs_all(), Some(true));
}

#[test]
fn a_worker_without_an_assignment_says_so() {
    let mut fixture = Fixture::new();
    fixture.log.faults().unassigned = true;
    fixture.settle();

    assert_eq!(fixture.runs_all(), None);
}

#[test]
fn a_page_of_a_table_is_not_answered_before_the_tables_are_read() {
    let mut fixture = Fixture::new();
    fixture.log.write(TITLES.name(), "ada", "\"countess\"");
    fixture.log.faults().ends_fail = true;
    let mut early = fixture.ask_page();
    fixture.settle();
    assert_eq!(early.try_recv().unwrap_err(), TryRecvError::Closed);

    fixture.log.faults().ends_fail = false;

    let entries = loop {
        let mut page = fixture.ask_page();
        fixture.settle();
        if let Ok(entries) = page.try_recv() {
            break entries;
        }
    };
    assert_eq!(entries.len(), 1);
}

#[tokio::test]
async fn workers_on_threads_take_records_and_answer_reads() {
    let log = FaultyLog::new(6);
    let (failed, _failures) = tokio::sync::mpsc::unbounded_channel();
    let (handles, driver) = start(&log, &[counter()], 2, failed).unwrap();
    let service = &handles[0];
    while !service.health().await.missing.is_empty() {
        tokio::task::yield_now().await;
    }
    let visits = log.write(VISITS.name(), "ada", "7");

    let read = Read {
        partition_key: key_of_partition_0(),
        entries: vec![(COUNT.name(), Bytes::from_static(b"ada"))],
        after: Some((VISITS.name(), visits)),
        until: None,
        timeout: Duration::from_secs(10),
    };
    let seven = Some(Bytes::from_static(b"7"));
    assert_eq!(service.read(read).await, Ok(ReadOutcome::Found(vec![seven])));

    driver.stop();
    let missing = service.health().await.missing;
    assert_eq!(missing, ["counter: a worker does not answer"; 2]);
}

fn key_of_partition_0() -> Bytes {
    let keys = (0..).map(|number: u32| Bytes::from(number.to_string()));
    keys.into_iter().find(|key| streams::partition_for_key(key, 6) == Partition(0)).unwrap()
}
