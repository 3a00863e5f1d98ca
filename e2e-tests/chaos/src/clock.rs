//! The one place where the chaos test reads the machine's clock.

use tokio::time::Instant;

#[expect(clippy::disallowed_methods, reason = "faults are told with their real times")]
pub(super) fn now() -> Instant {
    std::time::Instant::now().into()
}
