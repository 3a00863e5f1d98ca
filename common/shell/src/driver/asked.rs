//! Those who wait for the answers of a worker.

use std::collections::HashMap;

use streams::{QueryId, QueryOutcome, Timestamp};
use tokio::sync::oneshot;

use super::wait::Wait;

/// How often to look who has gone, in milliseconds.
const LOOK_MS: u64 = 1_000;
/// How many more than twice those who were left last time may wait, before it is looked at once.
const MORE_MAX: usize = 1_024;

/// The clients that wait for an answer, by query. Each may go away without a word.
#[derive(Default)]
pub(super) struct Asked {
    clients: HashMap<QueryId, oneshot::Sender<QueryOutcome>>,
    next_query: u64,
    /// How many were left when it was last looked who had gone.
    left: usize,
    next_look: Option<Wait>,
}

impl Asked {
    /// Gives a name to the query of a client.
    pub(super) fn add(&mut self, respond: oneshot::Sender<QueryOutcome>) -> QueryId {
        let id = QueryId(self.next_query);
        self.next_query += 1;
        self.clients.insert(id, respond);
        id
    }

    /// Whoever waits for the answer to this query.
    pub(super) fn take(&mut self, query: QueryId) -> Option<oneshot::Sender<QueryOutcome>> {
        self.clients.remove(&query)
    }

    /// The queries whose clients have gone, now and then: so often that there are never many, and
    /// so seldom that looking at all costs little for each query.
    pub(super) fn gone(&mut self, now: Timestamp) -> Vec<QueryId> {
        let next_look = *self.next_look.get_or_insert(Wait::of_millis(LOOK_MS, now));
        if self.clients.len() < 2 * self.left + MORE_MAX && !next_look.is_over(now) {
            return Vec::new();
        }
        let gone = self.clients.extract_if(|_, client| client.is_closed());
        let gone = gone.map(|(query, _)| query).collect();
        self.left = self.clients.len();
        self.next_look = None;
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn ask(asked: &mut Asked, count: usize) -> Vec<oneshot::Receiver<QueryOutcome>> {
        let channels = std::iter::repeat_with(oneshot::channel).take(count);
        channels.map(|(respond, answer)| (asked.add(respond), answer).1).collect()
    }

    #[test]
    fn who_has_gone_is_looked_for_once_a_second() {
        let mut asked = Asked::default();
        assert_eq!(asked.gone(NOW), []);
        let mut answers = ask(&mut asked, 3);
        answers.remove(1);

        assert_eq!(asked.gone(NOW + LOOK_MS - 1), []);
        assert_eq!(asked.gone(NOW + LOOK_MS), [QueryId(1)]);
        assert!(asked.take(QueryId(0)).is_some());
        assert!(asked.take(QueryId(1)).is_none());
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_put_the_look_off() {
        let mut asked = Asked::default();
        assert_eq!(asked.gone(NOW), []);
        drop(ask(&mut asked, 1));

        assert_eq!(asked.gone(NOW + LOOK_MS - 1 - 3_600_000), [QueryId(0)]);
    }

    #[test]
    fn many_new_queries_are_looked_at_at_once_and_in_growing_steps() {
        let mut asked = Asked::default();
        let _waiting = ask(&mut asked, MORE_MAX);
        assert_eq!(asked.gone(NOW), []);
        drop(ask(&mut asked, 2 * MORE_MAX - 1));
        assert_eq!(asked.gone(NOW), []);

        drop(ask(&mut asked, 1));

        assert_eq!(asked.gone(NOW).len(), 2 * MORE_MAX);
    }
}
