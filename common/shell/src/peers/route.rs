//! Reads that other instances have passed on.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use streams::{Offset, StoreName, TopicName, Topology};
use tokio::time::Instant;

use super::call::{Encoded, PATH, PassedOutcome, PassedRead};
use crate::admission::Admission;
use crate::json::{self, JsonBody};
use crate::problem::{ApiError, Place, Violation};
use crate::read::{Awaited, Read};
use crate::service::{ServiceError, ServiceHandle};

/// No read waits longer.
const TIMEOUT_MS_MAX: u64 = 60_000;

/// Answers reads that other instances pass on, from what is owned here alone.
struct Passed {
    service: ServiceHandle,
    stores: Vec<StoreName>,
    sources: Vec<TopicName>,
    awaited: fn(&str) -> Option<Awaited>,
}

/// The route of passed reads.
pub(super) fn routes(
    service: ServiceHandle,
    topology: &Topology,
    awaited: fn(&str) -> Option<Awaited>,
) -> Router {
    let stores = topology.stores().to_vec();
    let sources = topology.sources().collect();
    let passed = Passed { service, stores, sources, awaited };
    Router::new().route(PATH, post(read)).with_state(Arc::new(passed))
}

async fn read(
    State(passed): State<Arc<Passed>>,
    Extension(admission): Extension<Admission>,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let read = passed.whole(body.read()?)?;
    let ends_at = Instant::now() + read.timeout;
    match admission.wait(passed.service.read_here(&read, ends_at)).await {
        Ok(Ok(Some(outcome))) => Ok(json::answer(StatusCode::OK, &PassedOutcome::from(outcome))),
        // Whoever stops is about to be nobody's owner.
        Ok(Ok(None)) | Err(ApiError::Unavailable { .. }) => {
            Ok(StatusCode::MISDIRECTED_REQUEST.into_response())
        }
        Ok(Err(ServiceError::NotInTime)) => Ok(StatusCode::GATEWAY_TIMEOUT.into_response()),
        Ok(Err(error)) => Err(error.into()),
        Err(error) => Err(error),
    }
}

impl Passed {
    /// The read as it is asked here, where this instance knows all that it names.
    fn whole(&self, passed: PassedRead) -> Result<Read, ApiError> {
        let entry = |(name, Encoded(key)): (String, Encoded)| {
            let store = self.stores.iter().find(|store| store.to_string() == name);
            store.map(|store| (*store, key)).ok_or_else(|| unknown("/entries", &name))
        };
        let source = |(name, offset): (String, u64)| {
            let topic = self.sources.iter().find(|topic| topic.as_str() == name);
            topic.map(|topic| (*topic, Offset(offset))).ok_or_else(|| unknown("/after", &name))
        };
        let awaited = |name: String| (self.awaited)(&name).ok_or_else(|| unknown("/until", &name));
        Ok(Read {
            partition_key: passed.partition_key.0,
            entries: passed.entries.into_iter().map(entry).collect::<Result<_, _>>()?,
            after: passed.after.map(source).transpose()?,
            until: passed.until.map(awaited).transpose()?,
            timeout: Duration::from_millis(passed.timeout_ms.min(TIMEOUT_MS_MAX)),
        })
    }
}

/// Another version of the service may know more names than this one.
fn unknown(pointer: &str, name: &str) -> ApiError {
    let detail = format!("{name} is not known here");
    ApiError::Invalid(vec![Violation::new(Place::Body(pointer.to_owned()), detail)])
}
