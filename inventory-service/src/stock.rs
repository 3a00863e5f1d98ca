//! The rules of stock: from how much there is of a product, and what happened, to how much there
//! is then.
//!
//! Each function takes facts and returns a decision; none reads a clock or a store. Whatever they
//! decide, a product never has less on hand than is promised: `0 <= reserved <= on hand`.

use events::ids::RequestId;
use events::order::Reason;
use events::quantity::Quantity;
use events::stock::{AdjustStock, OrderLine, OrderLineEvent, Product, PutProduct, StockLevel};
use events::validation::{InventoryCheck, OrderValidation, Verdict};

/// The most pieces there can be of a product: the largest whole number that every reader of JSON
/// keeps exactly.
pub const ON_HAND_MAX: u64 = (1 << 53) - 1;

/// What a request to put a product does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// The catalogue has a new product, of which there is nothing yet.
    Created(Product, StockLevel),
    /// The catalogue has another entry for a product it knew.
    Replaced(Product),
}

/// Enters a product in the catalogue, or replaces its entry.
pub fn put_product(before: Option<&Product>, request: &PutProduct) -> Put {
    let product = Product {
        product_id: request.product_id.clone(),
        name: request.name.clone(),
        price: request.price,
    };
    if before.is_some() {
        return Put::Replaced(product);
    }
    let product_id = request.product_id.clone();
    Put::Created(product, StockLevel { product_id, on_hand: 0, reserved: 0 })
}

/// An adjustment that was made, kept for ever by product and adjustment id.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Adjustment {
    /// The request that made it.
    pub request_id: RequestId,
    /// How many pieces came in; below 0, how many went out.
    pub delta: i64,
}

/// What a request to adjust stock does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Adjusted {
    /// There is another number of pieces, and the adjustment is to be kept.
    Applied(StockLevel, Adjustment),
    /// The same adjustment was made before; nothing changes.
    Repeated,
    /// It cannot be done; nothing changes.
    Refused(Refusal),
}

/// Why a request changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub enum Refusal {
    /// The catalogue does not have the product.
    #[error("there is no such product")]
    UnknownProduct,
    /// The adjustment's id belongs to another adjustment.
    #[error("the adjustment was made before, by {made}")]
    OtherDelta {
        /// What that one did.
        made: i64,
    },
    /// Fewer pieces would be left than are promised to orders.
    #[error("{on_hand} on hand and {reserved} of them reserved cannot change by {delta}")]
    BelowReserved {
        /// How many pieces there are.
        on_hand: u64,
        /// How many of them are promised.
        reserved: u64,
        /// How many were to come or go.
        delta: i64,
    },
    /// There would be more than [`ON_HAND_MAX`] pieces.
    #[error("{on_hand} on hand cannot grow by {delta}: at most {ON_HAND_MAX} can be kept")]
    TooMany {
        /// How many pieces there are.
        on_hand: u64,
        /// How many were to come.
        delta: i64,
    },
}

/// Changes how much there is of a product. `made` is the adjustment that was made under the
/// request's adjustment id, if there was one.
pub fn adjust(
    level: Option<&StockLevel>,
    made: Option<&Adjustment>,
    request: &AdjustStock,
) -> Adjusted {
    let delta = request.delta;
    match made {
        Some(made) if made.delta == delta => return Adjusted::Repeated,
        Some(made) => return Adjusted::Refused(Refusal::OtherDelta { made: made.delta }),
        None => {}
    }
    let Some(level) = level else { return Adjusted::Refused(Refusal::UnknownProduct) };
    let StockLevel { on_hand, reserved, .. } = *level;
    match on_hand.checked_add_signed(delta) {
        Some(after) if after > ON_HAND_MAX => {
            Adjusted::Refused(Refusal::TooMany { on_hand, delta })
        }
        Some(after) if after >= reserved => Adjusted::Applied(
            StockLevel { on_hand: after, ..level.clone() },
            Adjustment { request_id: request.request_id, delta },
        ),
        _ => Adjusted::Refused(Refusal::BelowReserved { on_hand, reserved, delta }),
    }
}

/// Pieces that are promised to an order, kept by product and order while they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reservation {
    /// How many.
    pub quantity: Quantity,
}

/// What a line of an order does to its product's stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineOutcome {
    /// The pieces are promised to the order: the level and the reservation are to be kept, and the
    /// verdict goes to the order.
    Reserved(StockLevel, Reservation, OrderValidation),
    /// They are not there; the verdict goes to the order, and nothing changes.
    Rejected(OrderValidation),
    /// The order has no reservation any more: this is the level without it.
    Ended(StockLevel),
    /// Nothing changes.
    Unchanged,
}

/// Reserves, gives back or takes out what a line asks for. `level` and `reservation` are the
/// line's product's and the line's own.
pub fn take_line(
    level: Option<&StockLevel>,
    reservation: Option<&Reservation>,
    event: &OrderLineEvent,
) -> LineOutcome {
    match (event, level, reservation) {
        (OrderLineEvent::Placed(_), _, Some(_)) => LineOutcome::Unchanged,
        (OrderLineEvent::Placed(line), level, None) => reserve(level, line),
        (OrderLineEvent::Released(_), Some(level), Some(reservation)) => {
            end(level.on_hand.into(), level, reservation)
        }
        (OrderLineEvent::Shipped(_), Some(level), Some(reservation)) => {
            end(level.on_hand.checked_sub(pieces(reservation.quantity)), level, reservation)
        }
        (OrderLineEvent::Released(_) | OrderLineEvent::Shipped(_), ..) => LineOutcome::Unchanged,
    }
}

fn reserve(level: Option<&StockLevel>, line: &OrderLine) -> LineOutcome {
    let Some(level) = level else {
        return rejected(line, Reason::UnknownProduct, "the product has no stock".to_owned());
    };
    let (asked, available) = (pieces(line.quantity), level.available());
    if asked > available {
        let detail = format!("{asked} asked for, {available} available");
        return rejected(line, Reason::InsufficientStock, detail);
    }
    LineOutcome::Reserved(
        StockLevel { reserved: level.reserved + asked, ..level.clone() },
        Reservation { quantity: line.quantity },
        validation(line, Verdict::Pass),
    )
}

/// The level without a reservation, with so much on hand. Where the level does not hold what is
/// reserved, which no decision here leads to, nothing changes.
fn end(on_hand: Option<u64>, level: &StockLevel, reservation: &Reservation) -> LineOutcome {
    let reserved = level.reserved.checked_sub(pieces(reservation.quantity));
    match (on_hand, reserved) {
        (Some(on_hand), Some(reserved)) => {
            LineOutcome::Ended(StockLevel { on_hand, reserved, ..level.clone() })
        }
        _ => LineOutcome::Unchanged,
    }
}

fn rejected(line: &OrderLine, reason: Reason, detail: String) -> LineOutcome {
    LineOutcome::Rejected(validation(line, Verdict::Fail { reason, detail }))
}

fn validation(line: &OrderLine, verdict: Verdict) -> OrderValidation {
    let (order_id, product_id) = (line.order_id.clone(), line.product_id.clone());
    OrderValidation::Inventory(InventoryCheck { order_id, product_id, verdict })
}

fn pieces(quantity: Quantity) -> u64 {
    quantity.into()
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
