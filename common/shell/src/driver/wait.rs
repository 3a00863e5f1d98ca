//! Waiting by a clock that may be set back.

use std::time::Duration;

use streams::Timestamp;

use super::IDLE_MAX;

/// A wait until a time.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    /// Then it is over; `None` where nothing but the bell ends it.
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
        now < self.since || self.until.is_some_and(|until| until <= now)
    }

    /// How long it may sleep before it looks around.
    pub(super) fn rest(self, now: Timestamp) -> Duration {
        let until = self.until.map(|until| Duration::from_millis(until.millis_since(now)));
        until.unwrap_or(IDLE_MAX).min(IDLE_MAX)
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
    fn a_wait_without_a_time_is_for_the_bell_alone() {
        let wait = Wait { until: None, since: BEGAN_AT };
        assert!(!wait.is_over(BEGAN_AT + 1_000_000));
        assert_eq!(wait.rest(BEGAN_AT + 1_000_000), IDLE_MAX);
    }

    #[test]
    fn a_clock_that_is_set_back_ends_a_wait() {
        let hour = 3_600_000;
        let wait = Wait { until: Some(BEGAN_AT + hour + 300), since: BEGAN_AT + hour };
        assert!(wait.is_over(BEGAN_AT));
    }
}
