//! How spending is wired: what comes in, what is kept, what goes out.
//!
//! ```text
//!  orders-by-customer -> check-spending -> order-validations
//! ```

use events::ids::CustomerId;
use events::order::OrderEvent;
use events::topics::{DEAD_LETTERS, FRAUD_SERVICE, ORDER_VALIDATIONS, ORDERS_BY_CUSTOMER};
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
        .stream(&ORDERS_BY_CUSTOMER, "check-spending", check_spending)
        .with_sessions(&SESSIONS)
        .to(&ORDER_VALIDATIONS)
        .build()
}

fn check_spending(
    context: &mut Context<'_>,
    event: Record<CustomerId, OrderEvent>,
) -> Result<(), ProcessError> {
    let session =
        context.find_session(&SESSIONS, &event.key, |earlier, later| earlier.merge(&later))?;
    let before = session.value.clone().unwrap_or_default();
    let Some(checked) = check(&before, &event.value) else { return Ok(()) };
    context.put_session(&SESSIONS, &event.key, session, &checked.session)?;
    context.forward(&ORDER_VALIDATIONS, checked.validation.order_id(), &checked.validation)
}
