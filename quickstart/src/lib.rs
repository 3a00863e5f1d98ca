//! The whole system in one process: four services, the log on local disk, the REST API.
//!
//! - [`settings`]: what the command line and the environment say
//! - [`system`]: the parts put together, started and stopped
//! - [`page`]: a page for people, at `/`
//! - [`sample`]: what an empty shop is filled with
//! - [`greeting`]: what is said when all of it runs
#![warn(missing_docs)]

pub mod greeting;
pub mod page;
pub mod sample;
pub mod settings;
pub mod system;

pub use settings::Settings;
pub use system::{Error, Running, open_log, start};
