//! The shared language of the services: what crosses the border of one, and nothing else.
//!
//! Everything here is a fact or a request as it lies on the log: parsed when it comes in, so that
//! whoever holds a value of one of these types need not check it again. In reading order:
//!
//! - [`ids`]: who and what is meant
//! - [`money`] and [`quantity`]: how much
//! - [`rfc3339`]: when, as text
//! - [`order_request`] and [`order`]: what is asked of an order, and what became of it
//! - [`stock`]: products, their stock, and the lines of orders as a product sees them
//! - [`validation`]: verdicts of the checks
//! - [`payment`]: customers, their accounts, and payments
//! - [`topics`]: where each of these is written, by whom, and how long it is kept
//!
//! Events are JSON in camelCase. Readers ignore fields they do not know, and a field that is added
//! later is optional: the recorded events under `tests/recorded` stay readable.
#![warn(missing_docs)]

mod event;
pub mod ids;
pub mod money;
pub mod order;
pub mod order_request;
pub mod payment;
pub mod quantity;
pub mod rfc3339;
pub mod stock;
pub mod topics;
pub mod validation;

pub use streams::Timestamp;
