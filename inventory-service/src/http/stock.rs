//! How much there is of a product.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use events::ids::{AdjustmentId, Pair, ProductId, RequestId};
use events::stock::{AdjustStock, ProductRequest, StockLevel};
use serde::Deserialize;
use shell::json::{Fields, JsonBody, Text};
use shell::openapi::responses::{NotFound, PROBLEM_JSON, Problem};
use shell::params::PathId;
use shell::problem::ApiError;
use shell::requests::{Entry, entry, value};
use shell::unique;
use utoipa::ToSchema;

use super::{Products, entry_answer, new_request_id, no_such_product};
use crate::stock::{Adjusted, Refusal, adjust as rule};
use crate::topology::{ADJUSTMENTS, REFUSALS, STOCK};

/// How much the stock changes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAdjustment)]
struct AdjustmentBody<'a> {
    /// Its id, unique for the product: however often it is sent, it is made once. Without one a
    /// new one is made.
    #[serde(borrow, default)]
    #[schema(value_type = Option<AdjustmentId>)]
    id: Option<Text<'a>>,
    /// How many pieces come in; below 0, how many go out.
    delta: i64,
}

/// How much there is of a product.
#[utoipa::path(
    get,
    path = "/v1/products/{id}/stock",
    tag = "Products",
    operation_id = "stock",
    params(("id" = ProductId, Path, description = "The product.", example = "jumper")),
    responses((status = 200, description = "Its stock.", body = StockLevel), NotFound),
)]
pub(super) async fn level(
    State(products): State<Arc<Products>>,
    id: PathId,
) -> Result<Response, ApiError> {
    let id = id.existing("product")?;
    let [level] = products.requests.look_up_each(&id, [entry(&STOCK, &id)], None).await?;
    entry_answer(StatusCode::OK, &id, level)
}

/// Changes how much there is of a product, once however often it is asked for.
// What is decided already is answered without a request being written: an adjustment that was made
// before, and one that can't be made.
#[utoipa::path(
    post,
    path = "/v1/products/{id}/stock-adjustments",
    tag = "Products",
    operation_id = "adjust_stock",
    params(("id" = ProductId, Path, description = "The product.", example = "jumper")),
    request_body(content = AdjustmentBody, example = json!({"id": "delivery-7", "delta": 100})),
    responses(
        (
            status = 200,
            description = "The adjustment was made before: the stock as it is now.",
            body = StockLevel,
        ),
        (status = 201, description = "The stock after the adjustment.", body = StockLevel),
        (
            status = 409,
            description = "`BELOW_RESERVED`: less would be left than is reserved. \
                `TOO_MUCH_STOCK`: more than can be counted. `ADJUSTMENT_ID_TAKEN`: the id is that \
                of an adjustment by another number.",
            body = Problem,
            content_type = PROBLEM_JSON,
        ),
        JsonBody,
        NotFound,
    ),
)]
pub(super) async fn adjust(
    State(products): State<Arc<Products>>,
    id: PathId,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let request = parse(id.existing("product")?, &body)?;
    let id = &request.product_id;
    let before = products.requests.look_up_each(id, entries(&request), None).await?;
    if let Some(answer) = decided(before, &request)? {
        return Ok(answer);
    }
    let sent = products.send(&ProductRequest::AdjustStock(request.clone())).await?;
    let after = products.requests.look_up_each(id, entries(&request), Some(&sent)).await?;
    decided(after, &request)?.ok_or_else(|| ApiError::Internal {
        cause: format!("request {} was processed and changed nothing", request.request_id),
    })
}

fn parse(product_id: ProductId, body: &JsonBody) -> Result<AdjustStock, ApiError> {
    let body: AdjustmentBody<'_> = body.read()?;
    let mut fields = Fields::default();
    let adjustment_id = match &body.id {
        Some(id) => fields.check("/id", AdjustmentId::parse(id)),
        None => fields.check("/id", AdjustmentId::parse(&unique::id().to_string())),
    };
    let (request_id, delta) = (new_request_id(), body.delta);
    fields.finish(adjustment_id.map(|adjustment_id| AdjustStock {
        request_id,
        product_id,
        adjustment_id,
        delta,
    }))
}

/// What decides an adjustment.
fn entries(request: &AdjustStock) -> [Entry; 3] {
    let key = Pair::new(request.product_id.clone(), request.adjustment_id.clone());
    [
        entry(&STOCK, &request.product_id),
        entry(&ADJUSTMENTS, &key),
        entry(&REFUSALS, &request.request_id),
    ]
}

/// The answer where these entries decide it; `None` where the adjustment can be made.
fn decided(
    [level, made, refusal]: [Option<Bytes>; 3],
    request: &AdjustStock,
) -> Result<Option<Response>, ApiError> {
    if let Some(refusal) = value(&REFUSALS, refusal.as_ref())? {
        return Err(refused(&refusal, &request.product_id));
    }
    let known = value(&STOCK, level.as_ref())?;
    let made = value(&ADJUSTMENTS, made.as_ref())?;
    match rule(known.as_ref(), made.as_ref(), request) {
        Adjusted::Applied(..) => Ok(None),
        Adjusted::Refused(refusal) => Err(refused(&refusal, &request.product_id)),
        Adjusted::Repeated => {
            let made_by = made.map(|made| made.request_id);
            entry_answer(status(made_by, request.request_id), &request.product_id, level).map(Some)
        }
    }
}

fn status(made_by: Option<RequestId>, request_id: RequestId) -> StatusCode {
    if made_by == Some(request_id) { StatusCode::CREATED } else { StatusCode::OK }
}

fn refused(refusal: &Refusal, id: &ProductId) -> ApiError {
    match refusal {
        Refusal::UnknownProduct => no_such_product(id),
        Refusal::OtherDelta { .. } => ApiError::conflict("ADJUSTMENT_ID_TAKEN", refusal),
        Refusal::BelowReserved { .. } => ApiError::conflict("BELOW_RESERVED", refusal),
        Refusal::TooMany { .. } => ApiError::conflict("TOO_MUCH_STOCK", refusal),
    }
}
