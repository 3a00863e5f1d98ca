//! `GET /v1/orders/{id}`: at once, or when the order has come so far.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use events::ids::OrderId;
use events::order::{Order, OrderState, Version};
use shell::etag::{self, Known};
use shell::openapi::responses::{BadQuery, NotFound, NotModified, PROBLEM_JSON, Problem};
use shell::params::{PathId, Query};
use shell::problem::{ApiError, Members, Place, Violation};
use shell::requests::entry;
use shell::{Awaited, Read, ReadOutcome, ServiceError, duration};
use streams::Key;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use super::past;
use super::stored::{self, StoredOrder};
use super::{Orders, first, no_such_order, order_answer};
use crate::topology::ORDERS;

/// How long a reader waits who does not say.
pub(super) const WAIT_DEFAULT: Duration = Duration::from_secs(10);

/// How a reader names that an order has settled.
const SETTLED: &str = "SETTLED";

/// What a reader waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// That the order is in this state or past it, or cannot reach it any more.
    State(OrderState),
    /// That it is paid or in a final state.
    Settled,
}

/// A text that names nothing to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("until is one of CREATED, VALIDATED, PAID, SHIPPED, FAILED, CANCELLED and SETTLED")]
struct UnknownUntil;

impl Until {
    fn parse(text: &str) -> Result<Self, UnknownUntil> {
        if text == SETTLED {
            return Ok(Until::Settled);
        }
        OrderState::from_name(text).map(Until::State).ok_or(UnknownUntil)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Until::State(state) => state.as_str(),
            Until::Settled => SETTLED,
        }
    }

    /// The same as a condition of a read of the order's record.
    fn awaited(self) -> Awaited {
        let holds = move |entries: &[Option<Bytes>]| {
            let record = entries.first().and_then(Option::as_ref);
            // What cannot be read is no reason to wait: it is told when the answer is made.
            record.and_then(|record| stored::state(record)).is_none_or(|state| self.is_over(state))
        };
        Awaited { name: self.as_str(), holds: Arc::new(holds) }
    }

    /// Whether an order in this state is no longer waited for.
    fn is_over(self, state: OrderState) -> bool {
        match self {
            Until::State(awaited) => !leads_to(state, awaited),
            Until::Settled => state.is_settled(),
        }
    }
}

impl utoipa::PartialSchema for Until {
    fn schema() -> RefOr<Schema> {
        let names = OrderState::ALL.map(OrderState::as_str).into_iter().chain([SETTLED]);
        let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names));
        Schema::from(schema.build()).into()
    }
}

impl utoipa::ToSchema for Until {}

/// Whether an order in state `from` can come to state `to` by one event or more.
fn leads_to(from: OrderState, to: OrderState) -> bool {
    OrderState::ALL
        .into_iter()
        .any(|next| from.may_become(next) && (next == to || leads_to(next, to)))
}

/// An order, at once or when it has come so far.
///
/// Without `until` it is the order as it is now. With it the answer comes when the order is in that
/// state, or past it, or cannot reach it any more. With `version` it is the order as it was then.
#[utoipa::path(
    get,
    path = "/v1/orders/{id}",
    tag = "Orders",
    operation_id = "order",
    params(
        ("id" = OrderId, Path, description = "The order.", example = "o-1"),
        (
            "until" = inline(Option<Until>),
            Query,
            description = "What to wait for; `SETTLED` is PAID or a final state.",
            example = "SETTLED",
        ),
        (
            "version" = Option<Version>,
            Query,
            description = "The version that is asked for; not together with `until`.",
            example = 1,
        ),
        (
            "timeout" = Option<String>,
            Query,
            description = "How long to wait, also for the read model to have a version of the \
                past: `250ms`, `5s`, or a number of milliseconds; at most 60 s, and 10 s where it \
                is left out.",
            pattern = "^[0-9]+(ms|s)?$",
            example = "5s",
        ),
        Known,
    ),
    responses(
        (
            status = 200,
            description = "The order.",
            body = Order,
            headers(("ETag" = String, description = "The version, in quotes.")),
        ),
        NotModified,
        NotFound,
        BadQuery,
        (
            status = 504,
            description = "`WAIT_TIMED_OUT`: it did not come so far in time, with the `order` as \
                it is; or the read model did not have the `version` in time.",
            body = Problem,
            content_type = PROBLEM_JSON,
        ),
    ),
)]
pub(super) async fn order(
    State(orders): State<Arc<Orders>>,
    id: PathId,
    RawQuery(query): RawQuery,
    known: Known,
) -> Result<Response, ApiError> {
    let query = Query::parse(query.as_deref(), &["until", "timeout", "version"])?;
    let until = query.read("until", Until::parse)?;
    let version = query.read("version", past::parse_version)?;
    let timeout = query.read("timeout", duration::parse)?;
    let id = id.existing("order")?;
    let order = match (until, version) {
        (Some(until), None) => wait(&orders, &id, until, timeout).await?,
        (None, Some(version)) => {
            let timeout = timeout.unwrap_or(WAIT_DEFAULT);
            let order = past::as_of(&orders, &id, version, timeout).await?;
            Some(order.ok_or_else(|| no_such_version(&id, version))?)
        }
        (None, None) => {
            orders.look_up(&id, None).await?.map(|record| StoredOrder::read(&record)).transpose()?
        }
        (Some(_), Some(_)) => return Err(until_of_the_past().into()),
    };
    answer(&id, order, &known)
}

fn no_such_version(id: &OrderId, version: Version) -> ApiError {
    ApiError::NotFound(format!("order {id} has no version {version}"))
}

fn until_of_the_past() -> Violation {
    let place = Place::Parameter("until".to_owned());
    Violation::new(place, "a version of the past is not waited for")
}

/// An order when it is validated.
///
/// The same as `until=VALIDATED`.
#[utoipa::path(
    get,
    path = "/v1/orders/{id}/validated",
    tag = "Orders",
    params(
        ("id" = OrderId, Path, description = "The order.", example = "o-1"),
        (
            "timeout" = Option<String>,
            Query,
            description = "How long to wait: `250ms`, `5s`, or a number of milliseconds; at most \
                60 s, and 10 s where it is left out.",
            pattern = "^[0-9]+(ms|s)?$",
            example = "5s",
        ),
        Known,
    ),
    responses(
        (
            status = 200,
            description = "The order, validated or past that.",
            body = Order,
            headers(("ETag" = String, description = "The version, in quotes.")),
        ),
        NotModified,
        NotFound,
        BadQuery,
        (
            status = 504,
            description = "It was not validated in time: `WAIT_TIMED_OUT`, with the `order`.",
            body = Problem,
            content_type = PROBLEM_JSON,
        ),
    ),
)]
pub(super) async fn validated(
    State(orders): State<Arc<Orders>>,
    id: PathId,
    RawQuery(query): RawQuery,
    known: Known,
) -> Result<Response, ApiError> {
    let query = Query::parse(query.as_deref(), &["timeout"])?;
    let timeout = query.read("timeout", duration::parse)?;
    let id = id.existing("order")?;
    let order = wait(&orders, &id, Until::State(OrderState::Validated), timeout).await?;
    answer(&id, order, &known)
}

fn answer(id: &OrderId, order: Option<StoredOrder>, known: &Known) -> Result<Response, ApiError> {
    let order = order.ok_or_else(|| no_such_order(id))?;
    let tag = etag::of_version(order.version.0);
    if known.contains(&tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    Ok(order_answer(StatusCode::OK, &order))
}

/// The order when it is no longer waited for; at once where it is unknown.
async fn wait(
    orders: &Orders,
    id: &OrderId,
    until: Until,
    timeout: Option<Duration>,
) -> Result<Option<StoredOrder>, ApiError> {
    let timeout = timeout.unwrap_or(WAIT_DEFAULT);
    let read = orders.requests.service().read(read_until(id, until, timeout));
    let record = match orders.admission.wait(read).await? {
        Ok(ReadOutcome::Found(entries) | ReadOutcome::TimedOut(entries)) => first(entries),
        // The time was too short even to be certain of how the order stands.
        Err(ServiceError::NotInTime) => orders.look_up(id, None).await?,
        Err(error) => return Err(error.into()),
    };
    let Some(record) = record else { return Ok(None) };
    let order = StoredOrder::read(&record)?;
    if until.is_over(order.state) { Ok(Some(order)) } else { Err(timed_out(&order, timeout)) }
}

fn timed_out(order: &StoredOrder, timeout: Duration) -> ApiError {
    let detail = format!("the order is still {} after {} ms", order.state, timeout.as_millis());
    ApiError::WaitTimedOut { detail, members: Members::one("order", &order.raw()) }
}

/// What a read of an order's record may wait for, by its name.
pub fn awaited(name: &str) -> Option<Awaited> {
    Until::parse(name).ok().map(Until::awaited)
}

/// A read that is answered when the order has settled.
pub(super) fn until_settled(id: &OrderId, timeout: Duration) -> Read {
    read_until(id, Until::Settled, timeout)
}

fn read_until(id: &OrderId, until: Until, timeout: Duration) -> Read {
    Read {
        partition_key: id.encode(),
        entries: vec![entry(&ORDERS, id)],
        after: None,
        until: Some(until.awaited()),
        timeout,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(until: &str) -> Vec<&'static str> {
        let until = Until::parse(until).unwrap();
        let over = OrderState::ALL.into_iter().filter(|state| until.is_over(*state));
        over.map(OrderState::as_str).collect()
    }

    #[test]
    fn a_wait_is_over_in_the_state_past_it_and_where_it_cannot_be_reached() {
        assert_eq!(over("CREATED").len(), 6);
        assert_eq!(over("VALIDATED"), ["VALIDATED", "PAID", "SHIPPED", "FAILED", "CANCELLED"]);
        assert_eq!(over("PAID"), ["PAID", "SHIPPED", "FAILED", "CANCELLED"]);
        assert_eq!(over("SHIPPED"), ["SHIPPED", "FAILED", "CANCELLED"]);
        assert_eq!(over("FAILED"), ["PAID", "SHIPPED", "FAILED", "CANCELLED"]);
        assert_eq!(over("CANCELLED"), ["SHIPPED", "FAILED", "CANCELLED"]);
        assert_eq!(over("SETTLED"), ["PAID", "SHIPPED", "FAILED", "CANCELLED"]);
    }

    #[test]
    fn only_states_and_settled_can_be_waited_for() {
        for text in ["", "validated", "SETTLED ", "DONE"] {
            assert_eq!(Until::parse(text), Err(UnknownUntil), "{text}");
        }
    }
}
