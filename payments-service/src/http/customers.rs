//! Customers.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use events::ids::CustomerId;
use events::money::{Amount, Currency, Money};
use events::payment::{Customer, CustomerRequest, Level, PutCustomer};
use events::topics;
use serde::Deserialize;
use shell::json::{Fields, JsonBody, Object, Text, named};
use shell::openapi::parameters::Limit;
use shell::openapi::responses::{BadQuery, NotFound, PROBLEM_JSON, Problem};
use shell::page::{self, PageQuery};
use shell::params::PathId;
use shell::problem::ApiError;
use shell::requests::{entry, value};
use shell::text;
use utoipa::ToSchema;

use super::{Customers, entry_answer, new_request_id, refused};
use crate::payment::customer::{Put, put_customer};
use crate::topology::{ACCOUNTS, CUSTOMERS, REFUSALS};

const NAME_CHARACTERS_MAX: usize = 200;
const EMAIL_CHARACTERS_MAX: usize = 254;
const ADDRESS_CHARACTERS_MAX: usize = 1_000;

/// A customer and the limit of the customer's account.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = NewCustomer)]
struct CustomerBody<'a> {
    /// First name: one line.
    #[serde(borrow)]
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    first_name: Text<'a>,
    /// Last name: one line.
    #[serde(borrow)]
    #[schema(value_type = String, min_length = 1, max_length = 200)]
    last_name: Text<'a>,
    /// E-mail address: something on both sides of an `@`, and no blanks.
    #[serde(borrow)]
    #[schema(value_type = String, min_length = 3, max_length = 254)]
    email: Text<'a>,
    /// Postal address: one line or more.
    #[serde(borrow)]
    #[schema(value_type = String, min_length = 1, max_length = 1000)]
    address: Text<'a>,
    /// How the customer is valued.
    #[serde(borrow)]
    #[schema(value_type = Level)]
    level: Text<'a>,
    /// How far the account may be overdrawn, with the currency's decimals.
    #[serde(borrow)]
    #[schema(value_type = MoneyBody<'a>)]
    credit_limit: Object<MoneyBody<'a>>,
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

/// A page of customers.
#[derive(ToSchema)]
#[expect(dead_code, reason = "pages are written by `page::answer`; this is what they look like")]
struct CustomerPage {
    /// Customers, in order of id.
    customers: Vec<Customer>,
    /// The `cursor` of the next page; not there on the last.
    #[serde(rename = "nextCursor")]
    #[schema(nullable = false)]
    next_cursor: Option<String>,
}

/// A page of customers, in order of id.
#[utoipa::path(
    get,
    path = "/v1/customers",
    tag = "Customers",
    operation_id = "customers",
    params(
        Limit,
        (
            "cursor" = Option<CustomerId>,
            Query,
            description = "The `nextCursor` of the page before.",
            example = "c-1",
        ),
    ),
    responses((status = 200, description = "The page.", body = CustomerPage), BadQuery),
)]
pub(super) async fn page(
    State(customers): State<Arc<Customers>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = PageQuery::<CustomerId>::parse(query.as_deref())?;
    page::answer(customers.requests.service(), topics::CUSTOMERS.name(), "customers", &query).await
}

/// A customer.
#[utoipa::path(
    get,
    path = "/v1/customers/{id}",
    tag = "Customers",
    params(("id" = CustomerId, Path, description = "The customer.", example = "c-1")),
    responses((status = 200, description = "The customer.", body = Customer), NotFound),
)]
pub(super) async fn customer(
    State(customers): State<Arc<Customers>>,
    id: PathId,
) -> Result<Response, ApiError> {
    let id = id.existing("customer")?;
    let [customer] = customers.requests.look_up_each(&id, [entry(&CUSTOMERS, &id)], None).await?;
    entry_answer(StatusCode::OK, &id, customer)
}

/// Enters or replaces a customer and the limit of the customer's account.
///
/// Of two that are put at the same time under a new id, both may be told that it is new.
// What the account does not allow is answered without a request being written.
#[utoipa::path(
    put,
    path = "/v1/customers/{id}",
    tag = "Customers",
    operation_id = "put_customer",
    params(("id" = CustomerId, Path, description = "The customer.", example = "c-1")),
    request_body(content = CustomerBody, example = json!({
        "firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com",
        "address": "12 St James's Square\nLondon", "level": "GOLD",
        "creditLimit": {"amount": "1500.00", "currency": "GBP"},
    })),
    responses(
        (status = 200, description = "The customer, replaced.", body = Customer),
        (status = 201, description = "The customer, who is new.", body = Customer),
        (
            status = 409,
            description = "`LIMIT_TOO_LOW`: the account has taken on more than that. \
                `CURRENCY_FIXED`: it was used in another currency. `TOO_MUCH_MONEY`: with its \
                deposits it would be more than can be counted.",
            body = Problem,
            content_type = PROBLEM_JSON,
        ),
        JsonBody,
    ),
)]
pub(super) async fn put(
    State(customers): State<Arc<Customers>>,
    id: PathId,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let request = parse(id.creating()?, &body)?;
    let id = request.customer_id.clone();
    let request_id = request.request_id;
    let [account] = customers.requests.look_up_each(&id, [entry(&ACCOUNTS, &id)], None).await?;
    let account = value(&ACCOUNTS, account.as_ref())?;
    if let Put::Refused(refusal) = put_customer(account.as_ref(), &request) {
        return Err(refused(&refusal, &id));
    }
    let sent = customers.send(&CustomerRequest::Put(request)).await?;
    let entries = [entry(&CUSTOMERS, &id), entry(&REFUSALS, &request_id)];
    let [customer, refusal] = customers.requests.look_up_each(&id, entries, Some(&sent)).await?;
    if let Some(refusal) = value(&REFUSALS, refusal.as_ref())? {
        return Err(refused(&refusal, &id));
    }
    let status = if account.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    entry_answer(status, &id, customer)
}

fn parse(customer_id: CustomerId, body: &JsonBody) -> Result<PutCustomer, ApiError> {
    let body: CustomerBody<'_> = body.read()?;
    let mut fields = Fields::default();
    let mut name =
        |pointer, name: &Text<'_>| fields.check(pointer, text::line(name, NAME_CHARACTERS_MAX));
    let (first_name, last_name) =
        (name("/firstName", &body.first_name), name("/lastName", &body.last_name));
    let email = fields.check("/email", text::email(&body.email, EMAIL_CHARACTERS_MAX));
    let address = fields.check("/address", text::lines(&body.address, ADDRESS_CHARACTERS_MAX));
    let level = fields.check("/level", named::<Level>(&body.level));
    let limit = parse_limit(&body.credit_limit, &mut fields);
    let request_id = new_request_id();
    let request = || {
        Some(PutCustomer {
            request_id,
            customer_id,
            first_name: first_name?,
            last_name: last_name?,
            email: email?,
            address: address?,
            level: level?,
            credit_limit: limit?,
        })
    };
    fields.finish(request())
}

fn parse_limit(limit: &MoneyBody<'_>, fields: &mut Fields) -> Option<Money> {
    let amount = fields.check("/creditLimit/amount", Amount::parse(&limit.amount));
    let currency = fields.check("/creditLimit/currency", Currency::parse(&limit.currency));
    let (amount, currency) = amount.zip(currency)?;
    fields.check("/creditLimit/amount", Money::new(amount, currency))
}
