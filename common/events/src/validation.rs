//! Verdicts of the checks that other services make on an order.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::event::event_types;
use crate::ids::{OrderId, ProductId};
use crate::order::Reason;

/// What a check says of an order. Each check has one service that writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderValidation {
    /// The stock of one line: one verdict for each line of the order.
    Inventory(InventoryCheck),
    /// The customer's spending: one verdict for the order.
    Fraud(FraudCheck),
}

event_types!(OrderValidation {
    Inventory => "InventoryChecked",
    Fraud => "FraudChecked",
});

impl OrderValidation {
    /// The order that was checked.
    pub const fn order_id(&self) -> &OrderId {
        match self {
            OrderValidation::Inventory(check) => &check.order_id,
            OrderValidation::Fraud(check) => &check.order_id,
        }
    }

    /// What the check found.
    pub const fn verdict(&self) -> &Verdict {
        match self {
            OrderValidation::Inventory(check) => &check.verdict,
            OrderValidation::Fraud(check) => &check.verdict,
        }
    }
}

/// Whether one line of an order is reserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryCheck {
    /// The order.
    pub order_id: OrderId,
    /// The product of the line.
    pub product_id: ProductId,
    /// What was found.
    pub verdict: Verdict,
}

/// Whether the customer's recent spending, with this order, is as usual.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FraudCheck {
    /// The order.
    pub order_id: OrderId,
    /// What was found.
    pub verdict: Verdict,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", tag = "result")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not.
    Fail {
        /// The reason, for programs.
        reason: Reason,
        /// The reason with its values, for people.
        detail: String,
    },
}
