//! The routes that need nothing but the read model: the list of orders, and the events of all.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use events::Timestamp;
use events::ids::CustomerId;
use events::order::{Order, OrderState};
use serde::Serialize;
use serde_json::value::RawValue;
use shell::admission::Admission;
use shell::openapi::parameters::Limit;
use shell::openapi::responses::BadQuery;
use shell::params::Query;
use shell::problem::ApiError;
use shell::{json, page};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::cursor::Cursor;
use crate::model::ReadModel;
use crate::query::{Filter, Listed};
use crate::stream;

/// The routes of the read model.
pub fn router(model: ReadModel, admission: Admission) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(stream::of_all))
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

/// A page of the list of orders, newest first.
///
/// What was placed or changed a moment ago may still be missing. An order that is placed while a
/// client goes from page to page moves no other from its place.
#[utoipa::path(
    get,
    path = "/v1/orders",
    tag = "Orders",
    operation_id = "orders",
    params(
        (
            "customerId" = Option<CustomerId>,
            Query,
            description = "Only orders of this customer.",
            example = "c-1",
        ),
        (
            "state" = inline(Option<OrderState>),
            Query,
            description = "Only orders that are in this state.",
            example = "FAILED",
        ),
        (
            "placedAfter" = Option<String>,
            Query,
            description = "Only orders placed after this time (RFC 3339); the `+` of an offset \
                is written `%2B`.",
            format = DateTime,
            example = "2026-01-02T03:04:05.678Z",
        ),
        (
            "placedBefore" = Option<String>,
            Query,
            description = "Only orders placed before this time.",
            format = DateTime,
            example = "2100-01-01T00:00:00Z",
        ),
        Limit,
        (
            "cursor" = Option<String>,
            Query,
            description = "The `nextCursor` of the page before.",
            example = "MTc2NzMyMzA0NTY3OCBvLTE",
        ),
    ),
    responses((status = 200, description = "The page.", body = Page), BadQuery),
)]
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

/// A page of the list of orders.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderPage)]
#[serde(rename_all = "camelCase")]
struct Page {
    /// Orders, newest first.
    #[schema(value_type = Vec<Order>)]
    orders: Vec<Box<RawValue>>,
    /// The `cursor` of the next page; not there on the last.
    #[schema(nullable = false)]
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
    OrderState::from_name(text).ok_or(NoState)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a time is written like 2026-01-02T03:04:05.678Z")]
struct NoTime;

/// Any RFC 3339 time. In a query the sign of an offset after UTC is `%2B`.
fn parse_time(text: &str) -> Result<Timestamp, NoTime> {
    Timestamp::from_rfc3339(text).ok_or(NoTime)
}
