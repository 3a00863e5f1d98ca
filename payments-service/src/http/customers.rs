//! Customers.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use events::ids::CustomerId;
use events::money::{Amount, Currency, Money};
use events::payment::{CustomerRequest, Level, PutCustomer};
use events::topics;
use serde::Deserialize;
use shell::json::{Fields, JsonBody, Object, Text, named};
use shell::page::{self, PageQuery};
use shell::params::PathId;
use shell::problem::ApiError;
use shell::requests::{entry, value};
use shell::text;

use super::{Customers, entry_answer, new_request_id, refused};
use crate::payment::customer::{Put, put_customer};
use crate::topology::{ACCOUNTS, CUSTOMERS, REFUSALS};

const NAME_CHARACTERS_MAX: usize = 200;
const EMAIL_CHARACTERS_MAX: usize = 254;
const ADDRESS_CHARACTERS_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CustomerBody<'a> {
    #[serde(borrow)]
    first_name: Text<'a>,
    #[serde(borrow)]
    last_name: Text<'a>,
    #[serde(borrow)]
    email: Text<'a>,
    #[serde(borrow)]
    address: Text<'a>,
    #[serde(borrow)]
    level: Text<'a>,
    #[serde(borrow)]
    credit_limit: Object<MoneyBody<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MoneyBody<'a> {
    #[serde(borrow)]
    amount: Text<'a>,
    #[serde(borrow)]
    currency: Text<'a>,
}

/// `GET /v1/customers`: a page of them, in order of id.
pub(super) async fn page(
    State(customers): State<Arc<Customers>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = PageQuery::<CustomerId>::parse(query.as_deref())?;
    page::answer(customers.requests.service(), topics::CUSTOMERS.name(), "customers", &query).await
}

/// `GET /v1/customers/{id}`.
pub(super) async fn customer(
    State(customers): State<Arc<Customers>>,
    id: PathId,
) -> Result<Response, ApiError> {
    let id = id.existing("customer")?;
    let [customer] = customers.requests.look_up_each(&id, [entry(&CUSTOMERS, &id)], None).await?;
    entry_answer(StatusCode::OK, &id, customer)
}

/// `PUT /v1/customers/{id}`: 201 where there was none before. Of two that are put at the same time
/// under a new id, both may be told so. What the account does not allow is answered without a
/// request being written.
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
