//! Orders: taken in, validated, paid, shipped.
//!
//! - [`mod@topology`]: what comes in, what is kept, what goes out
//! - [`order`]: the rules
//! - [`http`]: the routes
//! - [`outcomes`]: what becomes of orders, as numbers
//! - [`settings`]: what can be set

pub mod http;
pub mod order;
pub mod outcomes;
pub mod settings;
pub mod topology;

pub use topology::topology;
