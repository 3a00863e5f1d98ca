//! How much there is of a product.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use events::ids::{AdjustmentId, Pair, ProductId, RequestId};
use events::stock::{AdjustStock, ProductRequest};
use serde::Deserialize;
use shell::json::{Fields, JsonBody, Text};
use shell::params::PathId;
use shell::problem::ApiError;
use shell::requests::{Entry, entry, value};
use shell::unique;

use super::{Products, entry_answer, new_request_id, no_such_product};
use crate::stock::{Adjusted, Refusal, adjust as rule};
use crate::topology::{ADJUSTMENTS, REFUSALS, STOCK};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdjustmentBody<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    delta: i64,
}

/// `GET /v1/products/{id}/stock`.
pub(super) async fn level(
    State(products): State<Arc<Products>>,
    id: PathId,
) -> Result<Response, ApiError> {
    let id = id.existing("product")?;
    let [level] = products.requests.look_up_each(&id, [entry(&STOCK, &id)], None).await?;
    entry_answer(StatusCode::OK, &id, level)
}

/// `POST /v1/products/{id}/stock-adjustments`. What is decided already is answered without a
/// request being written: an adjustment that was made before, and one that can't be made.
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
