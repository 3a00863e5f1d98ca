//! An order, and what happens to it.

use std::fmt;

use serde::{Deserialize, Serialize};
use streams::Timestamp;
use utoipa::ToSchema;

use crate::event::event_types;
use crate::ids::{CustomerId, OrderId, ProductId};
use crate::money::{Amount, Currency};
use crate::quantity::Quantity;
use crate::rfc3339;

/// An order as it stands after its latest event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// How many events it had.
    pub version: Version,
    /// How far it came.
    pub state: OrderState,
    /// Who ordered.
    pub customer_id: CustomerId,
    /// The currency of all its prices.
    pub currency: Currency,
    /// What is ordered, in the order it was asked for; each product once.
    pub lines: Vec<Line>,
    /// The sum of its lines; `null` where a price is unknown, or where the sum is no amount.
    #[schema(required)]
    pub total: Option<Amount>,
    /// What the checks have said.
    pub checks: Checks,
    /// Why it failed: every reason known when it did.
    pub failures: Vec<Failure>,
    /// When it was asked for.
    #[serde(with = "rfc3339")]
    #[schema(schema_with = rfc3339::schema)]
    pub placed_at: Timestamp,
    /// The time of its latest event.
    #[serde(with = "rfc3339")]
    #[schema(schema_with = rfc3339::schema)]
    pub updated_at: Timestamp,
}

/// The number of an order's events so far: 1 when it is created, and 1 more with each change.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(transparent)]
#[schema(minimum = 1)]
pub struct Version(pub u32);

impl Version {
    /// The version of an order just created.
    pub const FIRST: Version = Version(1);

    /// The version after this one.
    pub const fn next(self) -> Version {
        Version(self.0.saturating_add(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

/// How far an order came.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OrderState {
    /// Accepted; its checks are under way.
    Created,
    /// Every check passed: its stock is reserved, its payment is under way.
    Validated,
    /// Its total is authorised on the customer's account.
    Paid,
    /// On its way. Final.
    Shipped,
    /// A check, its payment, or the time it had has failed it. Final.
    Failed,
    /// Called off by request. Final.
    Cancelled,
}

impl OrderState {
    /// All states.
    pub const ALL: [OrderState; 6] = [
        OrderState::Created,
        OrderState::Validated,
        OrderState::Paid,
        OrderState::Shipped,
        OrderState::Failed,
        OrderState::Cancelled,
    ];

    /// The state's name, as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            OrderState::Created => "CREATED",
            OrderState::Validated => "VALIDATED",
            OrderState::Paid => "PAID",
            OrderState::Shipped => "SHIPPED",
            OrderState::Failed => "FAILED",
            OrderState::Cancelled => "CANCELLED",
        }
    }

    /// The state that is written like this, in just these letters.
    pub fn from_name(name: &str) -> Option<Self> {
        OrderState::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether an order in this state may change into `next` with one event.
    pub const fn may_become(self, next: OrderState) -> bool {
        use OrderState::{Cancelled, Created, Failed, Paid, Shipped, Validated};
        matches!(
            (self, next),
            (Created, Validated | Failed | Cancelled)
                | (Validated, Paid | Failed | Cancelled)
                | (Paid, Shipped | Cancelled)
        )
    }

    /// Whether nothing can change an order in this state.
    pub const fn is_final(self) -> bool {
        matches!(self, OrderState::Shipped | OrderState::Failed | OrderState::Cancelled)
    }

    /// Whether an order in this state waits for no service, only for a request or for nothing.
    pub const fn is_settled(self) -> bool {
        matches!(self, OrderState::Paid) || self.is_final()
    }
}

impl fmt::Display for OrderState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One product of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The product.
    pub product_id: ProductId,
    /// How many pieces of it.
    pub quantity: Quantity,
    /// The price of one: as it was asked for, or else the catalogue's; `null` where neither says.
    #[schema(required)]
    pub unit_price: Option<Amount>,
}

/// What must hold before an order is paid for, and that it is paid for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Check {
    /// Customer and products are known, prices and currencies are right.
    OrderDetails,
    /// Every line is reserved.
    Inventory,
    /// The customer's recent spending is not out of the ordinary.
    Fraud,
    /// The customer's account covers the total. Named in failures alone: while it is under way the
    /// order's state says so.
    Payment,
}

/// What each check has said of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub struct Checks {
    /// Customer and products are known, prices and currencies are right.
    pub order_details: CheckState,
    /// Every line is reserved.
    pub inventory: CheckState,
    /// The customer's recent spending is not out of the ordinary.
    pub fraud: CheckState,
}

/// What one check has said of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CheckState {
    /// Nothing yet.
    Pending,
    /// It holds.
    Pass,
    /// It does not.
    Fail,
}

/// One reason why an order failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The check that did not pass.
    pub check: Check,
    /// The product it is about, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<ProductId>,
    /// The reason, for programs.
    pub reason: Reason,
    /// The reason with its values, for people.
    pub detail: String,
}

/// Why a check did not pass.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// No such customer.
    UnknownCustomer,
    /// No such product.
    UnknownProduct,
    /// The unit price is not the catalogue's.
    PriceChanged,
    /// The order's currency is not the account's, or not the catalogue price's.
    CurrencyMismatch,
    /// The catalogue's prices make a total that is no amount any more.
    TotalTooLarge,
    /// Less is available than the line asks for.
    InsufficientStock,
    /// The customer's orders of a short time add up to too much.
    SpendingLimit,
    /// The account does not take the payment.
    PaymentDeclined,
    /// No answer in time.
    Timeout,
}

/// What those need to know of an order who watch or settle what it comes to: a part of [`Order`],
/// and quicker to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderTotal {
    /// See [`Order::id`].
    pub id: OrderId,
    /// See [`Order::customer_id`].
    pub customer_id: CustomerId,
    /// See [`Order::currency`].
    pub currency: Currency,
    /// See [`Order::total`].
    pub total: Option<Amount>,
}

/// A change of an order's state: its new state, with the whole order after it, or as much of it as
/// its reader needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderEvent<Body = Order> {
    /// It was accepted.
    Created(Body),
    /// Every check passed.
    Validated(Body),
    /// Its payment was authorised.
    Paid(Body),
    /// It was shipped.
    Shipped(Body),
    /// It failed, for the reasons it carries.
    Failed(Body),
    /// It was called off.
    Cancelled(Body),
}

event_types!(OrderEvent<Body> {
    Created => "OrderCreated",
    Validated => "OrderValidated",
    Paid => "OrderPaid",
    Shipped => "OrderShipped",
    Failed => "OrderFailed",
    Cancelled => "OrderCancelled",
});

impl OrderEvent {
    /// The event that has brought an order to where it is: there is one for each state.
    pub const fn that_led_to(order: Order) -> Self {
        match order.state {
            OrderState::Created => OrderEvent::Created(order),
            OrderState::Validated => OrderEvent::Validated(order),
            OrderState::Paid => OrderEvent::Paid(order),
            OrderState::Shipped => OrderEvent::Shipped(order),
            OrderState::Failed => OrderEvent::Failed(order),
            OrderState::Cancelled => OrderEvent::Cancelled(order),
        }
    }
}

impl<Body> OrderEvent<Body> {
    /// The order after the event.
    pub const fn order(&self) -> &Body {
        match self {
            OrderEvent::Created(order)
            | OrderEvent::Validated(order)
            | OrderEvent::Paid(order)
            | OrderEvent::Shipped(order)
            | OrderEvent::Failed(order)
            | OrderEvent::Cancelled(order) => order,
        }
    }

    /// The order after the event, by value.
    pub fn into_order(self) -> Body {
        match self {
            OrderEvent::Created(order)
            | OrderEvent::Validated(order)
            | OrderEvent::Paid(order)
            | OrderEvent::Shipped(order)
            | OrderEvent::Failed(order)
            | OrderEvent::Cancelled(order) => order,
        }
    }

    /// The state that this type of event leads to.
    pub const fn state(&self) -> OrderState {
        match self {
            OrderEvent::Created(_) => OrderState::Created,
            OrderEvent::Validated(_) => OrderState::Validated,
            OrderEvent::Paid(_) => OrderState::Paid,
            OrderEvent::Shipped(_) => OrderState::Shipped,
            OrderEvent::Failed(_) => OrderState::Failed,
            OrderEvent::Cancelled(_) => OrderState::Cancelled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_final_where_nothing_follows_it() {
        for state in OrderState::ALL {
            let has_next = OrderState::ALL.into_iter().any(|next| state.may_become(next));
            assert_eq!(state.is_final(), !has_next, "{state}");
            assert!(!state.may_become(state), "{state}");
            assert!(!state.may_become(OrderState::Created), "{state}");
        }
    }

    #[test]
    fn a_state_is_displayed_as_it_is_written() {
        for state in OrderState::ALL {
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{state}\""));
        }
    }
}
