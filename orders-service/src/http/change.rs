//! `POST /v1/orders/{id}/cancel` and `.../ship`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use events::Timestamp;
use events::ids::{OrderId, RequestId};
use events::order::Order;
use events::order_request::{CancelOrder, OrderRequest, ShipOrder};
use shell::json::NoBody;
use shell::openapi::responses::{NotFound, PROBLEM_JSON, Problem};
use shell::params::PathId;
use shell::problem::{ApiError, Members};

use super::stored::{self, StoredOrder};
use super::{Orders, new_request_id, no_such_order, order_answer};
use crate::order::{Outcome, Refusal, cancel, ship};

/// A change that can be asked for: its request, and the rule by which it is decided.
struct Change {
    request: fn(RequestId, OrderId) -> OrderRequest,
    rule: fn(Option<&Order>, Timestamp) -> Outcome,
}

const CANCEL: Change = Change {
    request: |request_id, order_id| OrderRequest::Cancel(CancelOrder { request_id, order_id }),
    rule: cancel::cancel,
};

const SHIP: Change = Change {
    request: |request_id, order_id| OrderRequest::Ship(ShipOrder { request_id, order_id }),
    rule: ship::ship,
};

/// Calls an order off.
///
/// Its stock and its money are free again. An order that is cancelled already is answered as it
/// is.
#[utoipa::path(
    post,
    path = "/v1/orders/{id}/cancel",
    tag = "Orders",
    params(("id" = OrderId, Path, description = "The order.", example = "o-2")),
    responses(
        (
            status = 200,
            description = "It is cancelled.",
            body = Order,
            headers(("ETag" = String, description = "The version, in quotes.")),
        ),
        (
            status = 409,
            description = "It is shipped or has failed: `STATE_CONFLICT`, with its `state`.",
            body = Problem,
            content_type = PROBLEM_JSON,
        ),
        NoBody,
        NotFound,
    ),
)]
pub(super) async fn cancel(
    State(orders): State<Arc<Orders>>,
    id: PathId,
    _: NoBody,
) -> Result<Response, ApiError> {
    CANCEL.make(&orders, &id.existing("order")?).await
}

/// Sends an order on its way.
///
/// Its stock goes out, and what its customer owes is taken. An order that is shipped already is
/// answered as it is.
#[utoipa::path(
    post,
    path = "/v1/orders/{id}/ship",
    tag = "Orders",
    params(("id" = OrderId, Path, description = "The order.", example = "o-1")),
    responses(
        (
            status = 200,
            description = "It is shipped.",
            body = Order,
            headers(("ETag" = String, description = "The version, in quotes.")),
        ),
        (
            status = 409,
            description = "It is not paid: `STATE_CONFLICT`, with its `state`.",
            body = Problem,
            content_type = PROBLEM_JSON,
        ),
        NoBody,
        NotFound,
    ),
)]
pub(super) async fn ship(
    State(orders): State<Arc<Orders>>,
    id: PathId,
    _: NoBody,
) -> Result<Response, ApiError> {
    SHIP.make(&orders, &id.existing("order")?).await
}

impl Change {
    /// Makes the change. What the order as it is already decides is answered without a request
    /// being written: a change that took effect before, and one that can't be made.
    async fn make(&self, orders: &Orders, id: &OrderId) -> Result<Response, ApiError> {
        let before = orders.look_up(id, None).await?;
        if let Some(answer) = self.decided(id, before)? {
            return Ok(answer);
        }
        let appended = orders.send(&(self.request)(new_request_id(), id.clone())).await?;
        let after = orders.look_up(id, Some(&appended)).await?;
        self.decided(id, after)?.ok_or_else(|| ApiError::Internal {
            cause: format!("a request for order {id} was processed and changed nothing"),
        })
    }

    /// The answer where the order as it is decides it; `None` where the change can be made.
    fn decided(&self, id: &OrderId, record: Option<Bytes>) -> Result<Option<Response>, ApiError> {
        let record = record.ok_or_else(|| no_such_order(id))?;
        let order = stored::whole(&record)?;
        match (self.rule)(Some(&order), order.updated_at) {
            Outcome::Changed(_) => Ok(None),
            Outcome::Repeated => {
                Ok(Some(order_answer(StatusCode::OK, &StoredOrder::read(&record)?)))
            }
            Outcome::Refused(Refusal::UnknownOrder) => Err(no_such_order(id)),
            Outcome::Refused(
                refusal @ (Refusal::NotCancellable { state } | Refusal::NotShippable { state }),
            ) => Err(ApiError::conflict("STATE_CONFLICT", refusal)
                .with_members(Members::one("state", &state))),
        }
    }
}
