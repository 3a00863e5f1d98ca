//! Transactions: two producers that take turns.
//!
//! A producer whose transaction has just ended waits a fixed 20 ms when the broker has not written
//! its markers yet. With two of them in turn nobody waits; the other begins only after the first
//! one's transaction has ended, so their order is that of the batches.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, TopicPartitionList};
use streams::{Offset, Partition, ProducedRecord, TopicName};

use crate::clock::Deadline;
use crate::error::{Error, unreachable};
use crate::records::{offset, partition, produced};
use crate::settings::Settings;

/// Why a transaction does not hold, or may not.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was aborted.
    Aborted(String),
    /// It was aborted: the session is no member of its group any more.
    NotMember,
    /// It is not known what became of it. The producers are of no use any more: librdkafka lacks
    /// KIP-890, and a late answer could end a later transaction of the same producer.
    Unknown(String),
}

/// What a transaction writes besides its records.
pub(crate) struct Positions<'a> {
    pub(crate) offsets: &'a TopicPartitionList,
    pub(crate) member: &'a ConsumerGroupMetadata,
}

type Client = ThreadedProducer<Deliveries>;

/// The producers of one session.
pub(crate) struct Producers {
    pair: [Client; 2],
    turn: usize,
    timeout: Duration,
}

impl Producers {
    /// Initialises both, which ends what whoever had these ids before left open. `id` is unique
    /// among living sessions and the same after a restart.
    pub(crate) fn open(
        settings: &Settings,
        id: &str,
        changelog: TopicName,
    ) -> Result<Self, eventlog::Error> {
        let start = |number: usize| -> Result<Client, eventlog::Error> {
            let deliveries = Deliveries::of(changelog);
            let config = settings.transactions(&format!("{id}-{number}"));
            let client: Client = config.create_with_context(deliveries).map_err(Error::client)?;
            // Without a connection it would look for its coordinator only every 500 ms.
            client
                .client()
                .fetch_metadata(Some(changelog.as_str()), settings.request_timeout)
                .map_err(unreachable)?;
            client.init_transactions(settings.request_timeout).map_err(unreachable)?;
            Ok(client)
        };
        // Each waits for the broker several times over: side by side, half as long.
        let (first, second) = std::thread::scope(|scope| {
            let second = scope.spawn(|| start(1));
            let ended = |_| Err(unreachable("the producer's thread ended"));
            (start(0), second.join().unwrap_or_else(ended))
        });
        Ok(Producers { pair: [first?, second?], turn: 0, timeout: settings.commit_timeout })
    }

    /// Writes records and positions as one transaction. Gives the offset after the last record of
    /// each changelog partition that it wrote to.
    pub(crate) fn commit(
        &mut self,
        records: &[ProducedRecord],
        positions: &Positions<'_>,
    ) -> Result<BTreeMap<Partition, Offset>, Failure> {
        self.turn ^= 1;
        let client = &self.pair[self.turn];
        let deadline = Deadline::after(self.timeout);
        let unknown = |error: KafkaError| Failure::Unknown(error.to_string());
        client.begin_transaction().map_err(unknown)?;
        if let Err(trouble) = write(client, records, positions, deadline) {
            return Err(abort(client, trouble, deadline));
        }
        match client.commit_transaction(deadline.left()) {
            Ok(()) => Ok(std::mem::take(&mut client.context().lock().changelog_ends)),
            Err(error) => Err(match Trouble::of(error) {
                Trouble::Unsure(reason) => Failure::Unknown(reason),
                trouble => abort(client, trouble, deadline),
            }),
        }
    }
}

/// What was wrong with a transaction that was not committed.
#[derive(Debug)]
enum Trouble {
    /// It can be aborted.
    Refused(String),
    /// It can be aborted, and no other would fare better.
    NotMember,
    /// Only new producers tell. So do all fatal errors; `Fenced` is among them when the broker
    /// ended a transaction that was open for too long, so it does not prove a newer owner.
    Unsure(String),
}

impl Trouble {
    fn of(error: KafkaError) -> Self {
        let KafkaError::Transaction(cause) = &error else {
            return Trouble::Unsure(error.to_string());
        };
        match cause.code() {
            _ if cause.is_fatal() || !cause.txn_requires_abort() => {
                Trouble::Unsure(error.to_string())
            }
            RDKafkaErrorCode::UnknownMemberId | RDKafkaErrorCode::FencedMemberEpoch => {
                Trouble::NotMember
            }
            _ => Trouble::Refused(error.to_string()),
        }
    }

    /// Of a record that was not written.
    fn of_record(error: KafkaError) -> Self {
        match error.rdkafka_error_code() {
            Some(
                RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition
                | RDKafkaErrorCode::InvalidTimestamp
                | RDKafkaErrorCode::PolicyViolation
                | RDKafkaErrorCode::TopicAuthorizationFailed,
            ) => Trouble::Refused(error.to_string()),
            _ => Trouble::Unsure(error.to_string()),
        }
    }
}

fn write(
    client: &Client,
    records: &[ProducedRecord],
    positions: &Positions<'_>,
    deadline: Deadline,
) -> Result<(), Trouble> {
    client.context().lock().reset();
    for (sent, record) in records.iter().enumerate() {
        send(client, record, sent, deadline)?;
    }
    // While the records are on their way.
    client
        .send_offsets_to_transaction(positions.offsets, positions.member, deadline.left())
        .map_err(Trouble::of)?;
    client.context().wait_for(records.len(), deadline)?;
    // The last delivery was counted a moment before the client does so itself. Committing while a
    // message counts as under way costs 100 ms.
    while client.in_flight_count() > 0 && !deadline.has_passed() {
        std::thread::yield_now();
    }
    Ok(())
}

/// Hands a record over, after some of those before it have been delivered where there is no room.
fn send(
    client: &Client,
    record: &ProducedRecord,
    sent: usize,
    deadline: Deadline,
) -> Result<(), Trouble> {
    let mut refused = produced(record, ());
    loop {
        match client.send(refused) {
            Ok(()) => return Ok(()),
            Err((error, record)) => {
                let is_full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                if !is_full {
                    return Err(Trouble::of_record(error));
                }
                client.context().wait_for(sent, deadline)?;
                refused = record;
            }
        }
    }
}

fn abort(client: &Client, trouble: Trouble, deadline: Deadline) -> Failure {
    let failure = match trouble {
        Trouble::Unsure(reason) => return Failure::Unknown(reason),
        Trouble::NotMember => Failure::NotMember,
        Trouble::Refused(reason) => Failure::Aborted(reason),
    };
    match client.abort_transaction(deadline.left()) {
        Ok(()) => failure,
        Err(error) => Failure::Unknown(error.to_string()),
    }
}

/// Counts the records that have arrived.
struct Deliveries {
    changelog: TopicName,
    state: Mutex<Delivered>,
    news: Condvar,
}

#[derive(Default)]
struct Delivered {
    count: usize,
    /// How many somebody waits for.
    awaited: Option<usize>,
    changelog_ends: BTreeMap<Partition, Offset>,
    error: Option<KafkaError>,
}

impl Delivered {
    fn reset(&mut self) {
        *self = Delivered::default();
    }
}

impl Deliveries {
    fn of(changelog: TopicName) -> Self {
        Deliveries { changelog, state: Mutex::default(), news: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Delivered> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for(&self, count: usize, deadline: Deadline) -> Result<(), Trouble> {
        let mut state = self.lock();
        state.awaited = Some(count);
        let wait = self.news.wait_timeout_while(state, deadline.left(), |state| {
            state.count < count && state.error.is_none()
        });
        let mut state = wait.unwrap_or_else(PoisonError::into_inner).0;
        state.awaited = None;
        match state.error.take() {
            Some(error) => Err(Trouble::of_record(error)),
            None if state.count < count => {
                Err(Trouble::Unsure("records were not acknowledged in time".to_owned()))
            }
            None => Ok(()),
        }
    }
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let mut state = self.lock();
        state.count += 1;
        match result {
            Ok(message) => {
                let place = partition(message.partition()).zip(offset(message.offset()));
                if let Some((partition, offset)) = place
                    && message.topic() == self.changelog.as_str()
                {
                    let end = state.changelog_ends.entry(partition).or_default();
                    *end = (*end).max(offset.next());
                }
            }
            Err((error, _)) => {
                state.error.get_or_insert_with(|| error.clone());
            }
        }
        let is_awaited = state.awaited.is_some_and(|awaited| state.count >= awaited);
        if is_awaited || state.error.is_some() {
            self.news.notify_all();
        }
    }
}

impl std::fmt::Debug for Producers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Producers").field("turn", &self.turn).finish_non_exhaustive()
    }
}
