//! What a request is about, as the log and its span tell it.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue};
use streams::cloud_event;
use traces::{RequestTrace, Traces};

/// What is told of a request beside what became of it. Kept as long as the request waits, so
/// it holds nothing of the request's head.
pub(crate) struct Subject {
    path: Box<str>,
    route: Option<MatchedPath>,
    trace: Option<Arc<RequestTrace>>,
}

impl Subject {
    /// What a request is about, and its trace, with these spans where they are wanted.
    pub(crate) fn of(request: &Request, traces: Option<&Traces>) -> Self {
        let trace_parent = request.headers().get(cloud_event::TRACE_PARENT);
        Subject {
            path: request.uri().path().into(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            trace: RequestTrace::of(trace_parent.map(HeaderValue::as_bytes), traces),
        }
    }

    /// The path that was asked for.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The pattern that the path matched.
    pub(crate) fn route(&self) -> &str {
        self.route.as_ref().map_or("none", MatchedPath::as_str)
    }

    /// The trace that it belongs to, where there is one.
    pub(crate) const fn trace(&self) -> Option<&Arc<RequestTrace>> {
        self.trace.as_ref()
    }

    /// The id of that trace, in hexadecimal digits.
    pub(crate) fn trace_id(&self) -> Option<String> {
        let trace_id = self.trace.as_ref().and_then(|trace| trace.trace_id())?;
        Some(format!("{trace_id:032x}"))
    }

    /// The id of what it is about, an order's of one about an order: as the path has it, or else as
    /// the answer says where that is.
    pub(crate) fn id<'a>(&'a self, answer: &'a HeaderMap) -> Option<&'a str> {
        let of_path = || {
            let parts = self.route().split('/').zip(self.path.split('/'));
            parts.into_iter().find(|(pattern, _)| pattern.starts_with('{')).map(|(_, id)| id)
        };
        let of_answer = || answer.get(LOCATION)?.to_str().ok()?.rsplit('/').next();
        of_path().or_else(of_answer)
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::StatusCode;
    use axum::routing::get;
    use serde_json::{Value, json};
    use tower::ServiceExt;
    use utoipa_axum::router::OpenApiRouter;

    use super::*;
    use crate::admission::{Admission, Limits};
    use crate::edge;
    use crate::problem::{ApiError, Members};
    use crate::telemetry::tests::Written;

    const TRACE_PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    async fn fault() -> ApiError {
        ApiError::Internal { cause: "index 7".to_owned() }
    }

    /// An application that finds each sheep to be a fault, and takes new ones, called dolly, but
    /// not for long.
    fn application() -> Router {
        let bought = async || (StatusCode::CREATED, [(LOCATION, "/v1/sheep/dolly")]);
        let lost = async || {
            let (reason, members) = ("no meadow".to_owned(), Members::one("id", &"dolly"));
            ApiError::Unavailable { reason, members }
        };
        let api = OpenApiRouter::new()
            .route("/v1/sheep/{id}/wool", get(fault))
            .route("/v1/sheep", get(lost).post(bought));
        edge::application(api, &Admission::new(Limits::default()), Vec::new())
    }

    /// The one line that a request leaves with these words, without its time.
    async fn line(request: &str, filter: &str, message: &str) -> Value {
        let (method, path) = request.split_once(' ').unwrap();
        let request = Request::builder().method(method).uri(path);
        let request = request.header("traceparent", TRACE_PARENT).body(Body::empty()).unwrap();
        let written = Written::default();
        let guard = written.log_json(filter);
        application().oneshot(request).await.unwrap();
        drop(guard);
        let lines = written.lines().into_iter();
        let mut lines = lines.filter(|line| line["message"] == message);
        let mut line = lines.next().unwrap();
        assert_eq!(lines.next(), None);
        line.as_object_mut().unwrap().retain(|name, _| name != "timestamp");
        line
    }

    #[tokio::test]
    async fn a_fault_is_logged_with_the_id_in_the_path_and_the_trace_of_the_client() {
        assert_eq!(
            line("GET /v1/sheep/o-1/wool", "info", "request failed").await,
            json!({
                "level": "ERROR",
                "target": "shell::problem",
                "message": "request failed",
                "instance": "/v1/sheep/o-1/wool",
                "id": "o-1",
                "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
                "cause": "index 7",
            })
        );
    }

    #[tokio::test]
    async fn what_is_not_done_is_logged_with_the_id_that_the_client_is_told() {
        let line = line("GET /v1/sheep", "debug", "request not done").await;

        assert_eq!((&line["id"], &line["reason"]), (&json!("dolly"), &json!("no meadow")));
    }

    #[tokio::test]
    async fn every_answer_is_logged_where_that_is_wanted() {
        let line = line("POST /v1/sheep", "shell::edge=debug", "answered").await;

        assert_eq!(line["id"], "dolly");
        assert_eq!(line["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!((&line["method"], &line["status"]), (&json!("POST"), &json!(201)));
        assert!(line["duration_ms"].is_u64(), "{line}");
    }
}
