//! The payments of orders.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use events::ids::{CustomerId, OrderId};
use events::money::Money;
use serde::Serialize;
use shell::json;
use shell::openapi::responses::NotFound;
use shell::params::PathId;
use shell::problem::ApiError;
use shell::requests::{entry, value};
use utoipa::ToSchema;

use super::Customers;
use crate::payment::order::PaymentState;
use crate::topology::PAYMENTS_BY_ORDER;

/// The payment of an order.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Payment)]
struct PaymentView<'a> {
    /// The order.
    order_id: &'a OrderId,
    /// Who pays.
    customer_id: &'a CustomerId,
    /// The order's total.
    amount: Money,
    /// How far it came.
    state: PaymentState,
}

/// The payment of an order.
///
/// There is one once the order is validated.
#[utoipa::path(
    get,
    path = "/v1/payments/{order_id}",
    tag = "Payments",
    params(("order_id" = OrderId, Path, description = "The order.", example = "o-1")),
    responses((status = 200, description = "The payment.", body = PaymentView), NotFound),
)]
pub(super) async fn payment(
    State(customers): State<Arc<Customers>>,
    id: PathId,
) -> Result<Response, ApiError> {
    let id: OrderId = id.existing("order")?;
    let [record] =
        customers.requests.look_up_each(&id, [entry(&PAYMENTS_BY_ORDER, &id)], None).await?;
    let record = value(&PAYMENTS_BY_ORDER, record.as_ref())?
        .ok_or_else(|| ApiError::NotFound(format!("order {id} has no payment")))?;
    let view = PaymentView {
        order_id: &record.payment.order_id,
        customer_id: &record.payment.customer_id,
        amount: record.payment.amount,
        state: record.state,
    };
    Ok(json::answer(StatusCode::OK, &view))
}
