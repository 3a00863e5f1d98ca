//! What a run came to.

use std::{fmt, time::Duration};

use crate::crowd::Outcome;

/// What a run came to; its text is one line, and one more for each thing that must not be.
#[derive(Clone, Debug)]
pub struct Report {
    /// How often the server was killed.
    pub kills: u32,
    /// From each kill that it came back from until it was ready again, shortest first.
    pub restarts: Vec<Duration>,
    /// What clients and the log told.
    pub outcome: Outcome,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "crash: {} kills; ", self.kills)?;
        if let [shortest, .., longest] = &self.restarts[..] {
            let middle = self.restarts[self.restarts.len() / 2].as_millis();
            let (shortest, longest) = (shortest.as_millis(), longest.as_millis());
            write!(formatter, "kill to ready {shortest}/{middle}/{longest} ms min/median/max; ")?;
        }
        self.outcome.fmt(formatter)
    }
}
