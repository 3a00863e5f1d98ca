//! Durations in parameters: `250ms`, `5s`, or a plain number of milliseconds.

use std::time::Duration;

/// The longest that a client may ask to wait.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

/// Why a text is no time to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another form.
    #[error("a duration is written like 250ms, 5s, or 250 for milliseconds")]
    Malformed,
    /// More than [`WAIT_MAX`].
    #[error("a duration is at most {} s", WAIT_MAX.as_secs())]
    TooLong,
}

/// The time to wait that a text says.
///
/// # Errors
/// [`Error`].
pub fn parse(text: &str) -> Result<Duration, Error> {
    let (digits, unit_ms) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => text.strip_suffix('s').map_or((text, 1), |digits| (digits, 1000)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::Malformed);
    }
    // Digits alone that are no number are too large a number.
    let number: u64 = digits.parse().map_err(|_| Error::TooLong)?;
    let duration = Duration::from_millis(number.checked_mul(unit_ms).ok_or(Error::TooLong)?);
    if duration > WAIT_MAX { Err(Error::TooLong) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_milliseconds_unless_it_says_seconds() {
        for (text, millis) in
            [("250ms", 250), ("5s", 5_000), ("40", 40), ("0", 0), ("60s", 60_000), ("060s", 60_000)]
        {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn more_than_a_minute_is_too_long() {
        for text in ["60001", "60001ms", "61s", "18446744073709551616", "18446744073709551615s"] {
            assert_eq!(parse(text), Err(Error::TooLong), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_duration() {
        for text in ["", "s", "ms", "-5s", "+5", "1.5s", "5 s", "5S", "1m", "٣s", "5sms", "PT5S"] {
            assert_eq!(parse(text), Err(Error::Malformed), "{text}");
        }
    }
}
