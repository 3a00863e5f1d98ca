//! The routes of orders.

mod change;
mod past;
mod place;
mod read;
mod stored;

use std::sync::Arc;

use axum::http::header::{ETAG, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use events::ids::{OrderId, RequestId};
use events::order_request::OrderRequest;
use events::topics::ORDER_REQUESTS;
use orders_read_model::ReadModel;
use shell::admission::Admission;
use shell::problem::ApiError;
use shell::requests::{Requests, entry};
use shell::{Appended, ServiceError, ServiceHandle, etag, json, unique};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::topology::ORDERS;
pub use read::awaited;
use stored::StoredOrder;

/// The routes of orders.
pub fn router(
    service: ServiceHandle,
    admission: Admission,
    read_model: ReadModel,
) -> OpenApiRouter {
    let lists = orders_read_model::http::router(read_model.clone(), admission.clone());
    let requests = Requests::new(service, ORDER_REQUESTS);
    OpenApiRouter::new()
        .routes(routes!(place::place))
        .routes(routes!(read::order))
        .routes(routes!(read::validated))
        .routes(routes!(change::cancel))
        .routes(routes!(change::ship))
        .routes(routes!(past::history))
        .routes(routes!(past::events))
        .with_state(Arc::new(Orders { requests, admission, read_model }))
        .merge(lists)
}

/// The service as these routes use it.
struct Orders {
    requests: Requests<OrderId, OrderRequest>,
    admission: Admission,
    read_model: ReadModel,
}

impl Orders {
    async fn send(&self, request: &OrderRequest) -> Result<Appended, ServiceError> {
        let request_id = request.request_id().to_string();
        self.requests.send(request.order_id(), request, &request_id).await
    }

    /// The stored record of an order as it is now, or once a request has been processed. `None` is
    /// certain.
    async fn look_up(
        &self,
        id: &OrderId,
        after: Option<&Appended>,
    ) -> Result<Option<Bytes>, ServiceError> {
        Ok(first(self.requests.look_up(id, vec![entry(&ORDERS, id)], after).await?))
    }
}

fn first(entries: Vec<Option<Bytes>>) -> Option<Bytes> {
    entries.into_iter().next().flatten()
}

fn new_request_id() -> RequestId {
    RequestId::from_u128(unique::id().as_u128())
}

fn no_such_order(id: &OrderId) -> ApiError {
    ApiError::NotFound(format!("there is no order {id}"))
}

/// An answer with an order and its version.
fn order_answer(status: StatusCode, order: &StoredOrder) -> Response {
    let mut response = json::answer_text(status, order.json.clone());
    response.headers_mut().insert(ETAG, etag::of_version(order.version.0));
    response
}

fn location(id: &OrderId) -> HeaderValue {
    // An id has no character that a path or a header could not hold.
    HeaderValue::try_from(format!("/v1/orders/{id}")).unwrap_or(HeaderValue::from_static("/"))
}

fn with_location(mut response: Response, id: &OrderId) -> Response {
    response.headers_mut().insert(LOCATION, location(id));
    response
}
