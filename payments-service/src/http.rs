//! The routes of customers, their accounts, and payments.

mod accounts;
mod customers;
mod payments;

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use events::ids::{CustomerId, RequestId};
use events::payment::CustomerRequest;
use events::topics::CUSTOMER_REQUESTS;
use shell::problem::{ApiError, Place, Violation};
use shell::requests::Requests;
use shell::{Appended, ServiceError, ServiceHandle, json, unique};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::payment::Refusal;

/// The routes of customers, their accounts, and payments.
pub fn router(service: ServiceHandle) -> OpenApiRouter {
    let requests = Requests::new(service, CUSTOMER_REQUESTS);
    OpenApiRouter::new()
        .routes(routes!(customers::page))
        .routes(routes!(customers::customer, customers::put))
        .routes(routes!(accounts::account))
        .routes(routes!(accounts::deposit))
        .routes(routes!(payments::payment))
        .with_state(Arc::new(Customers { requests }))
}

/// The service as these routes use it.
struct Customers {
    requests: Requests<CustomerId, CustomerRequest>,
}

impl Customers {
    async fn send(&self, request: &CustomerRequest) -> Result<Appended, ServiceError> {
        let request_id = request.request_id().to_string();
        self.requests.send(request.customer_id(), request, &request_id).await
    }
}

fn new_request_id() -> RequestId {
    RequestId::from_u128(unique::id().as_u128())
}

fn no_such_customer(id: &CustomerId) -> ApiError {
    ApiError::NotFound(format!("there is no customer {id}"))
}

/// An answer with an entry as it lies in its store, where it is JSON as the API shows it.
fn entry_answer(
    status: StatusCode,
    id: &CustomerId,
    entry: Option<Bytes>,
) -> Result<Response, ApiError> {
    Ok(json::answer_text(status, entry.ok_or_else(|| no_such_customer(id))?))
}

fn refused(refusal: &Refusal, id: &CustomerId) -> ApiError {
    match refusal {
        Refusal::UnknownCustomer => no_such_customer(id),
        Refusal::CurrencyFixed { .. } => ApiError::conflict("CURRENCY_FIXED", refusal),
        Refusal::LimitTooLow { .. } => ApiError::conflict("LIMIT_TOO_LOW", refusal),
        Refusal::TooMuch { .. } => ApiError::conflict("TOO_MUCH_MONEY", refusal),
        Refusal::OtherAmount { .. } => ApiError::conflict("DEPOSIT_ID_TAKEN", refusal),
        Refusal::NothingDeposited | Refusal::TooManyDecimals { .. } => {
            Violation::new(Place::Body("/amount".to_owned()), refusal).into()
        }
    }
}
