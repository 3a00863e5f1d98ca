//! The `Prefer` header (RFC 7240): how long a client would like to wait.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::duration::WAIT_MAX;

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// The header that says which preference was followed.
pub const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// How an answer is preferred. Whoever asks for both a wait and an answer at once gets the wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preference {
    /// As it comes.
    #[default]
    None,
    /// At once, with the work still to be done.
    RespondAsync,
    /// When the work is done, waiting for it so long; more than [`WAIT_MAX`] is cut to that.
    Wait(Duration),
}

impl Preference {
    /// What the headers of a request say. As the RFC has it, the first of repeated preferences
    /// counts, and what is not understood is no preference.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut respond_async = false;
        let mut wait = None;
        for value in headers.get_all(PREFER) {
            for preference in value.to_str().unwrap_or_default().split(',') {
                let (name, value) = parts(preference);
                respond_async |= name.eq_ignore_ascii_case("respond-async");
                if name.eq_ignore_ascii_case("wait") && wait.is_none() {
                    wait = seconds(value);
                }
            }
        }
        match wait {
            Some(wait) => Preference::Wait(wait.min(WAIT_MAX)),
            None if respond_async => Preference::RespondAsync,
            None => Preference::None,
        }
    }

    /// The value of [`PREFERENCE_APPLIED`] for an answer that followed the preference.
    pub fn applied(self) -> Option<HeaderValue> {
        match self {
            Preference::None => None,
            Preference::RespondAsync => Some(HeaderValue::from_static("respond-async")),
            Preference::Wait(wait) => {
                HeaderValue::try_from(format!("wait={}", wait.as_secs())).ok()
            }
        }
    }
}

/// Name and value of one preference, without its parameters.
fn parts(preference: &str) -> (&str, &str) {
    let preference = preference.split(';').next().unwrap_or_default();
    let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
    (name.trim(), value.trim().trim_matches('"'))
}

fn seconds(digits: &str) -> Option<Duration> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // Digits alone that are no number are too large a number.
    is_number.then(|| digits.parse().map_or(WAIT_MAX, Duration::from_secs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preference(values: &[&str]) -> Preference {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(PREFER, value.parse().unwrap());
        }
        Preference::of(&headers)
    }

    const fn wait(seconds: u64) -> Preference {
        Preference::Wait(Duration::from_secs(seconds))
    }

    #[test]
    fn preferences_are_read_from_all_headers() {
        assert_eq!(preference(&[]), Preference::None);
        assert_eq!(preference(&["wait=5"]), wait(5));
        assert_eq!(preference(&["return=minimal", "foo; a=b, WAIT = \"7\" ; x"]), wait(7));
        assert_eq!(preference(&["respond-async"]), Preference::RespondAsync);
    }

    #[test]
    fn the_first_wait_counts_and_is_at_most_a_minute() {
        assert_eq!(preference(&["wait=5, wait=9"]), wait(5));
        assert_eq!(preference(&["wait=61"]), wait(60));
        assert_eq!(preference(&["wait=99999999999999999999"]), wait(60));
        assert_eq!(preference(&["respond-async, wait=0"]), wait(0));
    }

    #[test]
    fn what_is_not_understood_is_no_preference() {
        for value in ["wait", "wait=", "wait=-1", "wait=5s", "wait=1.5", "later", "=,;"] {
            assert_eq!(preference(&[value]), Preference::None, "{value}");
        }
    }

    #[test]
    fn the_preference_that_was_followed_is_told() {
        assert_eq!(wait(5).applied().unwrap(), "wait=5");
        assert_eq!(Preference::RespondAsync.applied().unwrap(), "respond-async");
        assert_eq!(Preference::None.applied(), None);
    }
}
