//! Transactions: two producers that take turns.
//!
//! A producer whose transaction has just ended has to wait where the broker has not written its
//! markers yet. With two of them in turn nobody waits; the other begins only after the first one's
//! transaction has ended, so their order is that of the batches.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::time::Duration;

use krafka::consumer::ConsumerGroupMetadata;
use krafka::error::ErrorCode;
use krafka::producer::{
    RecordMetadata, TopicPartitionOffset, TransactionState, TransactionVersion,
    TransactionalProducer,
};
use krafka::{CloseOptions, Kafka, KrafkaError};
use streams::{Offset, Partition, ProducedRecord, TopicName};
use tokio::runtime::Runtime;

use crate::error::unreachable;
use crate::records::{offset, partition, sent};
use crate::settings::Settings;

/// The most bytes of a partition that go in one piece; a broker takes 1 MiB by default.
const PIECE_BYTES_MAX: usize = 900_000;
/// How long to wait at first before asking again for what the broker is not ready for.
const RETRY_PAUSE: Duration = Duration::from_millis(2);
/// How often to look whether the member is still who it was. Where the broker knows another epoch
/// of it, the client asks again and again, with the one from before.
const LOOK: Duration = Duration::from_millis(50);
/// How many transactions in a row a producer aborts at most. One that has given up may go on
/// beginning and aborting transactions for ever.
const ABORTS_MAX: u32 = 5;
/// How long it may take to close producers that nobody waits for.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(1);

/// Why a transaction does not hold, or may not.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It was aborted.
    Aborted(String),
    /// It was aborted: the session is no member of its group any more.
    NotMember,
    /// It is not known what became of it. Only new producers tell: they end it one way or the
    /// other.
    Unknown(String),
}

/// What a transaction writes besides its records.
pub(crate) struct Positions<'a> {
    pub(crate) offsets: &'a [TopicPartitionOffset],
    pub(crate) member: &'a ConsumerGroupMetadata,
    /// Whether the member is still who it was.
    pub(crate) is_current: &'a dyn Fn() -> bool,
}

/// The producers of one session.
pub(crate) struct Producers {
    pair: [TransactionalProducer; 2],
    turn: usize,
    /// How many transactions in a row each has aborted.
    aborts: [u32; 2],
    changelog: TopicName,
    timeout: Duration,
    runtime: Within,
}

impl Producers {
    /// Initialises both, which ends what whoever had these ids before left open. `id` is unique
    /// among living sessions and the same after a restart.
    pub(crate) fn open(
        settings: &Settings,
        id: &str,
        changelog: TopicName,
    ) -> Result<Self, eventlog::Error> {
        let client = settings.transactions()?;
        let runtime = Within::new().map_err(unreachable)?;
        // Whatever takes too long says so before that.
        let opened = runtime.wait(2 * settings.request_timeout, async {
            let kafka = client.connect().await?;
            let open = |number: usize| producer(&kafka, settings, format!("{id}-{number}"));
            tokio::try_join!(open(0), open(1))
        });
        let (first, second) = opened.map_err(unreachable)?.map_err(unreachable)?;
        if first.transaction_version() == TransactionVersion::V1 {
            tracing::warn!(
                "the cluster's feature transaction.version is below 2: transactions are slower"
            );
        }
        let (pair, timeout) = ([first, second], settings.commit_timeout);
        Ok(Producers { pair, turn: 0, aborts: [0, 0], changelog, timeout, runtime })
    }

    /// Writes records and positions as one transaction. Gives the offset after the last record of
    /// each changelog partition that it wrote to.
    pub(crate) fn commit(
        &mut self,
        records: &[ProducedRecord],
        positions: &Positions<'_>,
    ) -> Result<BTreeMap<Partition, Offset>, Failure> {
        if records.is_empty() && positions.offsets.is_empty() {
            // A transaction of nothing never began, and the broker refuses to end it.
            return Ok(BTreeMap::new());
        }
        self.turn ^= 1;
        let transaction = transaction(&self.pair[self.turn], records, positions);
        let outcome = self.runtime.wait(self.timeout, transaction);
        let outcome = outcome.unwrap_or_else(|late| Err(Failure::Unknown(late)));
        self.count_aborts(&outcome);
        match outcome {
            Err(Failure::Aborted(reason)) if self.aborts[self.turn] > ABORTS_MAX => {
                Err(Failure::Unknown(format!("aborted again and again: {reason}")))
            }
            outcome => outcome.map(|written| ends(self.changelog, &written)),
        }
    }

    fn count_aborts<T>(&mut self, outcome: &Result<T, Failure>) {
        let aborts = &mut self.aborts[self.turn];
        *aborts = if outcome.is_ok() { 0 } else { *aborts + 1 };
    }
}

impl Drop for Producers {
    /// Nobody waits for what may be under way: it was told to be unknown.
    fn drop(&mut self) {
        let pair = &self.pair;
        let closed = self.runtime.wait(CLOSE_TIME_MAX, async {
            for producer in pair {
                let at_once = CloseOptions::new().timeout(Duration::ZERO);
                if let Err(error) = producer.close_with(at_once).await {
                    tracing::debug!(%error, "a producer was closed in the middle of something");
                }
            }
        });
        if let Err(error) = closed {
            tracing::debug!(error, "producers were left behind");
        }
    }
}

/// Whatever producers do happens in here, on the thread of who waits for it and while they wait.
struct Within(Option<Runtime>);

impl Within {
    fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Within(Some(runtime)))
    }

    /// Waits for so long at most, and says so where that was not enough.
    fn wait<T>(&self, time: Duration, what: impl Future<Output = T>) -> Result<T, String> {
        let late = || format!("no answer within {} s", time.as_secs_f32());
        let runtime = self.0.as_ref().ok_or_else(late)?;
        runtime.block_on(async { tokio::time::timeout(time, what).await }).map_err(|_| late())
    }
}

impl Drop for Within {
    /// A look-up of a name may hang.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

async fn producer(
    kafka: &Kafka,
    settings: &Settings,
    id: String,
) -> Result<TransactionalProducer, KrafkaError> {
    let producer = kafka
        .producer()
        .transaction_timeout(settings.transaction_timeout)
        .delivery_timeout(settings.transaction_timeout)
        .max_block(settings.request_timeout)
        .linger(Duration::ZERO)
        .batch_size(PIECE_BYTES_MAX)
        .retry_backoff(RETRY_PAUSE)
        .metrics_push(false);
    producer.build_transactional(id).await
}

async fn transaction(
    producer: &TransactionalProducer,
    records: &[ProducedRecord],
    positions: &Positions<'_>,
) -> Result<Vec<RecordMetadata>, Failure> {
    producer.begin().map_err(|error| Failure::Unknown(error.to_string()))?;
    match write(producer, records, positions).await {
        Ok(written) => Ok(written),
        Err(error) => Err(abort(producer, &error).await),
    }
}

async fn write(
    producer: &TransactionalProducer,
    records: &[ProducedRecord],
    positions: &Positions<'_>,
) -> Result<Vec<RecordMetadata>, KrafkaError> {
    let mut deliveries = Vec::with_capacity(records.len());
    for record in records {
        deliveries.push(producer.enqueue(sent(record)).await?);
    }
    // While the records are on their way.
    if !positions.offsets.is_empty() {
        tokio::select! {
            taken = producer.send_offsets(positions.offsets, positions.member) => taken?,
            () = becomes_outdated(positions) => {
                return Err(KrafkaError::timeout("taking offsets of a member that has changed"));
            }
        }
    }
    let mut written = Vec::with_capacity(records.len());
    for delivery in deliveries {
        let record = delivery.await?;
        if !record.is_success() {
            let reason = "the broker had a record already, and does not tell its offset";
            return Err(KrafkaError::illegal_state(reason));
        }
        written.push(record);
    }
    producer.commit().await?;
    Ok(written)
}

/// Ends when the member is another than the one that offsets are sent for.
async fn becomes_outdated(positions: &Positions<'_>) {
    loop {
        // librdkafka calls nobody when a member gets another epoch: one has to look.
        tokio::time::sleep(LOOK).await;
        if !(positions.is_current)() {
            return;
        }
    }
}

/// Ends a transaction that was not committed, where that is certain.
async fn abort(producer: &TransactionalProducer, error: &KrafkaError) -> Failure {
    let reason = error.to_string();
    // Fatal, which does not prove a newer owner: so it is when the broker ended a transaction that
    // was open for too long. Or about to be committed, with no answer.
    if producer.state() != TransactionState::Open || error.is_fatal() {
        return Failure::Unknown(reason);
    }
    match producer.abort().await {
        Ok(()) if is_of_no_member(error) => Failure::NotMember,
        Ok(()) => Failure::Aborted(reason),
        Err(error) => Failure::Unknown(format!("{reason}, and then {error}")),
    }
}

fn is_of_no_member(error: &KrafkaError) -> bool {
    matches!(error, KrafkaError::Broker { code: ErrorCode::UnknownMemberId, .. })
}

/// The offset after the last record of each of a topic's partitions.
fn ends(of: TopicName, written: &[RecordMetadata]) -> BTreeMap<Partition, Offset> {
    let mut ends: BTreeMap<Partition, Offset> = BTreeMap::new();
    for record in written.iter().filter(|record| record.topic == of.as_str()) {
        if let Some((partition, offset)) = partition(record.partition).zip(offset(record.offset)) {
            let end = ends.entry(partition).or_default();
            *end = (*end).max(offset.next());
        }
    }
    ends
}

impl fmt::Debug for Producers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Producers").field("turn", &self.turn).finish_non_exhaustive()
    }
}
