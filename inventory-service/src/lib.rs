//! Products and how much there is of them.
//!
//! - [`stock`]: the rules

pub mod stock;
