//! The embedded mode: the core of the real embedded log, with a durable position that follows the
//! committed one, and power cuts after which every commit above some position is gone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use eventlog::{Commit, Core, Membership, SessionId as CoreSessionId, TopicConfig};
use streams::{
    Assignment, CommitBatch, CommitOutcome, CommitPosition, ConsumedRecord, Offset, ProducedRecord,
    Restored, StateBacking, Step, StepResult, TaskCommit, TopicPartition, Topology,
};

use super::{
    AppendOutcome, Attempt, Decided, LogFault, Place, Request, SessionId, SimulatedLog, State,
};
use crate::mutation::Mutation;
use crate::options::Options;
use crate::random::Random;

/// A batch or a part of one, with what it was asked for.
type Part = (CommitBatch, Option<Arc<Attempt>>);

/// The embedded log of one simulated machine.
pub(crate) struct EmbeddedLog {
    topics: Vec<TopicConfig>,
    services: Vec<Arc<Topology>>,
    options: Options,
    mutation: Option<Mutation>,
    core: Core,
    sessions: BTreeMap<SessionId, (CoreSessionId, Place)>,
    last_session: u64,
    /// All commits, in their order: what the disk would hold if every one of them were synced.
    commits: Vec<(Commit, Option<Arc<Attempt>>)>,
    /// How many of them have been reported as decided: the durable ones.
    reported: usize,
    /// Up to where a sync that is under way will make them durable.
    syncing: Option<CommitPosition>,
    /// The parts still to be written of commits that a mutation tore apart.
    torn: BTreeMap<SessionId, VecDeque<Part>>,
    news: u64,
    healed: bool,
}

impl EmbeddedLog {
    pub(crate) fn new(
        topics: Vec<TopicConfig>,
        services: Vec<Arc<Topology>>,
        options: Options,
        mutation: Option<Mutation>,
    ) -> Self {
        EmbeddedLog {
            core: Core::new(topics.clone(), options.partitions),
            topics,
            services,
            options,
            mutation,
            sessions: BTreeMap::new(),
            last_session: 0,
            commits: Vec::new(),
            reported: 0,
            syncing: None,
            torn: BTreeMap::new(),
            news: 0,
            healed: false,
        }
    }

    fn core_session(&self, session: SessionId) -> (CoreSessionId, Place) {
        self.sessions[&session]
    }

    /// The power is back: the log opens with all commits up to some position that is at or above
    /// the durable one.
    fn reopen(&mut self, random: &mut Random) {
        let durable = self.core.durable().0;
        let kept = random.between(durable, self.core.committed().0);
        self.commits.truncate(kept as usize);
        self.core = Core::new(self.topics.clone(), self.options.partitions);
        for (commit, _) in &self.commits {
            let applied = self.core.apply(commit.clone());
            assert!(applied.is_ok(), "what was committed once can be committed again");
        }
        let _ = self.core.advance_durable(CommitPosition(kept));
        self.syncing = None;
        self.torn.clear();
    }

    fn commit(
        &mut self,
        session: SessionId,
        batch: &CommitBatch,
        attempt: Option<&Arc<Attempt>>,
        random: &mut Random,
    ) -> Option<CommitOutcome> {
        if let Some(parts) = self.torn.get_mut(&session) {
            let part = parts.pop_front();
            if parts.is_empty() {
                self.torn.remove(&session);
            }
            let (part, attempt) = part?;
            let outcome = self.commit_part(session, &part, attempt);
            return (!self.torn.contains_key(&session)).then_some(outcome);
        }
        if !self.healed && random.chance(self.options.commit_aborted) {
            return Some(CommitOutcome::Aborted { reason: "simulated".to_owned() });
        }
        let mut parts = self.tear(batch, attempt);
        if parts.len() == 1 {
            let (part, attempt) = parts.pop_front()?;
            return Some(self.commit_part(session, &part, attempt));
        }
        self.torn.insert(session, parts);
        None
    }

    /// The parts in which a commit is written: one, unless a mutation tears it apart.
    fn tear(&self, batch: &CommitBatch, attempt: Option<&Arc<Attempt>>) -> VecDeque<Part> {
        let only = |part: fn(&TaskCommit) -> TaskCommit| CommitBatch {
            tasks: batch.tasks.iter().map(part).collect(),
        };
        let attempt = attempt.cloned();
        match self.mutation {
            Some(Mutation::OffsetsOutsideTransaction) => {
                let rest = |task: &TaskCommit| TaskCommit { offsets: Vec::new(), ..task.clone() };
                let offsets = |task: &TaskCommit| TaskCommit {
                    outputs: Vec::new(),
                    changes: Vec::new(),
                    ..task.clone()
                };
                [(only(rest), attempt), (only(offsets), None)].into()
            }
            Some(Mutation::StoreBeforeCommit) => {
                let changes = |task: &TaskCommit| TaskCommit {
                    outputs: Vec::new(),
                    offsets: Vec::new(),
                    ..task.clone()
                };
                let rest = |task: &TaskCommit| TaskCommit { changes: Vec::new(), ..task.clone() };
                [(only(changes), None), (only(rest), attempt)].into()
            }
            _ => [(batch.clone(), attempt)].into(),
        }
    }

    fn commit_part(
        &mut self,
        session: SessionId,
        part: &CommitBatch,
        attempt: Option<Arc<Attempt>>,
    ) -> CommitOutcome {
        let (core_session, place) = self.core_session(session);
        let group = self.services[place.service].name();
        let commit = Commit::Batch { group, batch: part.clone() };
        let outcome = if self.mutation == Some(Mutation::NoFencing) {
            match self.core.apply(commit.clone()) {
                Ok(_) => CommitOutcome::Committed {
                    position: self.core.committed(),
                    changelog_ends: Vec::new(),
                },
                Err(error) => CommitOutcome::Aborted { reason: error.to_string() },
            }
        } else {
            self.core.commit(core_session, part.clone()).0
        };
        if matches!(outcome, CommitOutcome::Committed { .. }) {
            self.commits.push((commit, attempt));
            self.news += 1;
        }
        outcome
    }

    fn ends(&self, request: &Request<'_>, of: &[TopicPartition]) -> StepResult {
        let (_, place) = self.core_session(request.session);
        let topology = &self.services[place.service];
        let is_skipped = |of: &TopicPartition| {
            self.mutation == Some(Mutation::ReadWithoutLookUp)
                && request.running.contains(&of.partition)
                && topology.request_sources().any(|topic| topic == of.topic)
        };
        match self.core.ends(of) {
            Ok(mut ends) => {
                for (of, end) in of.iter().zip(&mut ends) {
                    if is_skipped(of) {
                        *end = Offset(0);
                    }
                }
                StepResult::Ends(ends)
            }
            Err(error) => StepResult::Failed { reason: error.to_string() },
        }
    }
}

impl SimulatedLog for EmbeddedLog {
    fn backing(&self) -> StateBacking {
        StateBacking::Log
    }

    fn join(&mut self, place: Place) -> SessionId {
        let topology = &self.services[place.service];
        let membership = Membership {
            group: topology.name(),
            sources: topology.sources().chain(topology.tables()).collect(),
        };
        let joined = self.core.join(membership, Arc::new(|| ()));
        let Ok((core_session, _)) = joined else { unreachable!("all topics are on the log") };
        self.last_session += 1;
        let session = SessionId(self.last_session);
        self.sessions.insert(session, (core_session, place));
        self.news += 1;
        session
    }

    fn leave(&mut self, session: SessionId) {
        if let Some((core_session, _)) = self.sessions.remove(&session) {
            let _ = self.core.leave(core_session);
            self.torn.remove(&session);
            self.news += 1;
        }
    }

    /// There is one process: with any of its sessions all are gone.
    fn crash(&mut self, _: &[SessionId], random: &mut Random) {
        self.sessions.clear();
        self.reopen(random);
        self.news += 1;
    }

    fn lose_disk(&mut self, _: Place) {}

    fn swap_disk(&mut self, _: Place, _: &mut Random) {}

    fn assignment(&mut self, session: SessionId) -> Assignment {
        self.core.assignment(self.core_session(session).0)
    }

    fn poll(&mut self, _: SessionId, _: &mut Random) -> bool {
        false
    }

    fn perform(&mut self, request: &Request<'_>, random: &mut Random) -> Option<StepResult> {
        let (core_session, _) = self.core_session(request.session);
        Some(match request.step {
            Step::LoadPositions(partitions) => {
                StepResult::Positions(self.core.positions(core_session, partitions))
            }
            Step::LookUpEnds(of) => self.ends(request, of),
            Step::Fetch(from) => match self.core.fetch(from, self.options.fetch_records as usize) {
                Ok(fetched) => StepResult::Fetched(fetched),
                Err(error @ eventlog::Error::OutOfRange { .. }) => {
                    StepResult::OutOfRange { reason: error.to_string() }
                }
                Err(error) => StepResult::Failed { reason: error.to_string() },
            },
            Step::Commit(batch) => {
                let outcome = self.commit(request.session, batch, request.attempt, random)?;
                StepResult::Committed(outcome)
            }
            Step::ReadChangelog { from, .. } => {
                StepResult::Changelog(Restored { changes: Vec::new(), position: *from })
            }
            Step::Open
            | Step::WriteStores(_)
            | Step::WipeStore(_)
            | Step::Continue
            | Step::Wait(_) => StepResult::Done,
        })
    }

    fn state(&self, session: SessionId) -> State<'_> {
        State::InLog(&self.core, self.core_session(session).0)
    }

    fn append(&mut self, record: &ProducedRecord, random: &mut Random) -> AppendOutcome {
        if !self.healed && random.chance(self.options.append_fails) {
            return AppendOutcome::Refused;
        }
        let Ok((appended, _)) = self.core.append(record.clone()) else {
            return AppendOutcome::Refused;
        };
        self.commits.push((Commit::Append(record.clone()), None));
        self.news += 1;
        AppendOutcome::Appended { offset: appended.offset, position: appended.position }
    }

    fn is_durable(&self, position: CommitPosition) -> bool {
        position <= self.core.durable() || self.mutation == Some(Mutation::AnswerBeforeSync)
    }

    fn background(&mut self, _: &mut Random) -> bool {
        match self.syncing.take() {
            Some(position) => {
                let _ = self.core.advance_durable(position);
                true
            }
            None if self.core.durable() < self.core.committed() => {
                self.syncing = Some(self.core.committed());
                true
            }
            None => false,
        }
    }

    fn fault(&mut self, _: LogFault, _: &mut Random) {}

    fn heal(&mut self) {
        self.healed = true;
    }

    fn news(&self) -> u64 {
        self.news
    }

    fn take_decided(&mut self) -> Vec<Decided> {
        let durable = self.core.durable().0 as usize;
        let newly = &self.commits[self.reported..durable];
        self.reported = durable;
        newly
            .iter()
            .filter_map(|(commit, attempt)| match (commit, attempt) {
                (Commit::Append(record), _) => Some(Decided::Appended(record.clone())),
                (Commit::Batch { .. }, Some(attempt)) => {
                    Some(Decided::Committed(Arc::clone(attempt)))
                }
                (Commit::Batch { .. }, None) => None,
            })
            .collect()
    }

    fn committed_between(
        &self,
        _: TopicPartition,
        from: Offset,
        until: Offset,
    ) -> Option<Vec<Offset>> {
        Some((from.0..until.0).map(Offset).collect())
    }

    fn history(&self, of: TopicPartition) -> Vec<ConsumedRecord> {
        let mut from = Offset(0);
        let mut records = Vec::new();
        while from < self.end(of) {
            let Ok(fetched) = self.core.fetch(&[(of, from)], usize::MAX) else { break };
            from = fetched.positions[0].1;
            records.extend(fetched.records);
        }
        records
    }

    fn end(&self, of: TopicPartition) -> Offset {
        self.core.ends(&[of]).map(|ends| ends[0]).unwrap_or_default()
    }
}
