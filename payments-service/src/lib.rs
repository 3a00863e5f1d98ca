//! Customers, their accounts, and the payments of orders.
//!
//! - [`mod@topology`]: what comes in, what is kept, what goes out
//! - [`payment`]: the rules
//! - [`http`]: the routes

pub mod http;
pub mod payment;
pub mod topology;

pub use topology::topology;
