//! The routes of products and their stock.

mod products;
mod stock;

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use events::ids::{ProductId, RequestId};
use events::stock::ProductRequest;
use events::topics::PRODUCT_REQUESTS;
use shell::problem::ApiError;
use shell::requests::Requests;
use shell::{Appended, ServiceError, ServiceHandle, json, unique};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of products and their stock.
pub fn router(service: ServiceHandle) -> OpenApiRouter {
    let requests = Requests::new(service, PRODUCT_REQUESTS);
    OpenApiRouter::new()
        .routes(routes!(products::page))
        .routes(routes!(products::product, products::put))
        .routes(routes!(stock::level))
        .routes(routes!(stock::adjust))
        .with_state(Arc::new(Products { requests }))
}

/// The service as these routes use it.
struct Products {
    requests: Requests<ProductId, ProductRequest>,
}

impl Products {
    async fn send(&self, request: &ProductRequest) -> Result<Appended, ServiceError> {
        let request_id = request.request_id().to_string();
        self.requests.send(request.product_id(), request, &request_id).await
    }
}

fn new_request_id() -> RequestId {
    RequestId::from_u128(unique::id().as_u128())
}

fn no_such_product(id: &ProductId) -> ApiError {
    ApiError::NotFound(format!("there is no product {id}"))
}

/// An answer with an entry as it lies in its store, where it is JSON as the API shows it.
fn entry_answer(
    status: StatusCode,
    id: &ProductId,
    entry: Option<Bytes>,
) -> Result<Response, ApiError> {
    Ok(json::answer_text(status, entry.ok_or_else(|| no_such_product(id))?))
}
