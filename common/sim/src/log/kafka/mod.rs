//! The Kafka mode: brokers that never lose what they acknowledged, and everything around them that
//! does not behave so well. Replication is left out, since what is not acknowledged might as well
//! not have been written; what clients can tell of it is here: the end of a partition is its high
//! watermark, readers of committed records stop at the last stable offset, and a transaction is
//! decided in one moment and marked in each partition some time later.

mod clean_up;
mod commit;
mod group;
mod partition;
mod session;
mod transactions;

use std::collections::BTreeMap;
use std::sync::Arc;

use eventlog::{TopicConfig, changelog_change};
use streams::{
    Assignment, CommitPosition, ConsumedRecord, Fetched, Offset, Partition, ProducedRecord,
    Restored, StateBacking, Step, StepResult, TaskPositions, TopicName, TopicPartition, Topology,
};

use super::{
    AppendOutcome, Decided, Disk, LogFault, Place, Request, SessionId, SimulatedLog, State,
};
use crate::mutation::Mutation;
use crate::options::Options;
use crate::random::Random;
use commit::{LateEnd, OpenCommit};
use group::{Group, MemberId};
use partition::{PartitionLog, Partitions};
use session::Session;
use transactions::{Marker, PendingOffsets, TransactionId, Transactions};

/// A service as the broker knows it.
struct Service {
    topology: Arc<Topology>,
    changelog: TopicName,
    group: Group,
}

/// The simulated brokers, with the disks of those who use them.
pub(crate) struct KafkaLog {
    topics: Vec<TopicConfig>,
    services: Vec<Service>,
    options: Options,
    mutation: Option<Mutation>,
    partitions: Partitions,
    transactions: Transactions,
    sessions: BTreeMap<SessionId, Session>,
    last_session: u64,
    commits: BTreeMap<SessionId, OpenCommit>,
    late: Vec<LateEnd>,
    /// Members whose process is gone without a word.
    dead: Vec<(usize, MemberId)>,
    disks: BTreeMap<Place, Disk>,
    no_disk: Disk,
    decided: Vec<Decided>,
    news: u64,
    healed: bool,
}

impl KafkaLog {
    pub(crate) fn new(
        topics: Vec<TopicConfig>,
        topologies: &[Arc<Topology>],
        options: Options,
        mutation: Option<Mutation>,
    ) -> Self {
        let services: Vec<Service> = topologies
            .iter()
            .map(|topology| Service {
                topology: Arc::clone(topology),
                changelog: TopicName::derived(topology.changelog_name()),
                group: Group::default(),
            })
            .collect();
        let names = topics.iter().map(|topic| topic.name);
        let partitions = names
            .chain(services.iter().map(|service| service.changelog))
            .flat_map(|name| {
                let of = move |number| TopicPartition::new(name, Partition(number));
                (0..options.partitions).map(of)
            })
            .map(|of| (of, PartitionLog::default()))
            .collect();
        KafkaLog {
            topics,
            services,
            options,
            mutation,
            partitions,
            transactions: Transactions::default(),
            sessions: BTreeMap::new(),
            last_session: 0,
            commits: BTreeMap::new(),
            late: Vec::new(),
            dead: Vec::new(),
            disks: BTreeMap::new(),
            no_disk: Disk::default(),
            decided: Vec::new(),
            news: 0,
            healed: false,
        }
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    fn service_of(&self, session: SessionId) -> &Service {
        &self.services[self.sessions[&session].place.service]
    }

    /// Writes one marker of a decided transaction.
    fn write_marker(&mut self, of: TransactionId, marker: Marker) {
        let offsets = self.transactions.marked(of, marker);
        match marker {
            Marker::Partition(partition) => {
                if let Some(partition) = self.partitions.get_mut(&partition) {
                    partition.mark(of);
                }
            }
            Marker::Offsets(service) => {
                if let Some(PendingOffsets { record, offsets }) = offsets {
                    self.services[service].group.commit_offsets(record, offsets);
                }
            }
        }
        self.news += 1;
    }

    fn write_markers(&mut self, of: TransactionId) {
        for marker in self.transactions.markers(of) {
            self.write_marker(of, marker);
        }
    }

    /// Ends what the producers of a place, or of a dead process in its place, left open.
    fn open(&mut self, session: SessionId) -> StepResult {
        self.commits.remove(&session);
        let Some(known) = self.sessions.get(&session) else { return StepResult::Done };
        let epochs = known.producer_names().map(|name| {
            let (epoch, left) = self.transactions.init(name);
            for marker in left.map(|left| self.transactions.markers(left)).unwrap_or_default() {
                if let Some(left) = left {
                    self.write_marker(left, marker);
                }
            }
            epoch
        });
        if let Some(session) = self.sessions.get_mut(&session) {
            session.set_producers(epochs);
        }
        StepResult::Done
    }

    /// Where tasks left off; `None` while a transaction that carries offsets of one is open.
    fn positions(&self, session: SessionId, partitions: &[Partition]) -> Option<StepResult> {
        let place = self.sessions[&session].place;
        let service = self.service_of(session);
        let mut positions = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let mut committed = Vec::new();
            for topic in service.topology.sources() {
                let of = TopicPartition::new(topic, *partition);
                let is_pending = self.transactions.has_pending_offsets(place.service, of);
                if is_pending && !self.is(Mutation::UnstableOffsets) {
                    return None;
                }
                committed.extend(service.group.offset(of).map(|offset| (topic, offset)));
            }
            let checkpoint = self.disks.get(&place).and_then(|disk| disk.checkpoint(*partition));
            positions.push(TaskPositions { committed, checkpoint, ..TaskPositions::default() });
        }
        Some(StepResult::Positions(positions))
    }

    fn ends(&self, request: &Request<'_>, of: &[TopicPartition]) -> StepResult {
        let service = self.service_of(request.session);
        let is_request = |topic| service.topology.request_sources().any(|known| known == topic);
        let end = |of: &TopicPartition| {
            let is_changelog = of.topic == service.changelog;
            let for_reads = is_changelog || is_request(of.topic);
            let runs = request.running.contains(&of.partition);
            if for_reads && runs && self.is(Mutation::ReadWithoutLookUp) {
                return Offset(0);
            }
            if is_changelog && self.is(Mutation::RestoreToLastStable) {
                return self.partitions[of].last_stable();
            }
            self.partitions[of].end()
        };
        StepResult::Ends(of.iter().map(end).collect())
    }

    fn fetch(&self, from: &[(TopicPartition, Offset)]) -> StepResult {
        let mut fetched = Fetched::default();
        let share = (self.options.fetch_records as usize).div_ceil(from.len().max(1));
        for (of, position) in from {
            let partition = &self.partitions[of];
            if partition.is_out_of_range(*position) {
                let error = eventlog::Error::OutOfRange { of: *of, position: *position };
                return StepResult::OutOfRange { reason: error.to_string() };
            }
            let piece = partition.read(*position, share, &self.transactions);
            fetched.records.extend(piece.records.into_iter().cloned());
            fetched.positions.push((*of, piece.position));
        }
        StepResult::Fetched(fetched)
    }

    fn read_changelog(&self, session: SessionId, of: Partition, from: Offset) -> StepResult {
        let service = self.service_of(session);
        let changelog = &self.partitions[&TopicPartition::new(service.changelog, of)];
        if changelog.is_out_of_range(from) {
            let reason = format!("position {from} of {of} in the changelog is out of range");
            return StepResult::OutOfRange { reason };
        }
        let records_max = self.options.fetch_records as usize;
        let piece = changelog.read(from, records_max, &self.transactions);
        let stores = service.topology.stores();
        let changes =
            piece.records.into_iter().filter_map(|record| changelog_change(stores, record));
        StepResult::Changelog(Restored { changes: changes.collect(), position: piece.position })
    }
}

impl SimulatedLog for KafkaLog {
    fn backing(&self) -> StateBacking {
        StateBacking::Changelog
    }

    fn join(&mut self, place: Place) -> SessionId {
        self.last_session += 1;
        let session = SessionId(self.last_session);
        self.sessions.insert(session, Session::new(place));
        session
    }

    fn leave(&mut self, session: SessionId) {
        self.commits.remove(&session);
        if let Some(session) = self.sessions.remove(&session)
            && let Some(member) = session.member
        {
            self.services[session.place.service].group.remove(member);
            self.news += 1;
        }
    }

    fn crash(&mut self, sessions: &[SessionId], random: &mut Random) {
        for session in sessions {
            self.commits.remove(session);
            if let Some(session) = self.sessions.remove(session) {
                let service = session.place.service;
                self.dead.extend(session.member.map(|member| (service, member)));
                self.disks.entry(session.place).or_default().crash(random);
            }
        }
    }

    fn lose_disk(&mut self, place: Place) {
        self.disks.remove(&place);
    }

    fn swap_disk(&mut self, place: Place, random: &mut Random) {
        let partitions = self.options.partitions;
        let partition = Partition(random.below(partitions.into()) as u32);
        self.disks.entry(place).or_default().swap(partition);
    }

    fn assignment(&mut self, session: SessionId) -> Assignment {
        let mutation = self.mutation;
        self.sessions.get_mut(&session).map(|known| known.assignment(mutation)).unwrap_or_default()
    }

    fn poll(&mut self, id: SessionId, random: &mut Random) -> bool {
        let Some(session) = self.sessions.get_mut(&id) else { return false };
        let group = &mut self.services[session.place.service].group;
        // Nothing of one that is no member yet: its joining is news to the group too.
        let held_before = session.member.and_then(|member| group.held(member).cloned());
        let member = *session.member.get_or_insert_with(|| group.join(random));
        let heard = group.heartbeat(member, &session.owned(), self.options.partitions);
        let is_news_to_group = group.held(member) != held_before.as_ref();
        let is_lost = !self.healed && random.chance(self.options.step_fails);
        let changed = match heard {
            _ if is_lost => false,
            Ok((epoch, partitions)) => {
                session.epoch = epoch;
                session.set_owned(&partitions)
            }
            Err(_) => {
                session.member = None;
                session.set_owned(&std::collections::BTreeSet::new())
            }
        };
        self.news += u64::from(changed);
        changed || is_news_to_group
    }

    fn perform(&mut self, request: &Request<'_>, random: &mut Random) -> Option<StepResult> {
        let session = request.session;
        Some(match request.step {
            Step::Open => self.open(session),
            Step::LoadPositions(partitions) => match self.positions(session, partitions) {
                Some(positions) => positions,
                None if random.below(4) == 0 => {
                    StepResult::Failed { reason: "offsets are not stable".to_owned() }
                }
                None => return None,
            },
            Step::LookUpEnds(of) => self.ends(request, of),
            Step::ReadChangelog { partition, from } => {
                self.read_changelog(session, *partition, *from)
            }
            Step::WriteStores(writes) => {
                let disk = self.disks.entry(self.sessions[&session].place).or_default();
                writes.iter().for_each(|write| disk.write(write));
                StepResult::Done
            }
            Step::WipeStore(partition) => {
                self.disks.entry(self.sessions[&session].place).or_default().wipe(*partition);
                StepResult::Done
            }
            Step::Fetch(from) => {
                let fetched = self.fetch(from);
                if let (StepResult::Fetched(fetched), Some(session)) =
                    (&fetched, self.sessions.get_mut(&session))
                {
                    session.caught_up |= fetched.records.is_empty();
                }
                fetched
            }
            Step::Commit(batch) => {
                let outcome = self.commit_part(session, batch, request.attempt, random)?;
                StepResult::Committed(outcome)
            }
            Step::Continue | Step::Wait(_) => StepResult::Done,
        })
    }

    fn state(&self, session: SessionId) -> State<'_> {
        let disk = self.disks.get(&self.sessions[&session].place);
        State::OnDisk(disk.unwrap_or(&self.no_disk))
    }

    fn append(&mut self, record: &ProducedRecord, random: &mut Random) -> AppendOutcome {
        let fails = !self.healed && random.chance(self.options.append_fails);
        if fails && random.below(2) == 0 {
            return AppendOutcome::Refused;
        }
        // Brokers that make topics as they are written to would hide that one is missing.
        let Some(partition) = self.partitions.get_mut(&record.destination) else {
            return AppendOutcome::Refused;
        };
        let offset = partition.append(record, None);
        self.decided.push(Decided::Appended(record.clone()));
        self.news += 1;
        if fails {
            return AppendOutcome::Unknown;
        }
        AppendOutcome::Appended { offset, position: CommitPosition::default() }
    }

    /// An acknowledged record is on the disks of several brokers.
    fn is_durable(&self, _: CommitPosition) -> bool {
        true
    }

    fn background(&mut self, random: &mut Random) -> bool {
        let unmarked: Vec<TransactionId> = self.transactions.unmarked().collect();
        if let Some(of) = random.pick(&unmarked) {
            if let Some(marker) = random.pick(&self.transactions.markers(*of)) {
                self.write_marker(*of, *marker);
            }
            return true;
        }
        if !self.late.is_empty() {
            let LateEnd(transaction) = self.late.swap_remove(random.index(self.late.len()));
            self.decide_committed(transaction);
            return true;
        }
        self.bury(random)
    }

    fn fault(&mut self, fault: LogFault, random: &mut Random) {
        match fault {
            LogFault::SessionTimeout(session) => self.session_timeout(session),
            LogFault::TransactionTimeout => {
                if let Some(transaction) = random.pick(&self.transactions.open()) {
                    self.transactions.time_out(*transaction);
                }
            }
            LogFault::OffsetsExpire(service) => self.expire_offsets(service, random),
            LogFault::CleanUp => self.clean_up(),
        }
    }

    fn heal(&mut self) {
        self.healed = true;
    }

    fn news(&self) -> u64 {
        self.news
    }

    fn take_decided(&mut self) -> Vec<Decided> {
        std::mem::take(&mut self.decided)
    }

    fn committed_between(
        &self,
        of: TopicPartition,
        from: Offset,
        until: Offset,
    ) -> Option<Vec<Offset>> {
        self.partitions[&of].committed_between(from, until, &self.transactions)
    }

    fn history(&self, of: TopicPartition) -> Vec<ConsumedRecord> {
        self.partitions[&of].history(&self.transactions)
    }

    fn end(&self, of: TopicPartition) -> Offset {
        self.partitions[&of].end()
    }
}
