//! The accounts of customers.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use events::ids::{CustomerId, DepositId, Pair};
use events::money::{Amount, Currency};
use events::payment::{Account, CustomerRequest, Deposit};
use serde::{Deserialize, Serialize};
use shell::json::{self, Fields, JsonBody, Text};
use shell::openapi::responses::{NotFound, PROBLEM_JSON, Problem};
use shell::params::PathId;
use shell::problem::ApiError;
use shell::requests::{Entry, entry, value};
use shell::unique;
use utoipa::ToSchema;

use super::{Customers, new_request_id, no_such_customer, refused};
use crate::payment::deposit::{Deposited, deposit as rule};
use crate::payment::{Refusal, available};
use crate::topology::{ACCOUNTS, DEPOSITS, REFUSALS};

/// The account of a customer, all sums in its currency.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Account)]
struct AccountView<'a> {
    /// The customer.
    customer_id: &'a CustomerId,
    /// The currency of the sums.
    currency: Currency,
    /// How far the account may be overdrawn.
    limit: Amount,
    /// All that was paid in.
    deposits: Amount,
    /// What is kept ready for orders that are paid and not yet shipped.
    authorised: Amount,
    /// What orders took when they were shipped.
    captured: Amount,
    /// What is left for further orders.
    available: Amount,
}

fn account_answer(status: StatusCode, account: &Account) -> Response {
    let view = AccountView {
        customer_id: &account.customer_id,
        currency: account.currency,
        limit: account.limit,
        deposits: account.deposits,
        authorised: account.authorised,
        captured: account.captured,
        available: available(account),
    };
    json::answer(status, &view)
}

/// Money that is paid in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewDeposit)]
struct DepositBody<'a> {
    /// Its id, unique for the customer: however often it is sent, it is made once. Without one a
    /// new one is made.
    #[serde(borrow, default)]
    #[schema(value_type = Option<DepositId>)]
    id: Option<Text<'a>>,
    /// How much, above 0, in the account's currency and with its decimals.
    #[serde(borrow)]
    #[schema(value_type = Amount)]
    amount: Text<'a>,
}

/// The account of a customer.
#[utoipa::path(
    get,
    path = "/v1/customers/{id}/account",
    tag = "Customers",
    params(("id" = CustomerId, Path, description = "The customer.", example = "c-1")),
    responses((status = 200, description = "The account.", body = AccountView), NotFound),
)]
pub(super) async fn account(
    State(customers): State<Arc<Customers>>,
    id: PathId,
) -> Result<Response, ApiError> {
    let id = id.existing("customer")?;
    let [account] = customers.requests.look_up_each(&id, [entry(&ACCOUNTS, &id)], None).await?;
    let account = value(&ACCOUNTS, account.as_ref())?.ok_or_else(|| no_such_customer(&id))?;
    Ok(account_answer(StatusCode::OK, &account))
}

/// Pays money into the account of a customer, once however often it is asked for.
// What is decided already is answered without a request being written: a deposit that was made
// before, and one that can't be made.
#[utoipa::path(
    post,
    path = "/v1/customers/{id}/deposits",
    tag = "Customers",
    params(("id" = CustomerId, Path, description = "The customer.", example = "c-1")),
    request_body(content = DepositBody, example = json!({"id": "deposit-1", "amount": "10.00"})),
    responses(
        (
            status = 200,
            description = "The deposit was made before: the account as it is now.",
            body = AccountView,
        ),
        (status = 201, description = "The account after the deposit.", body = AccountView),
        (
            status = 409,
            description = "`DEPOSIT_ID_TAKEN`: the id is that of a deposit of another amount. \
                `TOO_MUCH_MONEY`: more than can be counted.",
            body = Problem,
            content_type = PROBLEM_JSON,
        ),
        JsonBody,
        NotFound,
    ),
)]
pub(super) async fn deposit(
    State(customers): State<Arc<Customers>>,
    id: PathId,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let request = parse(id.existing("customer")?, &body)?;
    let id = &request.customer_id;
    let before = customers.requests.look_up_each(id, entries(&request), None).await?;
    if let Some(answer) = decided(&before, &request)? {
        return Ok(answer);
    }
    let sent = customers.send(&CustomerRequest::Deposit(request.clone())).await?;
    let after = customers.requests.look_up_each(id, entries(&request), Some(&sent)).await?;
    decided(&after, &request)?.ok_or_else(|| ApiError::Internal {
        cause: format!("request {} was processed and changed nothing", request.request_id),
    })
}

fn parse(customer_id: CustomerId, body: &JsonBody) -> Result<Deposit, ApiError> {
    let body: DepositBody<'_> = body.read()?;
    let mut fields = Fields::default();
    let deposit_id = match &body.id {
        Some(id) => fields.check("/id", DepositId::parse(id)),
        None => fields.check("/id", DepositId::parse(&unique::id().to_string())),
    };
    let amount = fields.check("/amount", Amount::parse(&body.amount));
    if amount.is_some_and(Amount::is_zero) {
        fields.refuse("/amount", Refusal::NothingDeposited);
    }
    let request_id = new_request_id();
    fields.finish(deposit_id.zip(amount).map(|(deposit_id, amount)| Deposit {
        request_id,
        customer_id,
        deposit_id,
        amount,
    }))
}

/// What decides a deposit.
fn entries(request: &Deposit) -> [Entry; 3] {
    let key = Pair::new(request.customer_id.clone(), request.deposit_id.clone());
    [
        entry(&ACCOUNTS, &request.customer_id),
        entry(&DEPOSITS, &key),
        entry(&REFUSALS, &request.request_id),
    ]
}

/// The answer where these entries decide it; `None` where the deposit can be made.
fn decided(
    [account, made, refusal]: &[Option<Bytes>; 3],
    request: &Deposit,
) -> Result<Option<Response>, ApiError> {
    let id = &request.customer_id;
    if let Some(refusal) = value(&REFUSALS, refusal.as_ref())? {
        return Err(refused(&refusal, id));
    }
    let account = value(&ACCOUNTS, account.as_ref())?;
    let made = value(&DEPOSITS, made.as_ref())?;
    match rule(account.as_ref(), made.as_ref(), request) {
        Deposited::Applied(..) => Ok(None),
        Deposited::Refused(refusal) => Err(refused(&refusal, id)),
        Deposited::Repeated => {
            let account = account.ok_or_else(|| no_such_customer(id))?;
            let is_own = made.is_some_and(|made| made.request_id == request.request_id);
            let status = if is_own { StatusCode::CREATED } else { StatusCode::OK };
            Ok(Some(account_answer(status, &account)))
        }
    }
}
