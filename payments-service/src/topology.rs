//! How payments are wired: what comes in, what is kept, what goes out.
//!
//! ```text
//!  orders-by-customer -> take-order ----> payments, accounts
//!  customer-requests --> take-request --> customers, accounts
//!  payments -----------> index-payment    (the payments by order, to be read)
//! ```

use events::ids::{CustomerId, DepositId, OrderId, Pair, RequestId};
use events::order::{OrderEvent, OrderTotal};
use events::payment::{Account, Customer, CustomerRequest, Deposit, PaymentEvent, PutCustomer};
use events::topics::{
    ACCOUNTS as ACCOUNT_TABLE, CUSTOMER_REQUESTS, CUSTOMERS as CUSTOMER_TABLE, DEAD_LETTERS,
    ORDER_TOTALS_BY_CUSTOMER, PAYMENTS as PAYMENT_EVENTS, PAYMENTS_SERVICE,
};
use streams::{Context, ProcessError, Record, Store, Topology, TopologyBuilder, TopologyError};

use crate::payment::Refusal;
use crate::payment::customer::{Put, put_customer};
use crate::payment::deposit::{DepositRecord, Deposited, deposit};
use crate::payment::order::{
    PaymentOutcome, PaymentRecord, PaymentState, concerns_payment, take_order,
};

/// Customers.
pub const CUSTOMERS: Store<CustomerId, Customer> = Store::new("customers");
/// The sums of their accounts.
pub const ACCOUNTS: Store<CustomerId, Account> = Store::new("accounts");
/// The deposits that were made. Kept for ever, so that none is made twice.
pub const DEPOSITS: Store<Pair<CustomerId, DepositId>, DepositRecord> = Store::new("deposits");
/// The payments of orders, beside the account that pays them.
pub const PAYMENTS: Store<OrderId, PaymentRecord> = Store::new("payments");
/// The same payments in the partition of their order, where they are found by its id.
pub const PAYMENTS_BY_ORDER: Store<OrderId, PaymentRecord> = Store::new("payments-by-order");
/// Why requests were refused, for those who sent them. Kept for ever.
pub const REFUSALS: Store<RequestId, Refusal> = Store::new("refusals");

/// The topology of payments-service.
///
/// # Errors
/// None in practice: a test builds it.
pub fn topology() -> Result<Topology, TopologyError> {
    TopologyBuilder::new(PAYMENTS_SERVICE, DEAD_LETTERS)
        .table(&CUSTOMER_TABLE)
        .stream(&ORDER_TOTALS_BY_CUSTOMER, "take-order", take_order_event)
        .with_store(&ACCOUNTS)
        .with_store(&PAYMENTS)
        .to(&PAYMENT_EVENTS)
        .to(&ACCOUNT_TABLE)
        .requests(&CUSTOMER_REQUESTS, "take-request", take_request)
        .with_store(&CUSTOMERS)
        .with_store(&ACCOUNTS)
        .with_store(&DEPOSITS)
        .with_store(&REFUSALS)
        .to(&CUSTOMER_TABLE)
        .to(&ACCOUNT_TABLE)
        .stream(&PAYMENT_EVENTS, "index-payment", index_payment)
        .with_store(&PAYMENTS_BY_ORDER)
        .build()
}

fn take_order_event(
    context: &mut Context<'_>,
    event: Record<CustomerId, OrderEvent<OrderTotal>>,
) -> Result<(), ProcessError> {
    if !concerns_payment(&event.value) {
        return Ok(());
    }
    let order_id = &event.value.order().id;
    let account = context.get(&ACCOUNTS, &event.key)?;
    let record = context.get(&PAYMENTS, order_id)?;
    match take_order(account.as_ref(), record.as_ref(), &event.value) {
        PaymentOutcome::Changed(account, record, payment) => {
            set_account(context, &account)?;
            context.put(&PAYMENTS, order_id, &record)?;
            context.forward(&PAYMENT_EVENTS, order_id, &payment)
        }
        PaymentOutcome::Declined(record, payment) => {
            context.put(&PAYMENTS, order_id, &record)?;
            context.forward(&PAYMENT_EVENTS, order_id, &payment)
        }
        PaymentOutcome::Unchanged => Ok(()),
    }
}

fn set_account(context: &mut Context<'_>, account: &Account) -> Result<(), ProcessError> {
    context.put(&ACCOUNTS, &account.customer_id, account)?;
    context.forward(&ACCOUNT_TABLE, &account.customer_id, account)
}

fn take_request(
    context: &mut Context<'_>,
    request: Record<CustomerId, CustomerRequest>,
) -> Result<(), ProcessError> {
    match request.value {
        CustomerRequest::Put(request) => put(context, &request),
        CustomerRequest::Deposit(request) => pay_in(context, &request),
    }
}

fn put(context: &mut Context<'_>, request: &PutCustomer) -> Result<(), ProcessError> {
    let account = context.get(&ACCOUNTS, &request.customer_id)?;
    match put_customer(account.as_ref(), request) {
        Put::Created(customer, account) | Put::Replaced(customer, account) => {
            context.put(&CUSTOMERS, &customer.customer_id, &customer)?;
            context.forward(&CUSTOMER_TABLE, &customer.customer_id, &customer)?;
            set_account(context, &account)
        }
        Put::Refused(refusal) => context.put(&REFUSALS, &request.request_id, &refusal),
    }
}

fn pay_in(context: &mut Context<'_>, request: &Deposit) -> Result<(), ProcessError> {
    let place = Pair::new(request.customer_id.clone(), request.deposit_id.clone());
    let account = context.get(&ACCOUNTS, &request.customer_id)?;
    let made = context.get(&DEPOSITS, &place)?;
    match deposit(account.as_ref(), made.as_ref(), request) {
        Deposited::Applied(account, record) => {
            set_account(context, &account)?;
            context.put(&DEPOSITS, &place, &record)
        }
        Deposited::Repeated => Ok(()),
        Deposited::Refused(refusal) => context.put(&REFUSALS, &request.request_id, &refusal),
    }
}

fn index_payment(
    context: &mut Context<'_>,
    event: Record<OrderId, PaymentEvent>,
) -> Result<(), ProcessError> {
    // What comes first decides nothing any more where there is something: it was put back late.
    let is_first = matches!(event.value, PaymentEvent::Authorised(_) | PaymentEvent::Declined(_));
    if is_first && context.get(&PAYMENTS_BY_ORDER, &event.key)?.is_some() {
        return Ok(());
    }
    let state = match &event.value {
        PaymentEvent::Authorised(_) => PaymentState::Authorised,
        PaymentEvent::Declined(_) => PaymentState::Declined,
        PaymentEvent::Captured(_) => PaymentState::Captured,
        PaymentEvent::Released(_) => PaymentState::Released,
    };
    let record = PaymentRecord { payment: event.value.payment().clone(), state };
    context.put(&PAYMENTS_BY_ORDER, &event.key, &record)
}
