//! The catalogue.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use events::ids::ProductId;
use events::money::{Amount, Currency, Money};
use events::stock::{Product, ProductRequest, PutProduct};
use events::topics;
use serde::Deserialize;
use shell::json::{Fields, JsonBody, Object, Text};
use shell::openapi::parameters::Limit;
use shell::openapi::responses::{BadQuery, NotFound};
use shell::page::{self, PageQuery};
use shell::params::PathId;
use shell::problem::ApiError;
use shell::requests::entry;
use shell::text;
use utoipa::ToSchema;

use super::{Products, entry_answer, new_request_id};
use crate::topology::PRODUCTS;

const NAME_CHARACTERS_MAX: usize = 200;

/// What a product is called and costs.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewProduct)]
struct ProductBody<'a> {
    /// What it is called: one line.
    #[serde(borrow)]
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    name: Text<'a>,
    /// The price of one, with the currency's decimals.
    #[serde(borrow)]
    #[schema(value_type = MoneyBody<'a>)]
    price: Object<MoneyBody<'a>>,
}

/// An amount and its currency.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMoney)]
struct MoneyBody<'a> {
    /// How much.
    #[serde(borrow)]
    #[schema(value_type = Amount)]
    amount: Text<'a>,
    /// Of what.
    #[serde(borrow)]
    #[schema(value_type = Currency)]
    currency: Text<'a>,
}

/// A page of the catalogue.
#[derive(ToSchema)]
#[schema(as = ProductPage)]
#[expect(dead_code, reason = "pages are written by `page::answer`; this is what they look like")]
struct ProductPage {
    /// Products, in order of id.
    products: Vec<Product>,
    /// The `cursor` of the next page; not there on the last.
    #[serde(rename = "nextCursor")]
    #[schema(nullable = false)]
    next_cursor: Option<String>,
}

/// A page of the catalogue, in order of id.
#[utoipa::path(
    get,
    path = "/v1/products",
    tag = "Products",
    operation_id = "products",
    params(
        Limit,
        (
            "cursor" = Option<ProductId>,
            Query,
            description = "The `nextCursor` of the page before.",
            example = "jumper",
        ),
    ),
    responses((status = 200, description = "The page.", body = ProductPage), BadQuery),
)]
pub(super) async fn page(
    State(products): State<Arc<Products>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = PageQuery::<ProductId>::parse(query.as_deref())?;
    page::answer(products.requests.service(), topics::PRODUCTS.name(), "products", &query).await
}

/// A product.
#[utoipa::path(
    get,
    path = "/v1/products/{id}",
    tag = "Products",
    params(("id" = ProductId, Path, description = "The product.", example = "jumper")),
    responses((status = 200, description = "The product.", body = Product), NotFound),
)]
pub(super) async fn product(
    State(products): State<Arc<Products>>,
    id: PathId,
) -> Result<Response, ApiError> {
    let id = id.existing("product")?;
    let [product] = products.requests.look_up_each(&id, [entry(&PRODUCTS, &id)], None).await?;
    entry_answer(StatusCode::OK, &id, product)
}

/// Enters or replaces a product.
///
/// Of two that are put at the same time under a new id, both may be told that it is new.
#[utoipa::path(
    put,
    path = "/v1/products/{id}",
    tag = "Products",
    operation_id = "put_product",
    params(("id" = ProductId, Path, description = "The product.", example = "jumper")),
    request_body(content = ProductBody, example = json!({
        "name": "Jumper", "price": {"amount": "34.99", "currency": "GBP"},
    })),
    responses(
        (status = 200, description = "The product, replaced.", body = Product),
        (status = 201, description = "The product, which is new.", body = Product),
        JsonBody,
    ),
)]
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
