//! Transactions: two producers that take turns.
//!
//! A producer whose transaction has just ended has to wait where the broker has not written its
//! markers yet. With two of them in turn nobody waits; the other begins only after the first one's
//! transaction has ended, so their order is that of the batches.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
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
use tokio::time::error::Elapsed;

use crate::error::unreachable;
use crate::records::{offset, partition, sent};
use crate::settings::Settings;

/// The most bytes of a partition that go in one piece; a broker takes 1 MiB by default.
const PIECE_BYTES_MAX: usize = 900_000;
/// How long to wait at first before asking again for what the broker is not ready for.
const RETRY_PAUSE: Duration = Duration::from_millis(2);
/// How long offsets may take. The client asks again and again where the broker has heard of another
/// epoch of the member, but the epoch that it asks with stays the same.
const OFFSETS_WAIT_MAX: Duration = Duration::from_millis(500);

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
}

/// The producers of one session.
pub(crate) struct Producers {
    pair: [TransactionalProducer; 2],
    turn: usize,
    changelog: TopicName,
    timeout: Duration,
    /// Whatever the producers do happens in here, on the thread of who calls and while they wait.
    runtime: Runtime,
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
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(unreachable)?;
        let opened = within(&runtime, settings.request_timeout, async {
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
        Ok(Producers { pair, turn: 0, changelog, timeout, runtime })
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
        let unanswered = |_| Failure::Unknown("no answer in time".to_owned());
        let written = within(&self.runtime, self.timeout, transaction).map_err(unanswered)??;
        Ok(ends(self.changelog, &written))
    }
}

impl Drop for Producers {
    /// Nobody waits for what may be under way: it was told to be unknown.
    fn drop(&mut self) {
        let at_once = || CloseOptions::new().timeout(Duration::ZERO);
        self.runtime.block_on(async {
            for producer in &self.pair {
                if let Err(error) = producer.close_with(at_once()).await {
                    tracing::debug!(%error, "a producer was closed in the middle of something");
                }
            }
        });
    }
}

fn within<T>(
    runtime: &Runtime,
    time: Duration,
    what: impl Future<Output = T>,
) -> Result<T, Elapsed> {
    runtime.block_on(async { tokio::time::timeout(time, what).await })
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
        let offsets = producer.send_offsets(positions.offsets, positions.member);
        let taken = tokio::time::timeout(OFFSETS_WAIT_MAX, offsets).await;
        taken.unwrap_or_else(|_| Err(KrafkaError::timeout("taking the group's offsets")))?;
    }
    let mut written = Vec::with_capacity(records.len());
    for delivery in deliveries {
        let record = delivery.await?;
        if !record.is_success() {
            return Err(KrafkaError::illegal_state("a record was written who knows where"));
        }
        written.push(record);
    }
    producer.commit().await?;
    Ok(written)
}

/// Ends a transaction that was not committed, where that is certain.
async fn abort(producer: &TransactionalProducer, error: &KrafkaError) -> Failure {
    let reason = error.to_string();
    // Fatal, which does not prove a newer owner: so it is when the broker ended a transaction that
    // was open for too long. Or about to be committed, with no answer.
    if producer.state() != TransactionState::Open {
        return Failure::Unknown(reason);
    }
    match producer.abort().await {
        Ok(()) if is_of_no_member(error) => Failure::NotMember,
        Ok(()) => Failure::Aborted(reason),
        Err(error) => Failure::Unknown(format!("{reason}, and then {error}")),
    }
}

fn is_of_no_member(error: &KrafkaError) -> bool {
    let codes = [ErrorCode::UnknownMemberId, ErrorCode::FencedMemberEpoch];
    matches!(error, KrafkaError::Broker { code, .. } if codes.contains(code))
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
