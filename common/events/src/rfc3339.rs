//! Times as text: RFC 3339 in UTC with milliseconds, such as `2026-01-02T03:04:05.678Z`.
//!
//! For fields: `#[serde(with = "events::rfc3339")]`.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserializer, Serializer};
use streams::Timestamp;
use utoipa::openapi::schema::{KnownFormat, Object, ObjectBuilder, SchemaFormat, Type};

/// A text that is no time of the one form that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time is written like 2026-01-02T03:04:05.678Z")]
pub struct Error;

const MILLISECONDS_A_DAY: i64 = 24 * 60 * 60 * 1000;
/// The form of every time; digits stand for digits.
const FORM: [u8; 24] = *b"0000-00-00T00:00:00.000Z";

/// The text of a point in time. A point outside the years 0 to 9999, which the form cannot say, is
/// written as the nearest one that it can.
pub fn format(timestamp: Timestamp) -> String {
    timestamp.to_rfc3339()
}

/// What such a text looks like, for fields: `#[schema(schema_with = events::rfc3339::schema)]`.
pub fn schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .pattern(Some(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.]\d{3}Z$"))
        .build()
}

/// The point in time of a text.
///
/// # Errors
/// [`Error`] where the text has another form, or names a date or time that there is not.
pub fn parse(text: &str) -> Result<Timestamp, Error> {
    let bytes: &[u8; 24] = text.as_bytes().try_into().map_err(|_| Error)?;
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        sign => byte == sign,
    };
    if !bytes.iter().zip(&FORM).all(fits) {
        return Err(Error);
    }
    let number = |from: usize, until: usize| {
        bytes[from..until].iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'))
    };
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (hour, minute, second) = (number(11, 13), number(14, 16), number(17, 19));
    let is_date = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    if !is_date || hour > 23 || minute > 59 || second > 59 {
        return Err(Error);
    }
    let seconds = (hour * 60 + minute) * 60 + second;
    let in_day = seconds * 1000 + number(20, 23);
    Ok(Timestamp::from_millis(days_since_epoch(year, month, day) * MILLISECONDS_A_DAY + in_day))
}

/// Writes a time into a field.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(timestamp: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(&timestamp.rfc3339()))
}

/// Reads a time from a field.
///
/// # Errors
/// Where the field holds no time.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    struct TimeVisitor;

    impl Visitor<'_> for TimeVisitor {
        type Value = Timestamp;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a time")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
            parse(text).map_err(E::custom)
        }
    }

    deserializer.deserialize_str(TimeVisitor)
}

const DAYS_IN_400_YEARS: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_DAY: i64 = 719_468;

/// Days from 1970-01-01 to a day. Years are taken to begin in March, so that the leap day is the
/// last of its year.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_IN_400_YEARS + day_of_era - EPOCH_DAY
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// 0000-01-01T00:00:00.000Z, in milliseconds since the Unix epoch.
    const FIRST: i64 = -62_167_219_200_000;
    /// 9999-12-31T23:59:59.999Z, in milliseconds since the Unix epoch.
    const LAST: i64 = 253_402_300_799_999;

    #[test]
    fn known_points_in_time_have_their_known_texts() {
        for (milliseconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_767_323_045_678, "2026-01-02T03:04:05.678Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (FIRST, "0000-01-01T00:00:00.000Z"),
            (LAST, "9999-12-31T23:59:59.999Z"),
        ] {
            let timestamp = Timestamp::from_millis(milliseconds);
            assert_eq!(format(timestamp), text);
            assert_eq!(parse(text), Ok(timestamp));
        }
    }

    #[test]
    fn a_time_that_the_form_cannot_say_is_written_as_the_nearest() {
        assert_eq!(format(Timestamp::from_millis(i64::MIN)), "0000-01-01T00:00:00.000Z");
        assert_eq!(format(Timestamp::from_millis(i64::MAX)), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn other_forms_and_dates_that_there_are_not_are_refused() {
        for text in [
            "",
            "2026-01-02T03:04:05Z",
            "2026-01-02T03:04:05.678+",
            "2026-01-02t03:04:05.678Z",
            "2026-01-02T03:04:05.67éZ",
            "2026-13-02T03:04:05.678Z",
            "2026-00-02T03:04:05.678Z",
            "2026-04-31T03:04:05.678Z",
            "2026-02-29T03:04:05.678Z",
            "2100-02-29T03:04:05.678Z",
            "2026-01-00T03:04:05.678Z",
            "2026-01-02T24:04:05.678Z",
            "2026-01-02T03:60:05.678Z",
            "2026-01-02T03:04:60.678Z",
        ] {
            assert_eq!(parse(text), Err(Error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn times_read_back_and_order_like_their_texts(one in FIRST..=LAST, other in FIRST..=LAST) {
            let (one, other) = (Timestamp::from_millis(one), Timestamp::from_millis(other));
            prop_assert_eq!(parse(&format(one)), Ok(one));
            prop_assert_eq!(one.cmp(&other), format(one).cmp(&format(other)));
        }
    }
}
