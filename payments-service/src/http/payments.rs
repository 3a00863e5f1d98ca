//! The payments of orders.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use events::ids::{CustomerId, OrderId};
use events::money::Money;
use serde::Serialize;
use shell::json;
use shell::params::PathId;
use shell::problem::ApiError;
use shell::requests::{entry, value};

use super::Customers;
use crate::payment::order::PaymentState;
use crate::topology::PAYMENTS_BY_ORDER;

/// A payment as the API shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PaymentView<'a> {
    order_id: &'a OrderId,
    customer_id: &'a CustomerId,
    amount: Money,
    state: PaymentState,
}

/// `GET /v1/payments/{orderId}`.
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
