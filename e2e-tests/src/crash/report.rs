//! What a run came to.

use std::{collections::BTreeMap, fmt, time::Duration};

use events::order::{OrderState, Reason};

/// What a run came to; its text is one line, and one more for each thing that must not be.
#[derive(Clone, Debug)]
pub struct Report {
    /// How often the server was killed.
    pub kills: u32,
    /// From each kill that it came back from until it was ready again, shortest first.
    pub restarts: Vec<Duration>,
    /// How many orders came to rest in each state.
    pub orders: Vec<(OrderState, usize)>,
    /// How many orders failed for each reason, the first that each has.
    pub reasons: BTreeMap<Reason, usize>,
    /// How many orders clients had an answer about.
    pub orders_answered: usize,
    /// How many answers were 2xx.
    pub successes: u64,
    /// How many requests had no clear answer.
    pub unclear: u64,
    /// What must not be, and was seen.
    pub findings: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kills, successes, unclear, orders_answered, .. } = self;
        let total: usize = self.orders.iter().map(|(_, count)| count).sum();
        write!(formatter, "crash: {kills} kills, {total} orders (")?;
        let kept = self.orders.iter().filter(|(_, count)| *count > 0);
        for (at, (state, count)) in kept.enumerate() {
            write!(formatter, "{}{count} {state}", if at == 0 { "" } else { ", " })?;
        }
        write!(formatter, "; failed for {:?}), ", self.reasons)?;
        write!(formatter, "{orders_answered} answered; {successes} answers 2xx, ")?;
        write!(formatter, "{unclear} without a clear answer; ")?;
        if let [shortest, .., longest] = &self.restarts[..] {
            let middle = self.restarts[self.restarts.len() / 2].as_millis();
            let (shortest, longest) = (shortest.as_millis(), longest.as_millis());
            write!(formatter, "kill to ready {shortest}/{middle}/{longest} ms min/median/max; ")?;
        }
        match self.findings.len() {
            0 => formatter.write_str("no violation"),
            count => write!(formatter, "{count} VIOLATIONS"),
        }?;
        self.findings.iter().try_for_each(|finding| write!(formatter, "\n  {finding}"))
    }
}
