//! How spending is wired: what comes in, what is kept, what goes out.
//!
//! ```text
//!  orders-by-customer -> check-spending -> order-validations
//! ```

use events::ids::CustomerId;
use events::order::{OrderEvent, OrderTotal};
use events::topics::{DEAD_LETTERS, FRAUD_SERVICE, ORDER_TOTALS_BY_CUSTOMER, ORDER_VALIDATIONS};
use streams::{
    Context, ProcessError, Record, SessionStore, SessionWindows, Topology, TopologyBuilder,
    TopologyError,
};

use crate::spending::{Session, check};

const HOUR_MS: u64 = 60 * 60 * 1_000;

/// What each customer has ordered in one go: a session ends with an hour without an order.
pub const SESSIONS: SessionStore<CustomerId, Session> =
    SessionStore::new("sessions", SessionWindows { gap_ms: HOUR_MS, retention_ms: 24 * HOUR_MS });

/// The topology of fraud-service.
///
/// # Errors
/// None in practice: a test builds it.
pub fn topology() -> Result<Topology, TopologyError> {
    TopologyBuilder::new(FRAUD_SERVICE, DEAD_LETTERS)
        .stream(&ORDER_TOTALS_BY_CUSTOMER, "check-spending", check_spending)
        .with_sessions(&SESSIONS)
        .to(&ORDER_VALIDATIONS)
        .build()
}

fn check_spending(
    context: &mut Context<'_>,
    event: Record<CustomerId, OrderEvent<OrderTotal>>,
) -> Result<(), ProcessError> {
    // Later events of an order are no spending of their own.
    let OrderEvent::Created(order) = &event.value else { return Ok(()) };
    let session =
        context.find_session(&SESSIONS, &event.key, |earlier, later| earlier.merge(&later))?;
    let before = session.value.clone().unwrap_or_default();
    let checked = check(&before, order);
    context.put_session(&SESSIONS, &event.key, session, &checked.session)?;
    context.forward(&ORDER_VALIDATIONS, checked.validation.order_id(), &checked.validation)
}
