//! The log under the runtime: the contract and the embedded implementation.
#![warn(missing_docs)]

mod error;
mod log;

pub use error::Error;
pub use log::*;
