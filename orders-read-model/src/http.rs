//! The routes that need nothing but the read model: the list of orders, and the events of all.

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use events::Timestamp;
use events::ids::CustomerId;
use events::order::OrderState;
use serde::Serialize;
use serde_json::value::RawValue;
use shell::admission::Admission;
use shell::params::Query;
use shell::problem::ApiError;
use shell::{json, page};

use crate::cursor::Cursor;
use crate::model::ReadModel;
use crate::query::{Filter, Listed};
use crate::stream;

/// The routes of the read model.
pub fn router(model: ReadModel, admission: Admission) -> Router {
    Router::new()
        .route("/v1/orders", get(list))
        .route("/v1/order-events", get(stream::of_all))
        .with_state(Routes { model, admission })
}

/// What the routes use.
#[derive(Clone)]
pub(crate) struct Routes {
    pub(crate) model: ReadModel,
    pub(crate) admission: Admission,
}

const PARAMETERS: [&str; 6] =
    ["customerId", "state", "placedAfter", "placedBefore", "limit", "cursor"];

/// `GET /v1/orders`.
async fn list(
    State(Routes { model, .. }): State<Routes>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = Query::parse(query.as_deref(), &PARAMETERS)?;
    let filter = Filter {
        customer_id: query.read("customerId", CustomerId::parse)?,
        state: query.read("state", parse_state)?,
        placed_after: query.read("placedAfter", parse_time)?,
        placed_before: query.read("placedBefore", parse_time)?,
        cursor: query.read("cursor", str::parse::<Cursor>)?,
    };
    let limit = page::limit(&query)?;
    // One more than is shown, to know whether there are more.
    let mut orders = model.list(&filter, limit + 1).await?;
    let has_more = orders.len() > limit;
    orders.truncate(limit);
    let next_cursor = orders.last().filter(|_| has_more).map(|last| last.place.encode());
    let orders = orders.into_iter().map(raw).collect::<Result<_, _>>()?;
    Ok(json::answer(StatusCode::OK, &Page { orders, next_cursor }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    orders: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

fn raw(listed: Listed) -> Result<Box<RawValue>, ApiError> {
    RawValue::from_string(listed.body)
        .map_err(|error| ApiError::Internal { cause: format!("order of the read model: {error}") })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("state is one of CREATED, VALIDATED, PAID, SHIPPED, FAILED and CANCELLED")]
struct NoState;

fn parse_state(text: &str) -> Result<OrderState, NoState> {
    OrderState::ALL.into_iter().find(|state| state.as_str() == text).ok_or(NoState)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time is written like 2026-01-02T03:04:05.678Z")]
struct NoTime;

/// Any RFC 3339 time. In a query the sign of an offset after UTC is `%2B`.
fn parse_time(text: &str) -> Result<Timestamp, NoTime> {
    Timestamp::from_rfc3339(text).ok_or(NoTime)
}
