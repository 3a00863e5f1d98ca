//! Errors as the API tells them: RFC 9457 problem details.

use std::fmt;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::service::ServiceError;

/// How many seconds a client is asked to wait before it tries again.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Why a request was not done. What a client is told is here; what only the operator should know
/// is in the log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ApiError {
    /// The body is no JSON text.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// The body is declared as something else than JSON.
    #[error("the body must be application/json")]
    UnsupportedMediaType,
    /// The body is longer than any request needs.
    #[error("the body is longer than {bytes_max} bytes")]
    BodyTooLarge {
        /// The most bytes a body may have.
        bytes_max: usize,
    },
    /// The body did not arrive in time.
    #[error("the body did not arrive in time")]
    BodyTimedOut,
    /// Parts of the request are not what they should be.
    #[error("{}", invalid_detail(.0))]
    Invalid(Vec<Violation>),
    /// The path, or what it names, does not exist.
    #[error("{0}")]
    NotFound(String),
    /// The path exists, and this method for it does not.
    #[error("this resource does not have that method")]
    MethodNotAllowed,
    /// A rule refuses the request: asked again, it would be refused again.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// What the client wanted to wait for did not come in time.
    #[error("{detail}")]
    WaitTimedOut {
        /// What did not come.
        detail: String,
        /// How things stand now.
        members: Members,
    },
    /// The request cannot be done for now; a retry is safe.
    #[error("the service cannot answer for now")]
    Unavailable {
        /// Why, for the log.
        reason: String,
        /// What a retry needs to know.
        members: Members,
    },
    /// There is too much to do; a retry is safe.
    #[error("too many requests are under way")]
    Overloaded {
        /// What a retry needs to know.
        members: Members,
    },
    /// A fault of the program.
    #[error("the service has a fault; it has been logged")]
    Internal {
        /// What happened, for the log.
        cause: String,
    },
}

/// A request refused by a rule.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// 409 in most cases.
    pub status: StatusCode,
    /// The reason, for programs.
    pub code: &'static str,
    /// The reason with its values, for people.
    pub detail: String,
    /// What the client may want to know of how things stand.
    pub members: Members,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.detail)
    }
}

/// Members of a problem beside those that every problem has.
#[derive(Clone, Debug, Default)]
pub struct Members(Vec<(&'static str, Box<RawValue>)>);

impl Members {
    /// One member. A value that cannot be written is left out.
    pub fn one(name: &'static str, value: &impl Serialize) -> Self {
        let value = serde_json::value::to_raw_value(value);
        Members(value.into_iter().map(|value| (name, value)).collect())
    }
}

/// One part of a request that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where it stands.
    pub place: Place,
    /// What is wrong with it.
    pub detail: String,
}

impl Violation {
    /// Something wrong at a place.
    pub fn new(place: Place, detail: impl fmt::Display) -> Self {
        Violation { place, detail: detail.to_string() }
    }
}

/// A part of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A value of the body, as a JSON pointer (RFC 6901).
    Body(String),
    /// A part of the path or the query, by its name.
    Parameter(String),
    /// A header.
    Header(&'static str),
}

impl Serialize for Violation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        match &self.place {
            Place::Body(pointer) => map.serialize_entry("pointer", pointer)?,
            Place::Parameter(name) => map.serialize_entry("parameter", name)?,
            Place::Header(name) => map.serialize_entry("header", name)?,
        }
        map.serialize_entry("detail", &self.detail)?;
        map.end()
    }
}

fn invalid_detail(violations: &[Violation]) -> String {
    match violations {
        [only] => only.detail.clone(),
        all => format!("{} parts of the request are not valid", all.len()),
    }
}

impl From<Violation> for ApiError {
    fn from(violation: Violation) -> Self {
        ApiError::Invalid(vec![violation])
    }
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        let members = Members::default();
        match error {
            ServiceError::Overloaded => ApiError::Overloaded { members },
            error => ApiError::Unavailable { reason: error.to_string(), members },
        }
    }
}

impl ApiError {
    /// A request refused because of how things stand.
    pub fn conflict(code: &'static str, detail: impl fmt::Display) -> Self {
        ApiError::Refused(Box::new(Refusal {
            status: StatusCode::CONFLICT,
            code,
            detail: detail.to_string(),
            members: Members::default(),
        }))
    }

    /// The same error, telling more where its kind has room for that.
    #[must_use]
    pub fn with_members(mut self, more: Members) -> Self {
        match &mut self {
            ApiError::Refused(refusal) => refusal.members = more,
            ApiError::WaitTimedOut { members, .. }
            | ApiError::Unavailable { members, .. }
            | ApiError::Overloaded { members } => *members = more,
            _ => {}
        }
        self
    }

    /// The HTTP status it is answered with.
    pub fn status_code(&self) -> StatusCode {
        match self {
            ApiError::NotJson(_) => StatusCode::BAD_REQUEST,
            ApiError::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ApiError::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            ApiError::BodyTimedOut => StatusCode::REQUEST_TIMEOUT,
            ApiError::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            ApiError::NotFound(_) => StatusCode::NOT_FOUND,
            ApiError::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            ApiError::Refused(refusal) => refusal.status,
            ApiError::WaitTimedOut { .. } => StatusCode::GATEWAY_TIMEOUT,
            ApiError::Unavailable { .. } | ApiError::Overloaded { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            ApiError::Internal { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The kind of error, for programs: stable over versions, unlike the texts.
    pub fn code(&self) -> &'static str {
        match self {
            ApiError::NotJson(_) => "NOT_JSON",
            ApiError::UnsupportedMediaType => "UNSUPPORTED_MEDIA_TYPE",
            ApiError::BodyTooLarge { .. } => "BODY_TOO_LARGE",
            ApiError::BodyTimedOut => "BODY_TIMED_OUT",
            ApiError::Invalid(_) => "INVALID_REQUEST",
            ApiError::NotFound(_) => "NOT_FOUND",
            ApiError::MethodNotAllowed => "METHOD_NOT_ALLOWED",
            ApiError::Refused(refusal) => refusal.code,
            ApiError::WaitTimedOut { .. } => "WAIT_TIMED_OUT",
            ApiError::Unavailable { .. } => "UNAVAILABLE",
            ApiError::Overloaded { .. } => "OVERLOADED",
            ApiError::Internal { .. } => "INTERNAL_ERROR",
        }
    }

    fn members(&self) -> &[(&'static str, Box<RawValue>)] {
        match self {
            ApiError::Refused(refusal) => &refusal.members.0,
            ApiError::WaitTimedOut { members, .. }
            | ApiError::Unavailable { members, .. }
            | ApiError::Overloaded { members } => &members.0,
            _ => &[],
        }
    }

    /// The id that the client is told.
    fn id(&self) -> Option<&str> {
        let (_, id) = self.members().iter().find(|(name, _)| *name == "id")?;
        Some(id.get().trim_matches('"'))
    }

    /// The whole answer to a request for `instance`, the path that was asked for.
    pub(crate) fn render(&self, instance: &str) -> Response {
        let problem = Problem { error: self, instance };
        let body = serde_json::to_vec(&problem).map(Bytes::from).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status_code();
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
        if self.status_code() == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        response
    }

    /// Logs what an operator should know: of a request for `instance`, about what has this id, and
    /// done for this trace.
    pub(crate) fn log(&self, instance: &str, id: Option<&str>, trace_id: Option<&str>) {
        match self {
            ApiError::Internal { cause } => {
                tracing::error!(instance, id, trace_id, cause, "request failed");
            }
            // At the default level an outage under load would be thousands of lines a second;
            // `/readyz` and the counts of 503 tell of it.
            ApiError::Unavailable { reason, .. } => {
                let id = id.or_else(|| self.id());
                tracing::debug!(instance, id, trace_id, reason, "request not done");
            }
            _ => {}
        }
    }
}

/// The answer leaves the handler as the error itself, and is written where the path is known.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status_code().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

struct Problem<'a> {
    error: &'a ApiError,
    instance: &'a str,
}

impl Serialize for Problem<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let status = self.error.status_code();
        let code = self.error.code();
        let kind = code.to_ascii_lowercase().replace('_', "-");
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &format!("urn:problem-type:{kind}"))?;
        map.serialize_entry("title", &title(code))?;
        map.serialize_entry("status", &status.as_u16())?;
        map.serialize_entry("detail", &self.error.to_string())?;
        map.serialize_entry("instance", self.instance)?;
        map.serialize_entry("code", code)?;
        if let ApiError::Invalid(violations) = self.error {
            map.serialize_entry("errors", violations)?;
        }
        for (name, value) in self.error.members() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// A code as words: `NOT_FOUND` as `Not found`.
fn title(code: &str) -> String {
    let words = code.to_ascii_lowercase().replace('_', " ");
    let (first, rest) = words.split_at(words.len().min(1));
    first.to_ascii_uppercase() + rest
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use serde_json::{Value, json};

    use super::*;

    async fn rendered(error: ApiError) -> (Response<()>, Value) {
        let (head, body) = error.render("/v1/orders/o-1").into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        (Response::from_parts(head, ()), serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_problem_has_the_members_of_rfc_9457_and_a_code() {
        let (response, body) = rendered(ApiError::NotFound("no order o-1".to_owned())).await;

        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(
            body,
            json!({
                "type": "urn:problem-type:not-found",
                "title": "Not found",
                "status": 404,
                "detail": "no order o-1",
                "instance": "/v1/orders/o-1",
                "code": "NOT_FOUND",
            })
        );
    }

    #[tokio::test]
    async fn every_violation_is_told_with_its_place() {
        let (response, body) = rendered(ApiError::Invalid(vec![
            Violation::new(Place::Body("/lines/0/quantity".to_owned()), "too many"),
            Violation::new(Place::Parameter("timeout".to_owned()), "too long"),
            Violation::new(Place::Header("idempotency-key"), "empty"),
        ]))
        .await;

        assert_eq!(response.status(), 422);
        assert_eq!(
            body["errors"],
            json!([
                {"pointer": "/lines/0/quantity", "detail": "too many"},
                {"parameter": "timeout", "detail": "too long"},
                {"header": "idempotency-key", "detail": "empty"},
            ])
        );
    }

    #[tokio::test]
    async fn a_503_asks_for_a_retry_and_keeps_its_reason_to_itself() {
        let error = ApiError::Unavailable {
            reason: "disk on fire".to_owned(),
            members: Members::default(),
        };
        let (response, body) = rendered(error.with_members(Members::one("id", &"o-1"))).await;

        assert_eq!(response.headers()[RETRY_AFTER], "1");
        assert_eq!(body["id"], "o-1");
        assert!(!body.to_string().contains("fire"), "{body}");
    }

    #[tokio::test]
    async fn the_cause_of_a_fault_is_not_told() {
        let (response, body) = rendered(ApiError::Internal { cause: "index 7".to_owned() }).await;

        assert_eq!(response.status(), 500);
        assert!(!body.to_string().contains("index"), "{body}");
    }
}
