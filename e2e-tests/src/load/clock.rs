//! The one place where the load tool reads the machine's clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

#[expect(clippy::disallowed_methods, reason = "a latency is measured with the real clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// Microseconds since 1970: new for each run, so that no two runs share ids.
#[expect(clippy::disallowed_methods, reason = "ids must be new for each run")]
pub(super) fn micros_since_epoch() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_micros())
}
