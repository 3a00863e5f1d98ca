//! Customers, their accounts, and the payments of their orders.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::event::event_types;
use crate::ids::{CustomerId, DepositId, OrderId, RequestId};
use crate::money::{Amount, Currency, Money};

/// What happened to the payment of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentEvent {
    /// The account covers the order's total and keeps it ready.
    Authorised(Payment),
    /// The account does not take the payment.
    Declined(DeclinedPayment),
    /// What was kept ready is paid.
    Captured(Payment),
    /// What was kept ready is free again.
    Released(Payment),
}

event_types!(PaymentEvent {
    Authorised => "PaymentAuthorised",
    Declined => "PaymentDeclined",
    Captured => "PaymentCaptured",
    Released => "PaymentReleased",
});

impl PaymentEvent {
    /// The payment.
    pub const fn payment(&self) -> &Payment {
        match self {
            PaymentEvent::Authorised(payment)
            | PaymentEvent::Captured(payment)
            | PaymentEvent::Released(payment) => payment,
            PaymentEvent::Declined(declined) => &declined.payment,
        }
    }
}

/// The payment of one order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// The order.
    pub order_id: OrderId,
    /// Who pays.
    pub customer_id: CustomerId,
    /// The order's total.
    pub amount: Money,
}

/// A payment that was not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeclinedPayment {
    /// The payment.
    pub payment: Payment,
    /// The reason, for programs.
    pub reason: DeclineReason,
    /// The reason with its values, for people.
    pub detail: String,
}

/// Why a payment was not taken.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeclineReason {
    /// No such customer.
    UnknownCustomer,
    /// The order's currency is not the account's.
    CurrencyMismatch,
    /// More than the account has available.
    InsufficientFunds,
}

/// A request about one customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomerRequest {
    /// To enter or replace the customer.
    Put(PutCustomer),
    /// To pay money into the customer's account.
    Deposit(Deposit),
}

event_types!(CustomerRequest {
    Put => "PutCustomer",
    Deposit => "Deposit",
});

impl CustomerRequest {
    /// The customer it is about.
    pub const fn customer_id(&self) -> &CustomerId {
        match self {
            CustomerRequest::Put(request) => &request.customer_id,
            CustomerRequest::Deposit(request) => &request.customer_id,
        }
    }

    /// The request's own id.
    pub const fn request_id(&self) -> RequestId {
        match self {
            CustomerRequest::Put(request) => request.request_id,
            CustomerRequest::Deposit(request) => request.request_id,
        }
    }
}

/// A request to enter or replace a customer and the limit of the customer's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PutCustomer {
    /// Which request this is.
    pub request_id: RequestId,
    /// The customer.
    pub customer_id: CustomerId,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// E-mail address.
    pub email: String,
    /// Postal address.
    pub address: String,
    /// How the customer is valued.
    pub level: Level,
    /// How far the account may be overdrawn. Its currency is the account's.
    pub credit_limit: Money,
}

/// A request to pay money into a customer's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deposit {
    /// Which request this is.
    pub request_id: RequestId,
    /// The customer.
    pub customer_id: CustomerId,
    /// Which deposit this is: however often it is asked for, it is made once.
    pub deposit_id: DepositId,
    /// How much, in the account's currency.
    pub amount: Amount,
}

/// A customer as others know one: no sums.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Customer {
    /// The customer.
    pub customer_id: CustomerId,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// E-mail address.
    pub email: String,
    /// Postal address.
    pub address: String,
    /// How the customer is valued.
    pub level: Level,
    /// The currency of the customer's account.
    pub currency: Currency,
}

/// How a customer is valued.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Level {
    /// The first.
    Bronze,
    /// The second.
    Silver,
    /// The third.
    Gold,
    /// The highest.
    Platinum,
}

/// The sums of a customer's account, all in its currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// The customer.
    pub customer_id: CustomerId,
    /// The currency of the sums.
    pub currency: Currency,
    /// How far the account may be overdrawn.
    pub limit: Amount,
    /// All that was paid in.
    pub deposits: Amount,
    /// What is kept ready for orders that are paid and not yet shipped.
    pub authorised: Amount,
    /// What orders took when they were shipped.
    pub captured: Amount,
    /// Whether there ever was a deposit or an authorisation. From then on its currency stays.
    pub used: bool,
}
