//! The one place where tests and tools read the machine's clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The machine's clock, to measure with and to tell when something happened.
#[expect(clippy::disallowed_methods, reason = "what is measured takes real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Microseconds since 1970: new for each run, so that no two runs share ids.
#[expect(clippy::disallowed_methods, reason = "ids must be new for each run")]
pub fn micros_since_epoch() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_micros())
}
