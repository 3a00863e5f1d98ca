//! The end of a run: nothing fails any more, everything comes to rest, and then holds what must
//! hold at rest.

use bytes::Bytes;
use streams::{
    ConsumedRecord, KeyRange, Partition, StateReader, StoreName, Timestamp, TopicName,
    TopicPartition,
};

use super::{Instance, World};
use crate::checkers::{Entries, difference};
use crate::failure::{REST, STORE, Violation};
use crate::log::{SessionId, SimulatedLog};
use crate::workload::{AtRest, Workload};

/// How many rounds coming to rest may take: far more than it ever does.
const ROUNDS_MAX: u64 = 20_000;
/// Further ahead than any worker waits for a tick or for another try, in milliseconds.
const FAR_AWAY_MS: u64 = 60_000;

impl<W: Workload> World<W> {
    pub(super) fn settle(&mut self) -> Result<(), Violation> {
        self.trace.note(|| "nothing fails from now on".to_owned());
        self.healed = true;
        self.log.heal();
        for index in 0..self.instances.len() {
            self.recover(index);
        }
        let deadline = self.now + self.workload.settle_ms();
        for _ in 0..ROUNDS_MAX {
            if self.round()? {
                continue;
            }
            match self.next_wake() {
                None if self.calls.open() == 0 => return self.check_at_rest(),
                Some(wakes_at) if wakes_at <= deadline => self.now = self.now.max(wakes_at),
                _ => return Err(self.restless()),
            }
        }
        Err(self.restless())
    }

    /// When something happens next by itself.
    fn next_wake(&self) -> Option<Timestamp> {
        let far_away = self.now + FAR_AWAY_MS;
        let is_awaited = |instance: &&Instance| {
            !instance.has_open_queries() || instance.wakes_at().is_some_and(|at| at < far_away)
        };
        let instances = self.instances.iter().filter(is_awaited);
        instances.filter_map(Instance::wakes_at).chain(self.next_expiry()).min()
    }

    /// Everybody's turn. Whether anything happened.
    fn round(&mut self) -> Result<bool, Violation> {
        let mut happened = self.log.background(&mut self.random);
        happened |= self.move_calls();
        happened |= self.expire_calls();
        let news = self.log.news();
        for index in 0..self.instances.len() {
            happened |= self.poll(index);
            let news = self.log.news();
            if self.instances[index].is_runnable(self.now, news) {
                self.work(index)?;
                happened = true;
            }
            self.observe()?;
        }
        Ok(happened || self.log.news() != news)
    }

    fn restless(&self) -> Violation {
        let open = self.calls.open();
        let wakes: Vec<Option<Timestamp>> = self.instances.iter().map(Instance::wakes_at).collect();
        let detail = format!("at {}: {open} calls are open, workers wake at {wakes:?}", self.now);
        Violation::new(REST, detail)
    }

    fn check_at_rest(&mut self) -> Result<(), Violation> {
        self.check_everything_taken()?;
        self.check_stores()?;
        let partitions = self.options.partitions;
        self.replay.check(&self.services, partitions, self.log.as_ref(), &mut self.random)?;
        let owners = self.owners();
        let log = self.log.as_ref();
        self.workload.at_rest(&System { log, partitions, owners })
    }

    fn check_everything_taken(&self) -> Result<(), Violation> {
        for (service, topology) in self.services.iter().enumerate() {
            for topic in topology.sources() {
                for number in 0..self.options.partitions {
                    let of = TopicPartition::new(topic, Partition(number));
                    let left = self.exactly_once.left(service, of, self.log.as_ref());
                    if !left.is_empty() {
                        let detail = format!("{} left {left:?} of {of}", topology.name());
                        return Err(Violation::new(REST, detail));
                    }
                }
            }
        }
        Ok(())
    }

    /// The session that owns each partition, by service.
    fn owners(&self) -> Vec<Vec<(Partition, SessionId)>> {
        let mut owners = vec![Vec::new(); self.services.len()];
        for instance in &self.instances {
            if let Some(running) = &instance.running {
                let of_session = running.owned.iter().map(|of| (*of, running.session));
                owners[instance.place.service].extend(of_session);
            }
        }
        owners.iter_mut().for_each(|owners| owners.sort_unstable());
        owners
    }

    fn check_stores(&self) -> Result<(), Violation> {
        let owners = self.owners();
        for (service, topology) in self.services.iter().enumerate() {
            let owned: Vec<u32> =
                owners[service].iter().map(|(partition, _)| partition.0).collect();
            if !owned.iter().copied().eq(0..self.options.partitions) {
                let detail = format!("partitions {owned:?} of {} are owned", topology.name());
                return Err(Violation::new(REST, detail));
            }
            for (partition, session) in &owners[service] {
                let state = self.log.state(*session);
                let mut held = Entries::new();
                for store in topology.stores() {
                    let entries = state.range(*partition, *store, &KeyRange::all(), usize::MAX);
                    let entries = entries.unwrap_or_default().into_iter();
                    held.extend(entries.map(|(key, value)| ((*store, key), value)));
                }
                let committed = self.state.of(service, *partition);
                if let Some(difference) = difference(&committed, &held) {
                    let name = topology.name();
                    let detail = format!(
                        "{name} partition {partition} has committed and holds {difference}"
                    );
                    return Err(Violation::new(STORE, detail));
                }
            }
        }
        Ok(())
    }
}

/// The system as it is shown to the workload.
struct System<'a> {
    log: &'a dyn SimulatedLog,
    partitions: u32,
    owners: Vec<Vec<(Partition, SessionId)>>,
}

impl AtRest for System<'_> {
    fn entries(&self, service: usize, store: StoreName) -> Vec<(Partition, Bytes, Bytes)> {
        let mut all = Vec::new();
        for (partition, session) in &self.owners[service] {
            let state = self.log.state(*session);
            let entries = state.range(*partition, store, &KeyRange::all(), usize::MAX);
            let entries = entries.unwrap_or_default().into_iter();
            all.extend(entries.map(|(key, value)| (*partition, key, value)));
        }
        all
    }

    fn records(&self, topic: TopicName) -> Vec<ConsumedRecord> {
        let partitions = (0..self.partitions).map(Partition);
        partitions.flat_map(|of| self.log.history(TopicPartition::new(topic, of))).collect()
    }
}
