//! Time as data: nothing in this crate reads a clock.
#![warn(missing_docs)]

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// 0000-01-01T00:00:00.000Z.
const MIN_RFC3339_MILLIS: i64 = -62_167_219_200_000;
/// 9999-12-31T23:59:59.999Z.
const MAX_RFC3339_MILLIS: i64 = 253_402_300_799_999;

const MILLIS_A_DAY: i64 = 24 * 60 * 60 * 1_000;
const DAYS_IN_400_YEARS: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAY: i64 = 719_468;

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
        String::from_utf8_lossy(&self.rfc3339()).into_owned()
    }

    /// The same text as bytes, all of them ASCII. Several are written for each record, so this is
    /// made for speed.
    pub fn rfc3339(self) -> [u8; 24] {
        let millis = self.0.clamp(MIN_RFC3339_MILLIS, MAX_RFC3339_MILLIS);
        let (year, month, day) = date(millis.div_euclid(MILLIS_A_DAY));
        let in_day = millis.rem_euclid(MILLIS_A_DAY);
        let seconds = in_day / 1_000;
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let mut write = |mut number: i64, from: usize, until: usize| {
            for at in (from..until).rev() {
                text[at] = b'0' + (number % 10).unsigned_abs() as u8;
                number /= 10;
            }
        };
        write(year, 0, 4);
        write(month, 5, 7);
        write(day, 8, 10);
        write(seconds / 3_600, 11, 13);
        write(seconds / 60 % 60, 14, 16);
        write(seconds % 60, 17, 19);
        write(in_day % 1_000, 20, 23);
        text
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

/// Year, month and day of a day counted from 1970-01-01.
///
/// Years are taken to begin in March, so that the leap day is the last of its year and the month
/// follows from the day of the year by a straight line (153 days in 5 months).
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAY;
    let era = days.div_euclid(DAYS_IN_400_YEARS);
    let day_of_era = days.rem_euclid(DAYS_IN_400_YEARS);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
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
