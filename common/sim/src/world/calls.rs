//! The calls of clients: appended, passed to an owner, answered, and heard of when what they show
//! is durable.

use std::collections::BTreeMap;

use streams::{CommitPosition, Offset, Query, QueryId, QueryOutcome, Timestamp};

use super::World;
use crate::failure::Violation;
use crate::log::{AppendOutcome, Place};
use crate::workload::{Call, CallId, CallOutcome, Workload};

/// How long after its deadline an answer may still come, in milliseconds.
const GRACE_MS: u64 = 2_000;
/// How often a call is passed on at most.
const HOPS_MAX: u32 = 20;

/// The calls that have not been answered.
#[derive(Debug, Default)]
pub(super) struct Calls {
    begun: u64,
    open: BTreeMap<CallId, OpenCall>,
    last_query: u64,
    queries: BTreeMap<QueryId, CallId>,
}

#[derive(Debug)]
struct OpenCall {
    call: Call,
    appended: Option<(Offset, CommitPosition)>,
    hops: u32,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Its request is to be appended.
    Append,
    /// An instance is to be asked.
    Pass,
    /// An instance has been asked; the call is given up when there is no answer by this time.
    Asked(Place, QueryId, Timestamp),
    /// It is answered as soon as this is durable.
    Held(CallOutcome, CommitPosition),
}

impl Calls {
    pub(super) fn begun(&self) -> u64 {
        self.begun
    }

    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// The calls whose next move is their own.
    fn movable(&self) -> Vec<CallId> {
        let is_movable = |call: &OpenCall| matches!(call.stage, Stage::Append | Stage::Pass);
        self.open.iter().filter(|(_, call)| is_movable(call)).map(|(id, _)| *id).collect()
    }

    fn asked(&self, place: Place) -> Vec<CallId> {
        let is_asked = |call: &OpenCall| matches!(call.stage, Stage::Asked(of, ..) if of == place);
        self.open.iter().filter(|(_, call)| is_asked(call)).map(|(id, _)| *id).collect()
    }
}

impl OpenCall {
    /// It cannot be read in time what became of the call.
    fn give_up(&mut self) {
        self.stage = match self.appended {
            Some((_, position)) => Stage::Held(CallOutcome::Accepted, position),
            None => Stage::Held(CallOutcome::Unavailable, CommitPosition::default()),
        };
    }

    fn pass_on(&mut self) {
        self.hops += 1;
        self.stage = Stage::Pass;
        if self.hops > HOPS_MAX {
            self.give_up();
        }
    }
}

impl<W: Workload> World<W> {
    /// A client's turn: a new call, or the next move of one.
    pub(super) fn client_step(&mut self) {
        let movable = self.calls.movable();
        let can_begin = self.calls.begun < self.options.calls
            && (self.calls.open() as u64) < self.options.clients;
        if can_begin && (movable.is_empty() || self.random.below(2) == 0) {
            self.begin_call();
        } else if let Some(id) = self.random.pick(&movable) {
            self.move_call(*id);
        }
    }

    fn begin_call(&mut self) {
        self.calls.begun += 1;
        let id = CallId(self.calls.begun);
        let call = self.workload.next_call(id, self.now, &mut self.random);
        self.trace.note(|| format!("call {} begins: {call:?}", id.0));
        let stage = if call.request.is_some() { Stage::Append } else { Stage::Pass };
        self.calls.open.insert(id, OpenCall { call, appended: None, hops: 0, stage });
    }

    /// All calls that can move do.
    pub(super) fn move_calls(&mut self) -> bool {
        let movable = self.calls.movable();
        for id in &movable {
            self.move_call(*id);
        }
        !movable.is_empty()
    }

    fn move_call(&mut self, id: CallId) {
        match self.calls.open.get(&id).map(|call| &call.stage) {
            Some(Stage::Append) => self.append_request(id),
            Some(Stage::Pass) => self.pass_call(id),
            _ => {}
        }
    }

    fn append_request(&mut self, id: CallId) {
        let Some(call) = self.calls.open.get_mut(&id) else { return };
        let Some(request) = &call.call.request else { return };
        let outcome = self.log.append(request, &mut self.random);
        self.trace.note(|| format!("call {} appends: {outcome:?}", id.0));
        let heard_at_once = CommitPosition::default();
        call.stage = match outcome {
            AppendOutcome::Appended { offset, position } => {
                call.appended = Some((offset, position));
                Stage::Pass
            }
            AppendOutcome::Refused => Stage::Held(CallOutcome::Refused, heard_at_once),
            AppendOutcome::Unknown => Stage::Held(CallOutcome::Lost, heard_at_once),
        };
    }

    /// Asks an instance: one that believes to own the partition, or any.
    fn pass_call(&mut self, id: CallId) {
        let Some(call) = self.calls.open.get_mut(&id) else { return };
        let read = &call.call.read;
        let misrouted = !self.healed && self.random.chance(self.options.misrouted);
        let candidates: Vec<usize> = self
            .instances
            .iter()
            .enumerate()
            .filter(|(_, instance)| instance.place.service == read.service)
            .filter_map(|(index, instance)| Some((index, instance.running.as_ref()?)))
            .filter(|(_, running)| misrouted || running.owned.contains(&read.partition))
            .map(|(index, _)| index)
            .collect();
        let Some(index) = self.random.pick(&candidates) else {
            if !self.healed {
                call.pass_on();
            }
            return;
        };
        let instance = &mut self.instances[*index];
        self.calls.last_query += 1;
        let query = Query {
            id: QueryId(self.calls.last_query),
            partition: read.partition,
            entries: read.entries.clone(),
            after: call
                .call
                .request
                .as_ref()
                .and_then(|request| Some((request.destination.topic, call.appended?.0))),
            until: read.until.clone(),
            deadline: instance.time(self.now) + read.timeout_ms,
        };
        let gives_up_at = self.now + read.timeout_ms + GRACE_MS;
        call.stage = Stage::Asked(instance.place, query.id, gives_up_at);
        self.calls.queries.insert(query.id, id);
        if let Some(running) = &mut instance.running {
            running.ask(query);
        }
    }

    /// Takes what the worker of an instance has answered.
    pub(super) fn take_answers(&mut self, index: usize) {
        let Some(running) = &mut self.instances[index].running else { return };
        for answer in running.take_answers() {
            let Some(id) = self.calls.queries.remove(&answer.query) else { continue };
            self.trace.note(|| format!("call {} answered: {answer:?}", id.0));
            let Some(call) = self.calls.open.get_mut(&id) else { continue };
            match answer.outcome {
                QueryOutcome::Found(entries) => {
                    call.stage = Stage::Held(CallOutcome::Found(entries), answer.position);
                }
                QueryOutcome::TimedOut(entries) => {
                    call.stage = Stage::Held(CallOutcome::TimedOut(entries), answer.position);
                }
                QueryOutcome::NotOwner => call.pass_on(),
                QueryOutcome::Unavailable => call.give_up(),
            }
        }
    }

    /// Tells the clients what is durable by now.
    pub(super) fn release_answers(&mut self) -> Result<bool, Violation> {
        let log = &self.log;
        let is_due = |call: &OpenCall| match call.stage {
            Stage::Held(_, position) => log.is_durable(position),
            _ => false,
        };
        let open = self.calls.open.iter();
        let due: Vec<CallId> = open.filter(|(_, call)| is_due(call)).map(|(id, _)| *id).collect();
        for id in &due {
            let Some(call) = self.calls.open.remove(id) else { continue };
            if let Stage::Held(outcome, _) = call.stage {
                self.trace.note(|| format!("call {} hears {outcome:?}", id.0));
                self.workload.answered(*id, &outcome)?;
            }
        }
        Ok(!due.is_empty())
    }

    /// Gives up the calls that have waited for too long, by the time that never jumps.
    pub(super) fn expire_calls(&mut self) -> bool {
        let mut expired = false;
        for call in self.calls.open.values_mut() {
            if let Stage::Asked(_, query, gives_up_at) = call.stage
                && gives_up_at <= self.now
            {
                self.calls.queries.remove(&query);
                call.give_up();
                expired = true;
            }
        }
        expired
    }

    /// When the first call is given up.
    pub(super) fn next_expiry(&self) -> Option<Timestamp> {
        let expiry_of = |call: &OpenCall| match call.stage {
            Stage::Asked(_, _, gives_up_at) => Some(gives_up_at),
            _ => None,
        };
        self.calls.open.values().filter_map(expiry_of).min()
    }

    /// The process of an instance is gone: whoever waits for it asks another one.
    pub(super) fn abandon_calls(&mut self, place: Place) {
        for id in self.calls.asked(place) {
            if let Some(call) = self.calls.open.get_mut(&id) {
                if let Stage::Asked(_, query, _) = call.stage {
                    self.calls.queries.remove(&query);
                }
                call.pass_on();
            }
        }
    }

    /// The one process there is is gone, with every connection to it.
    pub(super) fn lose_calls(&mut self) -> Result<(), Violation> {
        self.calls.queries.clear();
        for (id, call) in std::mem::take(&mut self.calls.open) {
            let outcome = match (call.call.request.is_some(), call.stage) {
                (_, Stage::Held(outcome @ CallOutcome::Refused, _)) => outcome,
                (true, Stage::Append) => CallOutcome::Refused,
                (true, _) => CallOutcome::Lost,
                (false, _) => CallOutcome::Unavailable,
            };
            self.workload.answered(id, &outcome)?;
        }
        Ok(())
    }
}
