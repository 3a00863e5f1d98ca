//! Spending that is out of the ordinary.
//!
//! - [`mod@topology`]: what comes in, what is kept, what goes out
//! - [`spending`]: the rules

pub mod spending;
pub mod topology;

pub use topology::topology;
