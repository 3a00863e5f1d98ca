//! How one order ended, told from as little of the answers as possible.

use std::fmt;

use crate::http_client::{self, Answer};

/// Codes and reasons come from the server; a longer one is no code.
const CODE_BYTES_MAX: usize = 64;

// How the fields begin that are looked for.
const STATE: &[u8] = br#""state":""#;
const REASON: &[u8] = br#""reason":""#;
const CODE: &[u8] = br#""code":""#;

/// Which of the two requests of an order.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Step {
    Post,
    Get,
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Post => "POST",
            Self::Get => "GET",
        })
    }
}

/// Why an order did not become VALIDATED; its text is the key it is counted under.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Failure {
    /// Another status than a good one, with the problem's code.
    Refused { step: Step, status: u16, code: String },
    /// No whole answer.
    Transport { step: Step, cause: &'static str },
    /// The order itself ended otherwise, or stands where it should not.
    Order { state: String, reason: String },
    /// It was due, and every connection was busy until the run had to end.
    NotSent,
    /// What comes after the most kinds that are kept apart.
    Other,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { step, status, code } if code.is_empty() => {
                write!(formatter, "{step} {status}")
            }
            Self::Refused { step, status, code } => write!(formatter, "{step} {status} {code}"),
            Self::Transport { step, cause } => write!(formatter, "{step} transport: {cause}"),
            Self::Order { state, reason } if reason.is_empty() => {
                write!(formatter, "order {state}")
            }
            Self::Order { state, reason } => write!(formatter, "order {state}: {reason}"),
            Self::NotSent => formatter.write_str("not sent: all connections busy"),
            Self::Other => formatter.write_str("other"),
        }
    }
}

impl Failure {
    pub(super) fn transport(step: Step, error: &http_client::Error) -> Self {
        use http_client::Error;
        let cause = match error {
            Error::Url { .. } | Error::Path { .. } => "request not valid",
            Error::Unreachable { .. } => "not connected",
            Error::Broken(_) => "connection broken",
            Error::AnswerTooLong => "answer too long",
            Error::TimedOut { .. } => "no answer in time",
        };
        Self::Transport { step, cause }
    }

    fn refused(step: Step, answer: &Answer) -> Self {
        let code = text_field(&answer.body, CODE).to_owned();
        Self::Refused { step, status: answer.status, code }
    }

    fn order(answer: &Answer) -> Self {
        Self::Order {
            state: text_field(&answer.body, STATE).to_owned(),
            reason: text_field(&answer.body, REASON).to_owned(),
        }
    }
}

/// Whether the order was taken: 201, or 202 for one whose decision is still to come.
pub(super) fn of_post(answer: &Answer) -> Result<(), Failure> {
    match answer.status {
        201 | 202 => Ok(()),
        _ => Err(Failure::refused(Step::Post, answer)),
    }
}

/// Whether the order that was waited for is VALIDATED or past it.
pub(super) fn of_order(answer: &Answer) -> Result<(), Failure> {
    if answer.status != 200 {
        return Err(Failure::refused(Step::Get, answer));
    }
    match text_field(&answer.body, STATE) {
        "VALIDATED" | "PAID" | "SHIPPED" => Ok(()),
        _ => Err(Failure::order(answer)),
    }
}

/// Whether a wait for what never happens was ended by its time-out, 504. An order that was
/// answered instead tells its state.
pub(super) fn of_wait_without_end(answer: &Answer) -> Result<(), Failure> {
    match answer.status {
        504 => Ok(()),
        200 => Err(Failure::order(answer)),
        _ => Err(Failure::refused(Step::Get, answer)),
    }
}

/// Whether an answer of the empty route is a 200.
pub(super) fn of_empty_route(answer: &Answer) -> Result<(), Failure> {
    match answer.status {
        200 => Ok(()),
        _ => Err(Failure::refused(Step::Get, answer)),
    }
}

/// The text of the first string field that begins so, or nothing. Reads no JSON: a quote inside
/// a string is escaped, so `"name":"` stands in the body only where such a field begins.
fn text_field<'a>(body: &'a [u8], start: &[u8]) -> &'a str {
    let Some(at) = body.windows(start.len()).position(|window| window == start) else {
        return "";
    };
    let rest = &body[at + start.len()..];
    let text = rest.split(|byte| *byte == b'"').next().unwrap_or_default();
    if text.len() > CODE_BYTES_MAX {
        return "";
    }
    std::str::from_utf8(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hyper::HeaderMap;

    use super::*;

    fn answer(status: u16, body: &'static str) -> Answer {
        Answer { status, headers: HeaderMap::new(), body: Bytes::from_static(body.as_bytes()) }
    }

    fn kind(outcome: Result<(), Failure>) -> String {
        outcome.map_or_else(|failure| failure.to_string(), |()| "good".into())
    }

    #[test]
    fn an_order_that_was_taken_is_good() {
        assert_eq!(of_post(&answer(201, "{}")), Ok(()));
        assert_eq!(of_post(&answer(202, "")), Ok(()));
    }

    #[test]
    fn a_refused_post_is_counted_by_status_and_code() {
        let problem = r#"{"type":"about:blank","status":503,"code":"OVERLOADED"}"#;
        assert_eq!(kind(of_post(&answer(503, problem))), "POST 503 OVERLOADED");
        assert_eq!(kind(of_post(&answer(500, "oops"))), "POST 500");
        assert_eq!(kind(of_post(&answer(200, r#"{"state":"PAID"}"#))), "POST 200");
    }

    #[test]
    fn an_order_is_good_when_validated_or_past_it() {
        for state in ["VALIDATED", "PAID", "SHIPPED"] {
            let body = format!(r#"{{"id":"o-1","state":"{state}","failures":[]}}"#);
            let answer = Answer { body: body.into(), ..answer(200, "") };
            assert_eq!(of_order(&answer), Ok(()), "{state}");
        }
    }

    #[test]
    fn an_order_that_failed_is_counted_by_its_first_reason() {
        let body = r#"{"id":"o-1","state":"FAILED","failures":[
            {"check":"FRAUD","reason":"SPENDING_LIMIT"},{"reason":"TIMEOUT"}]}"#;
        assert_eq!(kind(of_order(&answer(200, body))), "order FAILED: SPENDING_LIMIT");
        assert_eq!(kind(of_order(&answer(200, r#"{"state":"CREATED"}"#))), "order CREATED");
    }

    #[test]
    fn a_wait_that_ran_out_is_counted_as_such_whatever_the_order_in_it() {
        let body = r#"{"code":"WAIT_TIMED_OUT","order":{"state":"VALIDATED"}}"#;
        assert_eq!(kind(of_order(&answer(504, body))), "GET 504 WAIT_TIMED_OUT");
    }

    #[test]
    fn a_wait_without_end_is_good_only_when_its_time_ran_out() {
        let timed_out = r#"{"code":"WAIT_TIMED_OUT","order":{"state":"PAID"}}"#;
        assert_eq!(of_wait_without_end(&answer(504, timed_out)), Ok(()));
        let early = answer(200, r#"{"state":"PAID"}"#);
        assert_eq!(kind(of_wait_without_end(&early)), "order PAID");
        assert_eq!(kind(of_wait_without_end(&answer(503, ""))), "GET 503");
    }

    #[test]
    fn a_field_named_inside_a_string_is_not_taken_for_the_field() {
        let body = r#"{"detail":"\"state\":\"PAID\"","state":"FAILED","reason":"TIMEOUT"}"#;
        assert_eq!(kind(of_order(&answer(200, body))), "order FAILED: TIMEOUT");
    }

    #[test]
    fn a_code_too_long_to_be_one_is_left_out() {
        let body = format!(r#"{{"code":"{}"}}"#, "x".repeat(CODE_BYTES_MAX + 1));
        let answer = Answer { body: body.into(), ..answer(400, "") };
        assert_eq!(kind(of_post(&answer)), "POST 400");
    }

    #[test]
    fn a_lost_answer_is_counted_by_its_cause() {
        let lost = http_client::Error::TimedOut { time_max_ms: 10 };
        assert_eq!(
            Failure::transport(Step::Get, &lost).to_string(),
            "GET transport: no answer in time"
        );
    }
}
