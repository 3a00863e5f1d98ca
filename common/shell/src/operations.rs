//! `/healthz`, `/readyz` and `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use axum::routing::get;
use serde::Serialize;

use crate::admission::Admission;
use crate::health::Health;
use crate::json;
use crate::metrics::Metrics;
use crate::problem::{ApiError, Members};
use crate::service::ServiceHandle;

#[derive(Serialize)]
pub(crate) struct Status {
    status: &'static str,
    /// What is wrong although everything runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<String>,
    /// What else there is to know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    information: Vec<String>,
}

impl Status {
    pub(crate) const fn new(status: &'static str) -> Self {
        Status { status, degraded: Vec::new(), information: Vec::new() }
    }
}

/// The routes by which an operator sees how the server is.
pub(crate) fn routes(
    services: Vec<ServiceHandle>,
    metrics: Arc<Metrics>,
    admission: Admission,
) -> Router {
    let services: Arc<[ServiceHandle]> = services.into();
    let parts = Arc::clone(&services);
    let ready = move || ready(Arc::clone(&services));
    let metrics = async move || {
        let parts: Vec<_> = parts.iter().flat_map(ServiceHandle::parts).collect();
        ([(CONTENT_TYPE, "text/plain; version=0.0.4")], metrics.render(&admission, &parts))
    };
    Router::new()
        .route("/healthz", get(async || json::answer(StatusCode::OK, &Status::new("alive"))))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

async fn ready(services: Arc<[ServiceHandle]>) -> Result<Response, ApiError> {
    let mut all = Health::default();
    for service in services.iter() {
        let Health { missing, degraded, information } = service.health().await;
        all.missing.extend(missing);
        all.degraded.extend(degraded);
        all.information.extend(information);
    }
    if all.missing.is_empty() {
        let Health { degraded, information, .. } = all;
        let status = Status { degraded, information, ..Status::new("ready") };
        return Ok(json::answer(StatusCode::OK, &status));
    }
    let members = Members::one("missing", &all.missing);
    Err(ApiError::Unavailable { reason: all.missing.join("; "), members })
}
