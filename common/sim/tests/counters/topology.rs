//! Three small services: weights are set, clicks are counted with the weight of their counter, and
//! totals are mirrored.

use std::sync::Arc;

use bytes::Bytes;
use eventlog::{Retention, TopicConfig};
use serde::{Deserialize, Serialize};
use streams::{
    Context, DecodeError, Key, KeyRange, ProcessError, Record, SessionStore, SessionWindows, Store,
    Tick, Topic, TopicName, Topology, TopologyBuilder, TopologyError,
};

/// The name of a counter, or of a click.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id(pub(crate) String);

impl Key for Id {
    fn encode(&self) -> Bytes {
        Bytes::copy_from_slice(self.0.as_bytes())
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let text = std::str::from_utf8(bytes);
        let text = text.map_err(|error| DecodeError::Malformed(error.to_string()))?;
        Ok(Id(text.to_owned()))
    }
}

/// What is asked of a counter. Each click has an id, unique in the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Click {
    pub id: String,
}

/// How a counter stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Count {
    /// How often it changed.
    pub version: u32,
    /// How many clicks it has taken.
    pub clicks: u32,
    /// How many of them had no weight.
    pub refused: u32,
    /// How many of them were closed by the clock.
    pub closed: u32,
    pub total: u64,
}

/// What became of a click.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub weight: Option<u64>,
    /// The version of the counter after it.
    pub version: u32,
}

/// A click that is to be closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Open {
    pub counter: String,
    pub deadline: u64,
}

pub(crate) const WEIGHT_REQUESTS: Topic<Id, u64> = Topic::new("weight-requests");
pub(crate) const WEIGHTS: Topic<Id, u64> = Topic::new("weights");
pub(crate) const CLICKS: Topic<Id, Click> = Topic::new("clicks");
pub(crate) const TOTALS: Topic<Id, Count> = Topic::new("totals");
const DEAD_LETTERS: TopicName = TopicName::new("dead-letters");

pub(crate) const KNOWN_WEIGHTS: Store<Id, u64> = Store::new("known-weights");
pub(crate) const COUNTS: Store<Id, Count> = Store::new("counts");
pub(crate) const OUTCOMES: Store<Id, Outcome> = Store::new("outcomes");
pub(crate) const OPEN: Store<Id, Open> = Store::new("open");
pub(crate) const MIRROR: Store<Id, Count> = Store::new("mirror");
const BUSY: SessionStore<Id, u32> =
    SessionStore::new("busy", SessionWindows { gap_ms: 200, retention_ms: 5_000 });

/// The index of each service.
pub(crate) const WEIGHER: usize = 0;
pub(crate) const COUNTER: usize = 1;

/// How many ticks a click is open.
pub(crate) const OPEN_TICKS: u64 = 3;

pub(crate) fn topics() -> Vec<TopicConfig> {
    let topic = |name, retention| TopicConfig { name, retention };
    vec![
        topic(WEIGHT_REQUESTS.name(), Retention::Forever),
        topic(WEIGHTS.name(), Retention::Compacted),
        topic(CLICKS.name(), Retention::Forever),
        topic(TOTALS.name(), Retention::UntilConsumed { by: &["mirror"] }),
        topic(DEAD_LETTERS, Retention::Forever),
    ]
}

pub(crate) fn services() -> Vec<Arc<Topology>> {
    let all = [weigher(), counter(), mirror()].into_iter();
    all.map(|topology| Arc::new(topology.expect("the topologies are sound"))).collect()
}

fn weigher() -> Result<Topology, TopologyError> {
    TopologyBuilder::new("weigher", DEAD_LETTERS)
        .requests(&WEIGHT_REQUESTS, "set-weight", |context, Record { key, value, .. }| {
            context.put(&KNOWN_WEIGHTS, &key, &value)?;
            context.forward(&WEIGHTS, &key, &value)
        })
        .with_store(&KNOWN_WEIGHTS)
        .to(&WEIGHTS)
        .build()
}

fn counter() -> Result<Topology, TopologyError> {
    TopologyBuilder::new("counter", DEAD_LETTERS)
        .table(&WEIGHTS)
        .requests(&CLICKS, "count", count)
        .with_store(&COUNTS)
        .with_store(&OUTCOMES)
        .with_store(&OPEN)
        .join(&WEIGHTS)
        .to(&TOTALS)
        .timer(&OPEN, "close", close)
        .with_store(&COUNTS)
        .to(&TOTALS)
        .build()
}

fn count(context: &mut Context<'_>, click: Record<Id, Click>) -> Result<(), ProcessError> {
    let Record { key, value, .. } = click;
    let weight = context.lookup(&WEIGHTS, &key)?;
    if weight.is_none() {
        context.require_current_tables()?;
    }
    let mut count = context.get(&COUNTS, &key)?.unwrap_or_default();
    count.version += 1;
    count.clicks += 1;
    count.refused += u32::from(weight.is_none());
    count.total += weight.unwrap_or_default();
    context.put(&COUNTS, &key, &count)?;
    let id = Id(value.id);
    context.put(&OUTCOMES, &id, &Outcome { weight, version: count.version })?;
    let deadline = context.ticks() + OPEN_TICKS;
    context.put(&OPEN, &id, &Open { counter: key.0.clone(), deadline })?;
    context.forward(&TOTALS, &key, &count)
}

fn close(context: &mut Context<'_>, tick: Tick) -> Result<(), ProcessError> {
    for (id, open) in context.range(&OPEN, &KeyRange::all(), usize::MAX)? {
        if open.deadline > tick.number {
            continue;
        }
        context.delete(&OPEN, &id)?;
        let counter = Id(open.counter);
        let mut count = context.get(&COUNTS, &counter)?.unwrap_or_default();
        count.version += 1;
        count.closed += 1;
        context.put(&COUNTS, &counter, &count)?;
        context.forward(&TOTALS, &counter, &count)?;
    }
    Ok(())
}

fn mirror() -> Result<Topology, TopologyError> {
    TopologyBuilder::new("mirror", DEAD_LETTERS)
        .stream(&TOTALS, "mirror", |context, Record { key, value, .. }| {
            let session = context.find_session(&BUSY, &key, |one, other| one + other)?;
            let count = session.value.unwrap_or_default() + 1;
            context.put_session(&BUSY, &key, session, &count)?;
            context.put(&MIRROR, &key, &value)
        })
        .with_store(&MIRROR)
        .with_sessions(&BUSY)
        .build()
}
