//! The catalogue.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use events::ids::ProductId;
use events::money::{Amount, Currency, Money};
use events::stock::{ProductRequest, PutProduct};
use events::topics;
use serde::Deserialize;
use shell::json::{Fields, JsonBody, Object, Text};
use shell::page::{self, PageQuery};
use shell::params::PathId;
use shell::problem::ApiError;
use shell::requests::entry;
use shell::text;

use super::{Products, entry_answer, new_request_id};
use crate::topology::PRODUCTS;

const NAME_CHARACTERS_MAX: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductBody<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    price: Object<MoneyBody<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MoneyBody<'a> {
    #[serde(borrow)]
    amount: Text<'a>,
    #[serde(borrow)]
    currency: Text<'a>,
}

/// `GET /v1/products`: a page of the catalogue, in order of id.
pub(super) async fn page(
    State(products): State<Arc<Products>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = PageQuery::<ProductId>::parse(query.as_deref())?;
    page::answer(products.requests.service(), topics::PRODUCTS.name(), "products", &query).await
}

/// `GET /v1/products/{id}`.
pub(super) async fn product(
    State(products): State<Arc<Products>>,
    id: PathId,
) -> Result<Response, ApiError> {
    let id = id.existing("product")?;
    let [product] = products.requests.look_up_each(&id, [entry(&PRODUCTS, &id)], None).await?;
    entry_answer(StatusCode::OK, &id, product)
}

/// `PUT /v1/products/{id}`: 201 where there was none before. Of two that are put at the same time
/// under a new id, both may be told so.
pub(super) async fn put(
    State(products): State<Arc<Products>>,
    id: PathId,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let request = parse(id.creating()?, &body)?;
    let id = request.product_id.clone();
    let [before] = products.requests.look_up_each(&id, [entry(&PRODUCTS, &id)], None).await?;
    let sent = products.send(&ProductRequest::Put(request)).await?;
    let [product] =
        products.requests.look_up_each(&id, [entry(&PRODUCTS, &id)], Some(&sent)).await?;
    let status = if before.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    entry_answer(status, &id, product)
}

fn parse(product_id: ProductId, body: &JsonBody) -> Result<PutProduct, ApiError> {
    let body: ProductBody<'_> = body.read()?;
    let mut fields = Fields::default();
    let name = fields.check("/name", text::line(&body.name, NAME_CHARACTERS_MAX));
    let amount = fields.check("/price/amount", Amount::parse(&body.price.amount));
    let currency = fields.check("/price/currency", Currency::parse(&body.price.currency));
    let price = amount.zip(currency);
    let price = price
        .and_then(|(amount, currency)| fields.check("/price/amount", Money::new(amount, currency)));
    let request_id = new_request_id();
    let request = name.zip(price);
    fields.finish(request.map(|(name, price)| PutProduct { request_id, product_id, name, price }))
}
