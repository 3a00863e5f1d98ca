//! Orders: taken in, validated, paid, shipped.
//!
//! - [`order`]: the rules

pub mod order;
