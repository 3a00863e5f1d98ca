//! The one place where the crash test reads the machine's clock.

use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "a restart is measured with the real clock")]
pub(super) fn now() -> Instant {
    Instant::now()
}
