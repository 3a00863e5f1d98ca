//! Time as data: nothing in this crate reads a clock.

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// A point in time, in milliseconds since the Unix epoch (UTC).
///
/// Event time comes with each record; the driver passes the current time to a worker.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Timestamp = Timestamp(0);

    /// The point `milliseconds` after the epoch (before it, where negative).
    pub const fn from_millis(milliseconds: i64) -> Self {
        Timestamp(milliseconds)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Milliseconds from `earlier` to `self`; 0 where `earlier` is the later one.
    pub const fn millis_since(self, earlier: Timestamp) -> u64 {
        let difference = self.0.saturating_sub(earlier.0);
        if difference > 0 { difference.unsigned_abs() } else { 0 }
    }
}

impl Add<u64> for Timestamp {
    type Output = Timestamp;

    fn add(self, milliseconds: u64) -> Timestamp {
        Timestamp(self.0.saturating_add_unsigned(milliseconds))
    }
}

impl Sub<u64> for Timestamp {
    type Output = Timestamp;

    fn sub(self, milliseconds: u64) -> Timestamp {
        Timestamp(self.0.saturating_sub_unsigned(milliseconds))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}ms", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_since_a_later_point_is_zero() {
        let earlier = Timestamp::from_millis(5);
        let later = earlier + 10;
        assert_eq!(later.millis_since(earlier), 10);
        assert_eq!(earlier.millis_since(later), 0);
    }
}
