//! Spending that is out of the ordinary.
//!
//! - [`spending`]: the rules

pub mod spending;
