//! A server that takes connections before what it serves can run.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use tower::ServiceExt;

use crate::json;
use crate::operations::Status;
use crate::problem::{ApiError, Members};

/// An application that is not there yet.
#[derive(Clone, Debug, Default)]
pub struct Starting(Arc<OnceLock<Router>>);

impl Starting {
    /// From now on this application answers.
    pub fn is_ready(&self, application: Router) {
        // The first one stays: there is one start.
        let _ = self.0.set(application);
    }

    /// What answers until then: that the process lives, and that it waits for `missing`.
    pub fn application(&self, missing: &'static str) -> Router {
        let whole = Arc::clone(&self.0);
        Router::new().fallback(async move |request: Request| match whole.get() {
            Some(application) => {
                let Ok(response) = application.clone().oneshot(request).await;
                response
            }
            None => while_starting(request.uri().path(), missing),
        })
    }
}

fn while_starting(path: &str, missing: &'static str) -> Response {
    if path == "/healthz" {
        return json::answer(StatusCode::OK, &Status::new("alive"));
    }
    let members = Members::one("missing", &[missing]);
    ApiError::Unavailable { reason: missing.to_owned(), members }.render(path)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use http_body_util::BodyExt;

    use super::*;

    async fn status(application: &Router, path: &str) -> (u16, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = application.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_server_that_starts_lives_and_says_what_it_waits_for_until_it_is_there() {
        let starting = Starting::default();
        let application = starting.application("no broker yet");
        assert_eq!(status(&application, "/healthz").await.0, 200);
        for path in ["/readyz", "/v1/orders/o-1"] {
            let (code, body) = status(&application, path).await;
            assert_eq!(code, 503);
            assert!(body.contains(r#""missing":["no broker yet"]"#), "{body}");
        }

        starting.is_ready(Router::new().route("/readyz", get(async || "there")));

        assert_eq!(status(&application, "/readyz").await, (200, "there".to_owned()));
        assert_eq!(status(&application, "/v1/orders/o-1").await.0, 404);
    }
}
