//! The one place where the wall clock is read.

use streams::Timestamp;

/// The current time.
#[expect(clippy::disallowed_methods, reason = "the wall clock is read here and nowhere else")]
pub fn now() -> Timestamp {
    let since_epoch =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
