//! `/healthz`, `/readyz` and `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;

use crate::admission::Admission;
use crate::json;
use crate::metrics::Metrics;
use crate::problem::{ApiError, Members};
use crate::service::{Health, ServiceHandle};

#[derive(Serialize)]
pub(crate) struct Status {
    status: &'static str,
    /// What is wrong although everything runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<String>,
}

impl Status {
    pub(crate) const fn new(status: &'static str) -> Self {
        Status { status, degraded: Vec::new() }
    }
}

/// The routes by which an operator sees how the server is.
pub(crate) fn routes(
    services: Vec<ServiceHandle>,
    metrics: Arc<Metrics>,
    admission: Admission,
) -> Router {
    let services: Arc<[ServiceHandle]> = services.into();
    let ready = move || ready(Arc::clone(&services));
    let metrics =
        async move || ([(CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render(&admission));
    Router::new()
        .route("/healthz", get(async || json::answer(StatusCode::OK, &Status::new("alive"))))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

async fn ready(services: Arc<[ServiceHandle]>) -> Result<Response, ApiError> {
    let mut all = Health::default();
    for service in services.iter() {
        let Health { missing, degraded } = service.health().await;
        all.missing.extend(missing);
        all.degraded.extend(degraded);
    }
    if all.missing.is_empty() {
        let status = Status { degraded: all.degraded, ..Status::new("ready") };
        return Ok(json::answer(StatusCode::OK, &status));
    }
    let members = Members::one("missing", &all.missing);
    Err(ApiError::Unavailable { reason: all.missing.join("; "), members })
}
