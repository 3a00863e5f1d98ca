//! Time as data: nothing in this crate reads a clock.

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// RFC 3339 with milliseconds.
const MILLISECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// 0000-01-01T00:00:00.000Z.
const MIN_RFC3339_MILLIS: i64 = -62_167_219_200_000;
/// 9999-12-31T23:59:59.999Z.
const MAX_RFC3339_MILLIS: i64 = 253_402_300_799_999;

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

    /// The text form in RFC 3339, UTC, with milliseconds. Outside the years 0 to 9999, which RFC
    /// 3339 cannot write, the nearest time inside.
    pub fn to_rfc3339(self) -> String {
        let millis = self.0.clamp(MIN_RFC3339_MILLIS, MAX_RFC3339_MILLIS);
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
            .ok()
            .and_then(|time| time.format(MILLISECONDS).ok())
            .unwrap_or_default()
    }

    /// The time of an RFC 3339 text, whatever its offset; below a millisecond it is cut off.
    /// `None` where the text is no such time.
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let millis = time.unix_timestamp_nanos().div_euclid(1_000_000);
        i64::try_from(millis).ok().map(Timestamp)
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
    fn a_time_is_written_and_read_in_rfc_3339() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_767_323_045_678, "2026-01-02T03:04:05.678Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (MIN_RFC3339_MILLIS, "0000-01-01T00:00:00.000Z"),
            (MAX_RFC3339_MILLIS, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Timestamp::from_millis(millis).to_rfc3339(), text);
            assert_eq!(Timestamp::from_rfc3339(text), Some(Timestamp::from_millis(millis)));
        }
        assert_eq!(Timestamp::from_millis(i64::MAX).to_rfc3339(), "9999-12-31T23:59:59.999Z");
        assert_eq!(
            Timestamp::from_rfc3339("2026-01-02T04:04:05.6789+01:00"),
            Some(Timestamp::from_millis(1_767_323_045_678))
        );
        assert_eq!(Timestamp::from_rfc3339("2026-01-02"), None);
    }

    #[test]
    fn the_time_since_a_later_point_is_zero() {
        let earlier = Timestamp::from_millis(5);
        let later = earlier + 10;
        assert_eq!(later.millis_since(earlier), 10);
        assert_eq!(earlier.millis_since(later), 0);
    }
}
