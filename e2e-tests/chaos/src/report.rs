//! What a run came to.

use std::{collections::BTreeMap, fmt};

use e2e_tests::crowd::Outcome;
use events::order::{OrderState, Reason};
use serde::Serialize;

/// What a run came to; its text is one line of JSON.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Where chance began.
    pub seed: u64,
    /// For how long things went wrong.
    pub seconds: u64,
    /// How often each fault came.
    pub faults: BTreeMap<&'static str, u32>,
    /// How many orders came to rest in each state.
    pub orders: BTreeMap<OrderState, usize>,
    /// How many orders failed for each reason, the first that each has.
    pub reasons: BTreeMap<Reason, usize>,
    /// How many orders clients had an answer about.
    pub orders_answered: usize,
    /// How many answers were 2xx.
    pub successes: u64,
    /// How many requests had no clear answer.
    pub unclear: u64,
    /// From the last cure until all instances were ready.
    pub recovery_ms: u128,
    /// What must not be, and was seen.
    pub findings: Vec<String>,
}

impl Report {
    pub(super) fn add(&mut self, outcome: Outcome) {
        self.orders = outcome.orders.into_iter().filter(|(_, count)| *count > 0).collect();
        self.reasons = outcome.reasons;
        self.orders_answered = outcome.orders_answered;
        self.successes = outcome.successes;
        self.unclear = outcome.unclear;
        self.findings.extend(outcome.findings);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        formatter.write_str(&json)
    }
}
