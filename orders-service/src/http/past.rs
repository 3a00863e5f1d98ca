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
use events::order::{Order, Version};
use events::rfc3339;
use events::topics::ORDERS;
use orders_read_model::stream::{self, LAST_EVENT_ID, last_event_id};
use orders_read_model::{RecordedEvent, parse_event_id};
use serde::Serialize;
use serde_json::value::RawValue;
use shell::openapi::responses::{BadQuery, NotFound, PROBLEM_JSON, Problem};
use shell::params::{PathId, Query};
use shell::problem::{ApiError, Members};
use shell::{duration, json};
use utoipa::ToSchema;

use super::read::WAIT_DEFAULT;
use super::stored::StoredOrder;
use super::{Orders, no_such_order};

/// An order's events.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct History<'a> {
    /// The order.
    order_id: &'a OrderId,
    /// What happened to it, oldest first.
    events: Vec<PastEvent<'a>>,
}

/// Something that happened to an order, and where it lies on the log.
#[derive(Serialize, ToSchema)]
struct PastEvent<'a> {
    /// What happened: `OrderCreated`, `OrderValidated` and the like.
    #[serde(rename = "type")]
    event_type: &'a str,
    /// The order's version after it.
    version: Version,
    /// The topic of the event.
    topic: &'static str,
    /// The partition there.
    partition: u32,
    /// Its place in the partition.
    offset: u64,
    /// When it happened.
    #[schema(schema_with = rfc3339::schema)]
    time: String,
    /// The order after it.
    #[schema(value_type = Order)]
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

/// What happened to an order.
///
/// Every event of it up to now, oldest first.
#[utoipa::path(
    get,
    path = "/v1/orders/{id}/history",
    tag = "Orders",
    params(
        ("id" = OrderId, Path, description = "The order.", example = "o-1"),
        (
            "timeout" = Option<String>,
            Query,
            description = "How long to wait for the read model to be as far as the order: `250ms`, \
                `5s`, or a number of milliseconds; at most 60 s, and 10 s where it is left out.",
            pattern = "^[0-9]+(ms|s)?$",
            example = "5s",
        ),
    ),
    responses(
        (status = 200, description = "The events.", body = History),
        NotFound,
        BadQuery,
        (
            status = 504,
            description = "The read model was not as far in time: `WAIT_TIMED_OUT`, with the \
                order's `version`.",
            body = Problem,
            content_type = PROBLEM_JSON,
        ),
    ),
)]
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

/// The events of an order as they happen.
///
/// Server-Sent Events, from the order's first, or from where a reader left off, up to that of its
/// final state, after which the stream ends. `event` is what happened, as in `OrderValidated`;
/// `data` is the order after it, and `id` the place of the event, `partition:offset`. A browser's
/// `EventSource` sends the last `id` when it comes back, and misses and repeats nothing.
///
/// A reader that is too slow gets `dropped` as the last event: its `data` is
/// `{"reason": "...", "lastEventId": "..."}`, and the stream goes on from there when it is asked
/// for again. A line `: still here` comes every 15 s in which nothing happens.
#[utoipa::path(
    get,
    path = "/v1/orders/{id}/events",
    tag = "Events",
    operation_id = "orderEvents",
    params(
        ("id" = OrderId, Path, description = "The order.", example = "o-1"),
        (
            "Last-Event-ID" = Option<String>,
            Header,
            description = "The `id` of the last event that the reader has. Where it is there, \
                `lastEventId` is not looked at.",
            pattern = "^[0-9]+:[0-9]+$",
        ),
        (
            "lastEventId" = Option<String>,
            Query,
            description = "The same for readers that cannot set a header.",
            pattern = "^[0-9]+:[0-9]+$",
        ),
    ),
    responses(
        (
            status = 200,
            description = "The events, as long as there may be more.",
            body = String,
            content_type = "text/event-stream",
            example = "id: 3:17\nevent: OrderCreated\ndata: {\"id\":\"o-1\",\"version\":1}\n\n",
        ),
        (status = 204, description = "The order is in a final state, and the reader has it all."),
        NotFound,
        BadQuery,
    ),
)]
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
