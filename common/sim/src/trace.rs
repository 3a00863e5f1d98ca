//! What happened last, for whoever looks into a failure.

use std::collections::VecDeque;

/// How many events are kept.
const EVENTS_MAX: usize = 400;

/// The last events of a run. Off at first, since writing them down takes longer than having them
/// happen: the run of a seed that failed is made again with the trace on.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    on: bool,
    number: u64,
    events: VecDeque<String>,
}

impl Trace {
    /// A trace that keeps the last events.
    pub(crate) fn on() -> Self {
        Trace { on: true, ..Trace::default() }
    }

    /// Notes an event.
    pub(crate) fn note(&mut self, event: impl FnOnce() -> String) {
        if !self.on {
            return;
        }
        self.number += 1;
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(format!("{:>7} {}", self.number, event()));
    }

    /// The last events, oldest first.
    pub(crate) fn into_events(self) -> Vec<String> {
        self.events.into()
    }
}
