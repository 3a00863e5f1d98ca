//! Customers, their accounts, and the payments of orders.
//!
//! - [`payment`]: the rules

pub mod payment;
