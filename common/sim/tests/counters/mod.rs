//! A workload for the simulator's own tests: clients click counters.

pub(crate) mod topology;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use eventlog::TopicConfig;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sim::{
    AtRest, Call, CallId, CallOutcome, InvariantId, Options, Random, Read, Violation, Workload,
};
use streams::{
    Codec, Headers, Json, Key, Partition, ProducedRecord, StoreName, Timestamp, Topic,
    TopicPartition, Topology, partition_for_key,
};

use topology::{
    CLICKS, COUNTER, COUNTS, Click, Count, Id, KNOWN_WEIGHTS, MIRROR, OPEN, OPEN_TICKS, OUTCOMES,
    Outcome, TOTALS, WEIGHER, WEIGHT_REQUESTS,
};

/// Versions of a counter are 1, 2, 3 and so on.
pub(crate) const VERSIONS: InvariantId = InvariantId("VERSIONS");
/// What was answered is never lost, and no reader sees it go back.
pub(crate) const READS: InvariantId = InvariantId("READS");
/// What was answered is known to every rule that looks it up.
pub(crate) const TABLES: InvariantId = InvariantId("TABLES");
/// At rest the counts are those of the clicks.
pub(crate) const COUNTED: InvariantId = InvariantId("COUNTED");

/// What a client has asked.
enum Asked {
    Weight { counter: Id },
    Click { counter: Id, click: Id, has_weight: bool, version_before: u32 },
    Count { counter: Id, version_before: u32 },
    Outcome { click: Id },
}

/// Clients that click counters.
pub(crate) struct Counters {
    partitions: u32,
    counters: u64,
    asked: BTreeMap<CallId, Asked>,
    /// The counters whose weight somebody was told to be set.
    weighed: BTreeMap<Id, ()>,
    /// The newest version of each counter that anybody was shown.
    shown: BTreeMap<Id, u32>,
    /// The clicks that somebody was told to be written, with whether their outcome was shown.
    clicked: BTreeMap<Id, Id>,
    versions: BTreeMap<Bytes, u32>,
    clicks: BTreeMap<Bytes, u32>,
}

impl Counters {
    pub(crate) fn new(options: &Options, mut random: Random) -> Self {
        Counters {
            partitions: options.partitions,
            counters: random.between(1, 8),
            asked: BTreeMap::new(),
            weighed: BTreeMap::new(),
            shown: BTreeMap::new(),
            clicked: BTreeMap::new(),
            versions: BTreeMap::new(),
            clicks: BTreeMap::new(),
        }
    }

    fn record<V: Serialize + DeserializeOwned>(
        &self,
        topic: &Topic<Id, V>,
        key: &Id,
        value: &V,
        timestamp: Timestamp,
    ) -> ProducedRecord {
        let key = key.encode();
        ProducedRecord {
            destination: TopicPartition::new(topic.name(), self.partition(&key)),
            timestamp,
            value: Some(<Json as Codec<V>>::encode(value).bytes),
            key: Some(key),
            headers: Headers::default(),
        }
    }

    fn partition(&self, key: &[u8]) -> Partition {
        partition_for_key(key, self.partitions)
    }

    fn read(&self, service: usize, key: &Id, entries: Vec<(StoreName, Bytes)>) -> Read {
        let partition = self.partition(&key.encode());
        Read { service, partition, entries, until: None, timeout_ms: 5_000 }
    }

    fn version_shown(&self, counter: &Id) -> u32 {
        self.shown.get(counter).copied().unwrap_or_default()
    }

    /// Somebody is shown a counter: never an older one than anybody was before asking.
    fn show(&mut self, counter: &Id, version: u32, before: u32) -> Result<(), Violation> {
        if version < before {
            let detail = format!("counter {counter:?} at {version}, {before} was shown before");
            return Err(Violation::new(READS, detail));
        }
        let shown = self.shown.entry(counter.clone()).or_default();
        *shown = version.max(*shown);
        Ok(())
    }

    fn click_call(&mut self, id: CallId, counter: Id, now: Timestamp) -> (Asked, Call) {
        let click = Id(format!("click-{}", id.0));
        let asked = Asked::Click {
            counter: counter.clone(),
            click: click.clone(),
            has_weight: self.weighed.contains_key(&counter),
            version_before: self.version_shown(&counter),
        };
        let value = Click { id: click.0.clone() };
        let entries = vec![(OUTCOMES.name(), click.encode()), (COUNTS.name(), counter.encode())];
        let read = self.read(COUNTER, &counter, entries);
        let request = Some(self.record(&CLICKS, &counter, &value, now));
        (asked, Call { request, read })
    }

    fn read_call(&mut self, counter: Id, random: &mut Random) -> (Asked, Call) {
        let mut known: Vec<(&Id, &Id)> = self.clicked.iter().collect();
        known.retain(|(_, of)| **of == counter);
        if let Some((click, _)) = random.pick(&known)
            && random.below(2) == 0
        {
            let asked = Asked::Outcome { click: (*click).clone() };
            let entries = vec![(OUTCOMES.name(), click.encode())];
            return (asked, Call { request: None, read: self.read(COUNTER, &counter, entries) });
        }
        let version_before = self.version_shown(&counter);
        let entries = vec![(COUNTS.name(), counter.encode())];
        let mut read = self.read(COUNTER, &counter, entries);
        if random.below(4) == 0 {
            let wanted = version_before + 1;
            read.until = Some(Arc::new(move |entries: &[Option<Bytes>]| {
                entries[0].as_ref().is_some_and(|bytes| decode::<Count>(bytes).version >= wanted)
            }));
        }
        (Asked::Count { counter, version_before }, Call { request: None, read })
    }

    fn click_answered(
        &mut self,
        (counter, click): (Id, Id),
        (has_weight, version_before): (bool, u32),
        outcome: &CallOutcome,
    ) -> Result<(), Violation> {
        match outcome {
            CallOutcome::Found(entries) | CallOutcome::TimedOut(entries) => {
                let [Some(outcome), Some(count)] = entries.as_slice() else {
                    let detail = format!("{click:?} was taken and is not there: {entries:?}");
                    return Err(Violation::new(READS, detail));
                };
                let outcome: Outcome = decode(outcome);
                if has_weight && outcome.weight.is_none() {
                    let detail = format!("{click:?} of {counter:?}, whose weight was set");
                    return Err(Violation::new(TABLES, detail));
                }
                self.clicked.insert(click, counter.clone());
                let count: Count = decode(count);
                self.show(&counter, count.version, version_before.max(outcome.version))
            }
            CallOutcome::Accepted => {
                self.clicked.insert(click, counter);
                Ok(())
            }
            CallOutcome::Refused | CallOutcome::Lost | CallOutcome::Unavailable => Ok(()),
        }
    }
}

impl Workload for Counters {
    fn topics(&self) -> Vec<TopicConfig> {
        topology::topics()
    }

    fn services(&self) -> Vec<Arc<Topology>> {
        topology::services()
    }

    fn settle_ms(&self) -> u64 {
        (OPEN_TICKS + 2) * 1_000 + 10_000
    }

    fn next_call(&mut self, id: CallId, now: Timestamp, random: &mut Random) -> Call {
        let counter = Id(format!("counter-{}", random.below(self.counters)));
        let (asked, call) = match random.below(8) {
            0 => {
                let request = Some(self.record(&WEIGHT_REQUESTS, &counter, &id.0, now));
                let entries = vec![(KNOWN_WEIGHTS.name(), counter.encode())];
                let read = self.read(WEIGHER, &counter, entries);
                (Asked::Weight { counter }, Call { request, read })
            }
            1..5 => self.click_call(id, counter, now),
            _ => self.read_call(counter, random),
        };
        self.asked.insert(id, asked);
        call
    }

    fn answered(&mut self, id: CallId, outcome: &CallOutcome) -> Result<(), Violation> {
        let asked = self.asked.remove(&id).expect("each call is answered once");
        let entries = match outcome {
            CallOutcome::Found(entries) | CallOutcome::TimedOut(entries) => entries.as_slice(),
            _ => &[],
        };
        match (asked, entries) {
            (Asked::Weight { counter }, [Some(_)]) => {
                self.weighed.insert(counter, ());
            }
            (Asked::Weight { counter }, [None]) => {
                return Err(Violation::new(READS, format!("weight of {counter:?} is lost")));
            }
            (Asked::Click { counter, click, has_weight, version_before }, _) => {
                let before = (has_weight, version_before);
                self.click_answered((counter, click), before, outcome)?;
            }
            (Asked::Count { counter, version_before }, [count]) => {
                let count = count.as_ref().map(|bytes| decode::<Count>(bytes)).unwrap_or_default();
                self.show(&counter, count.version, version_before)?;
            }
            (Asked::Outcome { click }, [None]) => {
                return Err(Violation::new(READS, format!("{click:?} is lost")));
            }
            _ => {}
        }
        Ok(())
    }

    fn committed(&mut self, record: &ProducedRecord) -> Result<(), Violation> {
        let (Some(key), Some(value)) = (&record.key, &record.value) else { return Ok(()) };
        if record.destination.topic == CLICKS.name() {
            *self.clicks.entry(key.clone()).or_default() += 1;
        } else if record.destination.topic == TOTALS.name() {
            let version = self.versions.entry(key.clone()).or_default();
            *version += 1;
            let count: Count = decode(value);
            if count.version != *version {
                let detail = format!("{key:?}: {count:?} where {version} comes next");
                return Err(Violation::new(VERSIONS, detail));
            }
        }
        Ok(())
    }

    fn at_rest(&mut self, system: &dyn AtRest) -> Result<(), Violation> {
        let counts = system.entries(COUNTER, COUNTS.name());
        for (_, key, value) in &counts {
            let count: Count = decode(value);
            let clicks = self.clicks.get(key).copied().unwrap_or_default();
            if (count.clicks, count.closed) != (clicks, clicks) {
                let detail = format!("{key:?}: {count:?} with {clicks} clicks");
                return Err(Violation::new(COUNTED, detail));
            }
        }
        if counts.len() != self.clicks.len() || !system.entries(COUNTER, OPEN.name()).is_empty() {
            return Err(Violation::new(COUNTED, "a counter or an open click is left over"));
        }
        if system.entries(COUNTER + 1, MIRROR.name()) != counts {
            return Err(Violation::new(COUNTED, "the mirror differs"));
        }
        let known = system.entries(COUNTER, OUTCOMES.name());
        let lost = self
            .clicked
            .keys()
            .find(|click| !known.iter().any(|(_, key, _)| *key == click.encode()));
        match lost {
            Some(click) => Err(Violation::new(READS, format!("{click:?} is lost"))),
            None => Ok(()),
        }
    }
}

fn decode<V: Serialize + DeserializeOwned>(bytes: &[u8]) -> V {
    <Json as Codec<V>>::decode(None, bytes).expect("what was written can be read")
}
