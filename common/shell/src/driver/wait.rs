//! Waiting by a clock that may be set back.

use std::time::Duration;

use streams::Timestamp;

use super::IDLE_MS_MAX;

/// A wait until a time, or until an idle worker looks around: what nobody rings for is found late,
/// not never.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    /// Then it is over at the latest, where there is such a time.
    pub(super) until: Option<Timestamp>,
    /// When it began. A clock that shows an earlier time was set back, and `until` means nothing
    /// any more.
    pub(super) since: Timestamp,
}

impl Wait {
    /// From `now` on, for this long.
    pub(super) fn of_millis(millis: u64, now: Timestamp) -> Self {
        Wait { until: Some(now + millis), since: now }
    }

    pub(super) fn is_over(self, now: Timestamp) -> bool {
        now < self.since || self.end() <= now
    }

    /// How much of it is left.
    pub(super) fn rest(self, now: Timestamp) -> Duration {
        Duration::from_millis(self.end().millis_since(now))
    }

    fn end(self) -> Timestamp {
        let look = self.since + IDLE_MS_MAX;
        self.until.map_or(look, |until| until.min(look))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGAN_AT: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn a_wait_is_over_at_its_time() {
        let wait = Wait { until: Some(BEGAN_AT + 300), since: BEGAN_AT };
        assert!(!wait.is_over(BEGAN_AT + 299));
        assert_eq!(wait.rest(BEGAN_AT + 299), Duration::from_millis(1));
        assert!(wait.is_over(BEGAN_AT + 300));
    }

    #[test]
    fn a_wait_without_a_time_or_with_a_late_one_is_over_when_it_is_time_to_look_around() {
        for until in [None, Some(BEGAN_AT + 2 * IDLE_MS_MAX)] {
            let wait = Wait { until, since: BEGAN_AT };
            assert!(!wait.is_over(BEGAN_AT + IDLE_MS_MAX - 1));
            assert_eq!(wait.rest(BEGAN_AT + IDLE_MS_MAX - 1), Duration::from_millis(1));
            assert!(wait.is_over(BEGAN_AT + IDLE_MS_MAX));
        }
    }

    #[test]
    fn a_clock_that_is_set_back_ends_a_wait() {
        let hour = 3_600_000;
        let wait = Wait { until: Some(BEGAN_AT + hour + 300), since: BEGAN_AT + hour };
        assert!(wait.is_over(BEGAN_AT));
    }
}
