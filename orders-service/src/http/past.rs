//! What an order was: its history, one of its versions, and its events as they come.
//!
//! The owner of the order says how far it is, or that there is none; the read model, which is a
//! moment behind, is waited for until it has come as far.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use events::ids::OrderId;
use events::order::Version;
use events::rfc3339;
use events::topics::ORDERS;
use orders_read_model::stream::{self, LAST_EVENT_ID, last_event_id};
use orders_read_model::{RecordedEvent, parse_event_id};
use serde::Serialize;
use serde_json::value::RawValue;
use shell::params::{PathId, Query};
use shell::problem::{ApiError, Members};
use shell::{duration, json};

use super::read::WAIT_DEFAULT;
use super::stored::StoredOrder;
use super::{Orders, no_such_order};

/// An order's events.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct History<'a> {
    order_id: &'a OrderId,
    events: Vec<PastEvent<'a>>,
}

/// One of them, and where it lies.
#[derive(Serialize)]
struct PastEvent<'a> {
    #[serde(rename = "type")]
    event_type: &'a str,
    version: Version,
    topic: &'static str,
    partition: u32,
    offset: u64,
    time: String,
    order: &'a RawValue,
}

impl<'a> PastEvent<'a> {
    fn new(event: &'a RecordedEvent) -> Result<Self, ApiError> {
        let broken = |error| ApiError::Internal { cause: format!("recorded event: {error}") };
        Ok(PastEvent {
            event_type: &event.event_type,
            version: event.version,
            topic: ORDERS.name().as_str(),
            partition: event.partition.0,
            offset: event.offset.0,
            time: rfc3339::format(event.time),
            order: serde_json::from_str(&event.body).map_err(broken)?,
        })
    }
}

/// `GET /v1/orders/{id}/history`, with `timeout`.
pub(super) async fn history(
    State(orders): State<Arc<Orders>>,
    id: PathId,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = Query::parse(query.as_deref(), &["timeout"])?;
    let timeout = query.read("timeout", duration::parse)?.unwrap_or(WAIT_DEFAULT);
    let id = id.existing("order")?;
    let order = existing(&orders, &id).await?;
    let recorded = recorded(&orders, &id, order.version, timeout).await?;
    let events = recorded.iter().map(PastEvent::new).collect::<Result<_, _>>()?;
    Ok(json::answer(StatusCode::OK, &History { order_id: &id, events }))
}

/// `GET /v1/orders/{id}/events`, with `lastEventId`.
pub(super) async fn events(
    State(orders): State<Arc<Orders>>,
    id: PathId,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = Query::parse(query.as_deref(), &[LAST_EVENT_ID])?;
    let after = last_event_id(&headers, &query, parse_event_id)?;
    let id = id.existing("order")?;
    existing(&orders, &id).await?;
    stream::of_order(&orders.read_model, &orders.admission, &id, after).await
}

/// The order as it was in this version; `None` where it has not come so far.
pub(super) async fn as_of(
    orders: &Orders,
    id: &OrderId,
    version: Version,
    timeout: Duration,
) -> Result<Option<StoredOrder>, ApiError> {
    let order = existing(orders, id).await?;
    if version >= order.version {
        return Ok(Some(order).filter(|order| order.version == version));
    }
    let recorded = recorded(orders, id, version, timeout).await?;
    let event = recorded.into_iter().find(|event| event.version == version);
    let event = event.ok_or_else(|| ApiError::Internal {
        cause: format!("order {id} has no event of version {version} in the read model"),
    })?;
    StoredOrder::of_json(event.body.into()).map(Some)
}

/// The order as its owner has it; a 404 is certain.
async fn existing(orders: &Orders, id: &OrderId) -> Result<StoredOrder, ApiError> {
    let record = orders.look_up(id, None).await?.ok_or_else(|| no_such_order(id))?;
    StoredOrder::read(&record)
}

/// The order's events up to at least this version, waited for.
async fn recorded(
    orders: &Orders,
    id: &OrderId,
    version: Version,
    timeout: Duration,
) -> Result<Vec<RecordedEvent>, ApiError> {
    let reading = tokio::time::timeout(timeout, orders.read_model.history(id, version));
    match orders.admission.wait(reading).await? {
        Ok(recorded) => recorded,
        Err(_) => {
            let detail = format!(
                "the read model does not have version {version} of the order after {} ms",
                timeout.as_millis()
            );
            Err(ApiError::WaitTimedOut { detail, members: Members::one("version", &version) })
        }
    }
}

/// A version that no order can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a version is a number from 1 on")]
pub(super) struct NoVersion;

pub(super) fn parse_version(text: &str) -> Result<Version, NoVersion> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let version = text.parse().ok().filter(|version| is_number && *version > 0);
    version.map(Version).ok_or(NoVersion)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_number_from_1_on() {
        assert_eq!(parse_version("12"), Ok(Version(12)));
        for text in ["", "0", "+1", "-1", "1.0", "x", "4294967296"] {
            assert_eq!(parse_version(text), Err(NoVersion), "{text}");
        }
    }
}
