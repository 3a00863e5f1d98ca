//! The one place where the wall clock is read.

use std::time::{SystemTime, UNIX_EPOCH};

use streams::Timestamp;

/// The current time.
pub fn now() -> Timestamp {
    timestamp(precise())
}

/// The current time, as precise as the system has it.
#[expect(clippy::disallowed_methods, reason = "the wall clock is read here and nowhere else")]
pub(crate) fn precise() -> SystemTime {
    SystemTime::now()
}

pub(crate) fn timestamp(time: SystemTime) -> Timestamp {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
