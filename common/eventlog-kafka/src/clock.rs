//! The only place that reads a clock.

use std::time::{Duration, Instant, SystemTime};

/// A moment until which something is waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn after(time: Duration) -> Self {
        Deadline(now() + time)
    }

    /// A moment that has passed for so long.
    #[cfg(test)]
    pub(crate) fn since(time: Duration) -> Self {
        Deadline(now() - time)
    }

    /// The time that is left, zero when it has passed.
    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(now())
    }

    /// The time since it has passed, zero before.
    pub(crate) fn passed_since(self) -> Duration {
        now().saturating_duration_since(self.0)
    }

    pub(crate) fn has_passed(self) -> bool {
        self.left().is_zero()
    }
}

#[expect(clippy::disallowed_methods, reason = "time-outs of calls to a broker")]
fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since 1970, to tell how old a store on disk is.
#[expect(clippy::disallowed_methods, reason = "a store's age spans restarts of the machine")]
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
