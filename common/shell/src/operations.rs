//! `/healthz`, `/readyz` and `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::admission::Admission;
use crate::health::Health;
use crate::json;
use crate::metrics::{self, Metrics};
use crate::problem::{ApiError, Members};
use crate::service::ServiceHandle;

/// How long all services together have to say how far their tasks are: less than Prometheus waits
/// for the whole.
const MEASURE_TIME_MAX: Duration = Duration::from_secs(3);

/// How the server is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Status {
    /// `alive` or `ready`.
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
) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(alive))
        .routes(routes!(ready))
        .routes(routes!(measured))
        .with_state(Arc::new(Server { services, metrics, admission }))
}

/// The server as these routes see it.
struct Server {
    services: Vec<ServiceHandle>,
    metrics: Arc<Metrics>,
    admission: Admission,
}

/// Whether the process lives.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "Operations",
    responses((status = 200, description = "It does.", body = Status)),
)]
async fn alive() -> Response {
    json::answer(StatusCode::OK, &Status::new("alive"))
}

/// Whether everything runs: 503 names in `missing` what does not.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "Operations",
    responses((status = 200, description = "Everything runs.", body = Status)),
)]
async fn ready(State(server): State<Arc<Server>>) -> Result<Response, ApiError> {
    let mut all = Health::default();
    for service in &server.services {
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

/// What the server counts, for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "Operations",
    responses((
        status = 200,
        description = "Counts in the text format of OpenMetrics.",
        body = String,
        content_type = "application/openmetrics-text",
    )),
)]
async fn measured(State(server): State<Arc<Server>>) -> Response {
    let Server { services, metrics, admission } = &*server;
    let mut samples = metrics.samples();
    samples.extend(admission.samples());
    let until = Instant::now() + MEASURE_TIME_MAX;
    for service in services {
        samples.extend(service.measure(until).await);
        samples.extend(service.parts().iter().flat_map(|part| part.samples()));
    }
    ([(CONTENT_TYPE, metrics::MEDIA_TYPE)], metrics::render(samples)).into_response()
}
