//! Products and how much there is of them.
//!
//! - [`mod@topology`]: what comes in, what is kept, what goes out
//! - [`stock`]: the rules
//! - [`http`]: the routes

pub mod http;
pub mod stock;
pub mod topology;

pub use topology::topology;
