//! A running service as its HTTP routes see it: requests go to the log, reads to the worker that
//! owns the key's partition.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use eventlog::{Appended, RequestLog};
use streams::cloud_event::{Attributes, event_time};
use streams::{
    CloudEvents, Event, Key, ProducedRecord, Query, QueryId, QueryOutcome, TableEntry, Topic,
    TopicName, TopicPartition, Topology, WorkerHealth, partition_for_key,
};
use tokio::sync::oneshot;
use tokio::time::Instant;
use traces::RequestTrace;

use crate::clock;
use crate::commits::Observer;
use crate::driver::{Command, TablePage, WorkerAddress};
use crate::flow::Flow;
use crate::health::{Health, Report, tasks_missing};
use crate::owners::Owners;
use crate::peers::Peers;
use crate::read::{Read, ReadOutcome};

/// How long a read for which no worker is responsible waits for the next owner before it looks
/// again.
const OWNER_WAIT: Duration = Duration::from_millis(20);
/// The same where another instance may be the next owner: its say comes by way of the log.
const PEERS_WAIT: Duration = Duration::from_millis(200);
/// How long after its deadline an answer may still come, before a read is given up.
pub(crate) const ANSWER_GRACE: Duration = Duration::from_secs(2);
/// How long an appended request may take to be on disk before whoever waits for it is told that
/// nothing is certain.
const DURABLE_TIME_MAX: Duration = Duration::from_secs(5);

/// A running service. Cheap to clone.
#[derive(Clone)]
pub struct ServiceHandle {
    topology: Arc<Topology>,
    partitions: u32,
    log: Arc<dyn RequestLog>,
    owners: Arc<Owners>,
    flow: Arc<Flow>,
    /// The service's other instances, where there may be any.
    peers: Option<Arc<Peers>>,
    /// What they ask of this one.
    peer_routes: Router,
    /// The parts beside the workers. All clones have the same.
    parts: Arc<RwLock<Vec<Arc<dyn Report>>>>,
}

impl std::fmt::Debug for ServiceHandle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ServiceHandle({})", self.name())
    }
}

/// Why a service could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// Nothing certain could be said in time: the partition's owner is not known, restores, or the
    /// request is not processed yet.
    #[error("no certain answer in time")]
    NotInTime,
    /// Too much is under way; nothing was done.
    #[error("too much is under way")]
    Overloaded,
    /// The log cannot be used; nothing was done unless `written` says that it may have been.
    #[error("the log cannot be used: {reason}")]
    Unavailable {
        /// What the log said.
        reason: String,
        /// Whether a write may have happened all the same.
        may_be_written: bool,
    },
}

impl From<eventlog::Error> for ServiceError {
    fn from(error: eventlog::Error) -> Self {
        match error {
            eventlog::Error::Overloaded => ServiceError::Overloaded,
            error => ServiceError::Unavailable {
                may_be_written: error.is_indefinite(),
                reason: error.to_string(),
            },
        }
    }
}

impl ServiceHandle {
    pub(crate) fn new(topology: Arc<Topology>, log: Arc<dyn RequestLog>) -> Self {
        let flow = Arc::new(Flow::new(topology.name()));
        let service = ServiceHandle {
            topology,
            partitions: log.partitions(),
            log,
            owners: Arc::default(),
            flow: Arc::clone(&flow),
            peers: None,
            peer_routes: Router::new(),
            parts: Arc::default(),
        };
        service.add_part(flow);
        service
    }

    /// This service with other instances, and the routes of what they ask of it.
    pub(crate) fn joined(self, peers: Peers, peer_routes: Router) -> Self {
        ServiceHandle { peers: Some(Arc::new(peers)), peer_routes, ..self }
    }

    /// The log under it.
    pub fn log(&self) -> Arc<dyn RequestLog> {
        Arc::clone(&self.log)
    }

    /// From now on an operator hears of this part, too, where he hears of the service.
    pub fn add_part(&self, part: Arc<dyn Report>) {
        self.parts.write().unwrap_or_else(PoisonError::into_inner).push(part);
    }

    /// From now on this part is shown what the service commits, and an operator hears of it, too.
    /// There is one such part; another one is never shown anything.
    pub fn observe<O: Observer + 'static>(&self, observer: Arc<O>) {
        if self.flow.commits().observe(Arc::clone(&observer) as Arc<dyn Observer>) {
            self.add_part(observer);
        } else {
            tracing::warn!(service = self.name(), "commits are observed already");
        }
    }

    /// The parts beside the workers.
    pub(crate) fn parts(&self) -> Vec<Arc<dyn Report>> {
        self.parts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The routes by which other instances pass on their reads; none where there are no others.
    pub(crate) fn peer_routes(&self) -> Router {
        self.peer_routes.clone()
    }

    pub(crate) fn owners(&self) -> Arc<Owners> {
        Arc::clone(&self.owners)
    }

    pub(crate) fn flow(&self) -> Arc<Flow> {
        Arc::clone(&self.flow)
    }

    /// The service's name.
    pub fn name(&self) -> &'static str {
        self.topology.name()
    }

    /// Its rules and what connects them.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Appends a request to a topic, as an event with this id. It has its place in the log then,
    /// but need not be on disk: a read after it, or [`ServiceHandle::durable`], waits for that.
    ///
    /// # Errors
    /// [`ServiceError`] where the log does not take it.
    pub async fn append<K: Key, V: Event>(
        &self,
        topic: &Topic<K, V, CloudEvents>,
        key: &K,
        request: &V,
        id: &str,
    ) -> Result<Appended, ServiceError> {
        let now = clock::now();
        let key = key.encode();
        let headers = Attributes {
            id: Bytes::copy_from_slice(id.as_bytes()),
            source: self.name(),
            event_type: request.event_type(),
            time: event_time(now),
            trace_parent: RequestTrace::header_of_current(self.name(), self.flow.traces()),
        }
        .into_headers();
        let partition = partition_for_key(&key, self.partitions);
        let record = ProducedRecord {
            destination: TopicPartition::new(topic.name(), partition),
            timestamp: now,
            key: Some(key),
            value: Some(request.to_json()),
            headers,
        };
        let appended = self.log.append(record).await?;
        self.flow.written([(topic.name(), 1)]);
        Ok(appended)
    }

    /// Appends a record as it is, and waits until it is durable. Errors as [`Self::durable`].
    pub async fn append_record(&self, record: ProducedRecord) -> Result<(), ServiceError> {
        let topic = record.destination.topic;
        let appended = self.log.append(record).await?;
        self.flow.written([(topic, 1)]);
        self.durable(&appended).await
    }

    /// Waits until an appended request is on disk.
    ///
    /// # Errors
    /// [`ServiceError`] where it never will be, or is not in time: it may be later.
    pub async fn durable(&self, appended: &Appended) -> Result<(), ServiceError> {
        let durable = self.log.durable(appended.position);
        match tokio::time::timeout(DURABLE_TIME_MAX, durable).await {
            Ok(durable) => Ok(durable?),
            Err(_) => Err(ServiceError::NotInTime),
        }
    }

    /// Reads entries: never from a stale owner, never what is not durable, and a miss is certain.
    /// Where another instance owns the partition, it is asked.
    ///
    /// # Errors
    /// [`ServiceError`] where nothing certain could be said in time.
    pub async fn read(&self, read: Read) -> Result<ReadOutcome, ServiceError> {
        let partition = partition_for_key(&read.partition_key, self.partitions);
        let ends_at = Instant::now() + read.timeout;
        loop {
            if let Some(outcome) = self.read_here(&read, ends_at).await? {
                return Ok(outcome);
            }
            if let Some(peers) = &self.peers
                && let Some(outcome) = peers.read(partition, &read, ends_at).await
            {
                return outcome;
            }
            if Instant::now() >= ends_at {
                return Err(ServiceError::NotInTime);
            }
            match &self.peers {
                Some(peers) => tokio::select! {
                    () = self.owners.changed(PEERS_WAIT) => {}
                    () = peers.changed(PEERS_WAIT) => {}
                },
                None => self.owners.changed(OWNER_WAIT).await,
            }
        }
    }

    /// Reads entries of a partition that is owned here; `None` where it is not.
    pub(crate) async fn read_here(
        &self,
        read: &Read,
        ends_at: Instant,
    ) -> Result<Option<ReadOutcome>, ServiceError> {
        let partition = partition_for_key(&read.partition_key, self.partitions);
        let left = ends_at.saturating_duration_since(Instant::now());
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let (respond, answer) = oneshot::channel();
        let query = Query {
            id: QueryId(0),
            partition,
            entries: read.entries.clone(),
            after: read.after,
            until: read.until.as_ref().map(|awaited| Arc::clone(&awaited.holds)),
            deadline: clock::now() + left_ms,
        };
        if !self.owners.send(partition, Command::Query { query, respond }) {
            return Ok(None);
        }
        // The worker's clock is the wall clock, which may be set back; nobody waits longer for it.
        match tokio::time::timeout_at(ends_at + ANSWER_GRACE, answer).await {
            Ok(Ok(QueryOutcome::Found(entries))) => Ok(Some(ReadOutcome::Found(entries))),
            Ok(Ok(QueryOutcome::TimedOut(entries))) => Ok(Some(ReadOutcome::TimedOut(entries))),
            Ok(Ok(QueryOutcome::Unavailable)) | Err(_) => Err(ServiceError::NotInTime),
            Ok(Ok(QueryOutcome::NotOwner)) => Ok(None),
            // The worker has stopped, or what it would show never becomes durable.
            Ok(Err(_)) => {
                self.log.health()?;
                Ok(None)
            }
        }
    }

    /// At most `limit` entries of one of the service's tables with keys after `after`, in order of
    /// key.
    ///
    /// # Errors
    /// [`ServiceError`] where no worker answers.
    pub async fn table_page(
        &self,
        table: TopicName,
        after: Bytes,
        limit: usize,
    ) -> Result<Vec<(Bytes, TableEntry)>, ServiceError> {
        let (respond, answer) = oneshot::channel();
        let page = TablePage { table, after, limit };
        self.owners.send_any(Command::TablePage { page, respond });
        match tokio::time::timeout(ANSWER_GRACE, answer).await {
            Ok(Ok(entries)) => Ok(entries),
            _ => Err(ServiceError::NotInTime),
        }
    }

    /// How the service is doing.
    pub async fn health(&self) -> Health {
        let mut health = Health::default();
        if let Err(error) = self.log.health() {
            health.missing.push(format!("{}: {error}", self.name()));
        }
        let workers = self.ask_workers(Instant::now() + ANSWER_GRACE).await;
        if workers.is_empty() {
            health.missing.push(format!("{}: no worker", self.name()));
        }
        let answering: Vec<WorkerHealth> = workers.iter().flatten().flatten().cloned().collect();
        for worker in workers {
            match worker {
                Some(Some(worker)) => self.add(worker, &mut health),
                Some(None) => health.missing.push(format!("{}: no assignment yet", self.name())),
                None => health.missing.push(format!("{}: a worker does not answer", self.name())),
            }
        }
        let tasks = tasks_missing(&answering);
        health.missing.extend(tasks.map(|tasks| format!("{}: {tasks}", self.name())));
        for Health { missing, degraded, information } in
            self.parts().iter().map(|part| part.health())
        {
            health.degraded.extend(missing.into_iter().chain(degraded));
            health.information.extend(information);
        }
        health
    }

    /// What each worker says of itself: `None` where it says nothing in time, `Some(None)` where it
    /// has no assignment yet.
    pub(crate) async fn ask_workers(&self, until: Instant) -> Vec<Option<Option<WorkerHealth>>> {
        let ask = |worker: WorkerAddress| {
            let (respond, answer) = oneshot::channel();
            worker.send(Command::Health { respond });
            answer
        };
        let asked: Vec<_> = self.owners.all().into_iter().map(ask).collect();
        let mut answers = Vec::with_capacity(asked.len());
        for answer in asked {
            let answer = tokio::time::timeout_at(until, answer).await;
            answers.push(answer.ok().and_then(Result::ok));
        }
        answers
    }

    fn add(&self, worker: WorkerHealth, health: &mut Health) {
        if let Some(trouble) = worker.trouble {
            health.missing.push(format!("{}: {trouble}", self.name()));
        }
        if !worker.tables_read {
            health.missing.push(format!("{}: tables not read yet", self.name()));
        }
        let bad = worker.bad_records.into_iter();
        health.degraded.extend(bad.map(|bad| format!("{}: {bad}", self.name())));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;
    use std::sync::mpsc::Receiver;

    use streams::Partition;

    use super::*;
    use crate::driver::fixtures::{COUNT, FaultyLog, TITLES, counter};

    /// A service whose workers are the test's; its topics have six partitions.
    fn service() -> ServiceHandle {
        ServiceHandle::new(counter(), Arc::new(FaultyLog::new(6)))
    }

    fn read(timeout: Duration) -> Read {
        let ada = Bytes::from_static(b"ada");
        Read {
            partition_key: ada.clone(),
            entries: vec![(COUNT.name(), ada)],
            after: None,
            until: None,
            timeout,
        }
    }

    const LONG: Duration = Duration::from_secs(10);

    fn entries() -> Vec<Option<Bytes>> {
        vec![Some(Bytes::from_static(b"7"))]
    }

    /// A worker that does nothing by itself, and its commands.
    fn worker(service: &ServiceHandle) -> (WorkerAddress, Receiver<Command>) {
        let (address, commands) = WorkerAddress::new(&Arc::new(OnceLock::new()));
        service.owners.add(&address);
        (address, commands)
    }

    fn owns_ada(service: &ServiceHandle, worker: &WorkerAddress) {
        service.owners.set(&[partition_for_key(b"ada", 6)], worker);
    }

    /// A worker that takes one command; `answer` answers it.
    fn worker_that(
        service: &ServiceHandle,
        answer: impl FnOnce(Command) + Send + 'static,
    ) -> WorkerAddress {
        let (address, commands) = worker(service);
        std::thread::spawn(move || commands.recv().map(answer));
        address
    }

    /// A worker that gives one answer to a query.
    fn answering(service: &ServiceHandle, outcome: QueryOutcome) -> WorkerAddress {
        worker_that(service, |command| {
            let Command::Query { query, respond } = command else { panic!("no query") };
            assert_eq!(query.entries, read(LONG).entries);
            respond.send(outcome).unwrap();
        })
    }

    #[tokio::test]
    async fn a_read_that_comes_to_a_former_owner_goes_on_to_the_next() {
        let service = service();
        let next = answering(&service, QueryOutcome::Found(entries()));
        let then = service.clone();
        let former = worker_that(&service, move |command| {
            owns_ada(&then, &next);
            let Command::Query { respond, .. } = command else { panic!("no query") };
            respond.send(QueryOutcome::NotOwner).unwrap();
        });
        owns_ada(&service, &former);

        assert_eq!(service.read(read(LONG)).await, Ok(ReadOutcome::Found(entries())));
    }

    #[tokio::test]
    async fn a_read_whose_worker_stops_goes_on_to_the_next() {
        let service = service();
        let next = answering(&service, QueryOutcome::Found(entries()));
        let then = service.clone();
        let stops = worker_that(&service, move |command| {
            owns_ada(&then, &next);
            drop(command);
        });
        owns_ada(&service, &stops);

        assert_eq!(service.read(read(LONG)).await, Ok(ReadOutcome::Found(entries())));
    }

    #[tokio::test]
    async fn a_read_waits_for_the_first_owner() {
        let service = service();
        let owner = answering(&service, QueryOutcome::Found(entries()));

        let (found, ()) = tokio::join!(service.read(read(LONG)), async {
            owns_ada(&service, &owner);
        });

        assert_eq!(found, Ok(ReadOutcome::Found(entries())));
    }

    #[tokio::test]
    async fn a_read_says_when_its_condition_did_not_hold_in_time() {
        let service = service();
        owns_ada(&service, &answering(&service, QueryOutcome::TimedOut(entries())));

        assert_eq!(service.read(read(LONG)).await, Ok(ReadOutcome::TimedOut(entries())));
    }

    #[tokio::test]
    async fn nothing_certain_in_time_is_an_error() {
        let without_owner = service();
        let read_now = without_owner.read(read(Duration::ZERO)).await;
        assert_eq!(read_now, Err(ServiceError::NotInTime));

        let restoring = service();
        owns_ada(&restoring, &answering(&restoring, QueryOutcome::Unavailable));
        assert_eq!(restoring.read(read(LONG)).await, Err(ServiceError::NotInTime));
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_does_not_answer_is_given_up() {
        let service = service();
        let (silent, _commands) = worker(&service);
        owns_ada(&service, &silent);

        assert_eq!(service.read(read(LONG)).await, Err(ServiceError::NotInTime));
        let page = service.table_page(TITLES.name(), Bytes::new(), 1).await;
        assert_eq!(page, Err(ServiceError::NotInTime));
        assert_eq!(service.health().await.missing, ["counter: a worker does not answer"]);
    }

    #[tokio::test]
    async fn a_page_is_answered_by_a_worker_that_owns_nothing() {
        let service = service();
        worker_that(&service, |command| {
            let Command::TablePage { page, respond } = command else { panic!("no page") };
            assert_eq!((page.table, page.limit), (TITLES.name(), 3));
            respond.send(Vec::new()).unwrap();
        });

        let page = service.table_page(TITLES.name(), Bytes::new(), 3).await;
        assert_eq!(page, Ok(Vec::new()));
    }

    /// How a service is whose workers say this.
    async fn health(workers: &[Option<WorkerHealth>]) -> Health {
        let service = service();
        for health in workers.iter().cloned() {
            worker_that(&service, |command| {
                let Command::Health { respond } = command else { panic!("another question") };
                respond.send(health).unwrap();
            });
        }
        service.health().await
    }

    fn running(assigned: &[u32]) -> WorkerHealth {
        let assigned: Vec<_> = assigned.iter().copied().map(Partition).collect();
        let running = assigned.clone();
        WorkerHealth { assigned, running, tables_read: true, ..WorkerHealth::default() }
    }

    #[tokio::test]
    async fn a_service_is_ready_when_its_workers_run_what_they_own_though_others_own_more() {
        let workers = [Some(running(&[0, 1])), Some(running(&[]))];
        assert_eq!(health(&workers).await, Health::default());
    }

    #[tokio::test]
    async fn a_service_is_not_ready_while_anything_is_missing() {
        let all = || running(&[0, 1]);
        let starting = WorkerHealth { running: vec![Partition(1)], ..all() };
        let reading = WorkerHealth { tables_read: false, ..all() };
        let failing = WorkerHealth { trouble: Some("no broker".to_owned()), ..all() };
        for (worker, missing) in [
            (None, "counter: no assignment yet"),
            (
                Some(starting),
                "counter: 3 of 4 tasks run; partition 0 does not know its positions yet",
            ),
            (Some(reading), "counter: tables not read yet"),
            (Some(failing), "counter: no broker"),
        ] {
            assert_eq!(health(&[Some(all()), worker]).await.missing, [missing]);
        }
        assert_eq!(health(&[]).await.missing, ["counter: no worker"]);
    }

    #[tokio::test]
    async fn bad_records_leave_a_service_ready_but_degraded() {
        let worker = WorkerHealth { bad_records: vec!["visits/7".to_owned()], ..running(&[0]) };
        let degraded = vec!["counter: visits/7".to_owned()];
        assert_eq!(health(&[Some(worker)]).await, Health { degraded, ..Health::default() });
    }
}
