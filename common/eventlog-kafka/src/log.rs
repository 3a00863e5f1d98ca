//! A log whose topics are on Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use eventlog::{
    Appended, BoxFuture, Error as LogError, Log, Membership, RequestLog, TopicConfig, Waker,
};
use streams::{
    CommitPosition, ConsumedRecord, Fetched, Offset, ProducedRecord, TopicName, TopicPartition,
};

use crate::changelog::Service;
use crate::ends::Ends;
use crate::error::{Error, unreachable};
use crate::outside::Outside;
use crate::purge::Purger;
use crate::requests::{Broker, Requests};
use crate::session::KafkaSession;
use crate::settings::Settings;
use crate::slots::Slot;
use crate::topics;

/// A log whose topics are on Kafka. Clones are the same log.
#[derive(Clone)]
pub struct KafkaLog {
    pub(crate) shared: Arc<Shared>,
}

/// What a log and its sessions share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) cluster: String,
    pub(crate) ends: Arc<Ends>,
    pub(crate) broker: Arc<Broker>,
    pub(crate) slot: Slot,
    topics: BTreeSet<TopicName>,
    services: Vec<Service>,
    requests: Requests,
    _purger: Purger,
    /// Started when somebody reads from outside.
    outside: Mutex<Option<Outside>>,
    /// Started when somebody follows topics: apart from the other reads, since each goes on where
    /// it was.
    follower: Mutex<Option<Outside>>,
    workers: Mutex<BTreeMap<&'static str, BTreeSet<u32>>>,
}

/// A number that no other living session of a group in this process has. The lowest that is free,
/// so that a restart gives the same ones.
pub(crate) struct WorkerNumber {
    shared: Arc<Shared>,
    group: &'static str,
    pub(crate) number: u32,
}

impl WorkerNumber {
    fn take(shared: &Arc<Shared>, group: &'static str) -> Self {
        let mut workers = shared.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = workers.entry(group).or_default();
        let number = (0..).find(|number| !taken.contains(number)).unwrap_or_default();
        taken.insert(number);
        WorkerNumber { shared: Arc::clone(shared), group, number }
    }
}

impl Drop for WorkerNumber {
    fn drop(&mut self) {
        let mut workers = self.shared.workers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = workers.get_mut(self.group) {
            taken.remove(&self.number);
        }
    }
}

impl KafkaLog {
    /// Waits for a broker, creates the topics and changelogs that are missing, and takes a state
    /// slot. `services` are those whose sessions will join.
    ///
    /// # Errors
    /// [`Error`] where no broker answers in time, a topic is there in another way than it has to
    /// be, or the state directory cannot be used.
    pub fn connect(
        settings: Settings,
        topics: &[TopicConfig],
        services: &[Service],
    ) -> Result<Self, Error> {
        settings.check()?;
        let properties = settings.passed_over();
        if !properties.is_empty() {
            tracing::info!(?properties, "transactions are made without these properties");
        }
        let cluster = topics::prepare(&settings, topics, services)?;
        let ends = Arc::new(Ends::new(&settings)?);
        let broker = Arc::new(Broker::default());
        let changelogs = services.iter().map(|service| service.changelog);
        let shared = Shared {
            slot: Slot::take(&settings.state_directory)?,
            cluster,
            topics: topics.iter().map(|topic| topic.name).chain(changelogs).collect(),
            services: services.to_vec(),
            requests: Requests::new(&settings, Arc::clone(&broker))?,
            outside: Mutex::default(),
            follower: Mutex::default(),
            ends,
            broker,
            _purger: Purger::start(&settings, topics, services)?,
            workers: Mutex::default(),
            settings,
        };
        Ok(KafkaLog { shared: Arc::new(shared) })
    }
}

impl Shared {
    /// The reader in this place, started where there is none yet.
    fn reader_in(&self, place: &Mutex<Option<Outside>>) -> Result<Outside, Error> {
        let mut reader = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reader) = reader.as_ref() {
            return Ok(reader.clone());
        }
        let started = Outside::start(&self.settings, Arc::clone(&self.ends))?;
        Ok(reader.insert(started).clone())
    }

    fn check_topic(&self, topic: TopicName) -> Result<(), LogError> {
        if self.topics.contains(&topic) { Ok(()) } else { Err(LogError::UnknownTopic(topic)) }
    }
}

impl Log for KafkaLog {
    type Session = KafkaSession;

    fn join(&self, membership: Membership, waker: Waker) -> Result<KafkaSession, LogError> {
        for topic in &membership.sources {
            self.shared.check_topic(*topic)?;
        }
        let service = self.shared.services.iter().find(|known| known.group == membership.group);
        let service = service.ok_or_else(|| {
            unreachable(format!("{} is none of the services that were announced", membership.group))
        })?;
        let worker = WorkerNumber::take(&self.shared, membership.group);
        KafkaSession::join(&self.shared, service, membership, (worker, waker))
            .map_err(LogError::from)
    }
}

impl RequestLog for KafkaLog {
    fn append(&self, record: ProducedRecord) -> BoxFuture<'_, Result<Appended, LogError>> {
        Box::pin(async move {
            self.shared.check_topic(record.destination.topic)?;
            self.shared.requests.append(&record)?.await.map_err(unreachable)?
        })
    }

    /// What was acknowledged is durable.
    fn durable(&self, _: CommitPosition) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn read(
        &self,
        of: TopicPartition,
        from: Offset,
        records_max: usize,
    ) -> BoxFuture<'_, Result<Vec<ConsumedRecord>, LogError>> {
        Box::pin(async move {
            self.shared.check_topic(of.topic)?;
            let reader = self.shared.reader_in(&self.shared.outside)?;
            reader.read((of, from), records_max).await
        })
    }

    fn follow<'a>(
        &'a self,
        from: &'a [(TopicPartition, Offset)],
        records_max: usize,
    ) -> BoxFuture<'a, Result<Fetched, LogError>> {
        Box::pin(async move {
            for (of, _) in from {
                self.shared.check_topic(of.topic)?;
            }
            let reader = self.shared.reader_in(&self.shared.follower)?;
            reader.follow(from, records_max).await
        })
    }

    fn ends<'a>(
        &'a self,
        of: &'a [TopicPartition],
    ) -> BoxFuture<'a, Result<Vec<Offset>, LogError>> {
        Box::pin(async move {
            let reader = self.shared.reader_in(&self.shared.outside)?;
            reader.ends(of).await
        })
    }

    fn health(&self) -> Result<(), LogError> {
        if self.shared.broker.is_there() {
            Ok(())
        } else {
            Err(unreachable(format!("no broker at {}", self.shared.settings.bootstrap_servers)))
        }
    }

    fn partitions(&self) -> u32 {
        self.shared.settings.partitions
    }
}

impl fmt::Debug for KafkaLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("KafkaLog")
            .field("bootstrap_servers", &self.shared.settings.bootstrap_servers)
            .field("slot", &self.shared.slot.directory)
            .finish_non_exhaustive()
    }
}
