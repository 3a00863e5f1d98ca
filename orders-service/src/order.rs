//! The rules of orders: from an order as it is, and what happened, to what becomes of it.
//!
//! Each function takes facts and returns a decision; none reads a clock or a store. An order
//! changes by its events alone: a rule makes the event, which carries the order as it is then, and
//! [`effects`] says who else is to hear of it.
//!
//! ```text
//!              details, inventory, fraud all pass      authorised         ship request
//!  CREATED ------------------------------> VALIDATED -----------> PAID -----------> SHIPPED
//!     |  any check fails, or timeout           | declined, timeout  |
//!     +-----------> FAILED <-------------------+                    |
//!     +-----------------------> CANCELLED <----+--------------------+   cancel request
//! ```
//!
//! - [`place`]: a new order and its details
//! - [`validate`]: the verdicts of the checks
//! - [`pay`]: the result of the payment
//! - [`expire`]: answers that did not come in time
//! - [`late`]: answers that came after the end
//! - [`cancel`], [`ship`]: requests that change an order
//! - [`effects`]: what other services hear
//! - [`state`]: what is kept of an order beside the order itself

pub mod cancel;
pub mod effects;
pub mod expire;
pub mod late;
pub mod pay;
pub mod place;
pub mod ship;
pub mod state;
pub mod validate;

#[cfg(test)]
mod evolve;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod properties;

use events::Timestamp;
use events::order::{Order, OrderEvent, OrderState};

/// What becomes of a request to change an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It changes the order.
    Changed(OrderEvent),
    /// It took effect before; nothing changes.
    Repeated,
    /// It cannot be done; nothing changes.
    Refused(Refusal),
}

/// Why a request changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such order.
    #[error("there is no such order")]
    UnknownOrder,
    /// The order cannot be called off any more.
    #[error("an order that is {state} cannot be cancelled")]
    NotCancellable {
        /// How far it came.
        state: OrderState,
    },
    /// The order cannot be sent on its way, or not yet.
    #[error("an order that is {state} cannot be shipped")]
    NotShippable {
        /// How far it came.
        state: OrderState,
    },
}

/// The order one event later, in another state; `None` where there is no way from its state to
/// that one.
fn change(order: &Order, state: OrderState, now: Timestamp) -> Option<Order> {
    order.state.may_become(state).then(|| Order {
        version: order.version.next(),
        state,
        // Clocks of different machines differ; an order's own time never goes back.
        updated_at: order.updated_at.max(now),
        ..order.clone()
    })
}
