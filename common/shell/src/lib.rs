//! What every service needs of the outside world: threads, sockets, clocks and signals.
//!
//! Going the way of a request:
//!
//! - [`server`][]: connections
//! - [`admission`] and [`edge`]: how many requests there may be, and what surrounds each of them
//! - [`json`], [`params`], [`duration`], [`text`], [`preference`] and [`etag`]: what a
//!   request says
//! - [`problem`]: how an error is told, and `subject`: what the log tells of a request
//! - [`page`]: lists, page by page
//! - [`unique`]: an id for it
//! - [`requests`]: sending a request to the service, and seeing what became of it
//! - `service`: a running service as its routes see it, and `read`: what they ask of it
//! - `health`: how it is doing, and the parts beside its workers
//! - `flow`, `commits` and `tasks`: how many records it reads and writes, in which commits, and how
//!   far its tasks are
//! - `owners`: which worker to ask
//! - `peers`: the service's other instances, and what is asked of them
//! - `driver`: threads that do on a log what workers say
//! - `workers`: the driver with its log, as a program holds them
//! - [`openapi`]: what the routes are, as a document and a page
//! - [`operations`] and `directory`: how an operator sees what goes on
//! - [`clock`]: the one place where the wall clock is read
//! - [`starting`]: what answers before the rest can
//! - `span_export`: what is told of all this to who collects spans
//! - [`telemetry`] and [`shutdown`]: the process around it all
#![warn(missing_docs)]

pub mod admission;
pub mod clock;
mod commits;
mod directory;
mod driver;
pub mod duration;
pub mod edge;
pub mod etag;
mod flow;
mod health;
pub mod json;
pub mod openapi;
pub mod operations;
mod owners;
pub mod page;
pub mod params;
mod peers;
pub mod preference;
pub mod problem;
mod read;
pub mod requests;
pub mod server;
mod service;
pub mod shutdown;
mod span_export;
pub mod starting;
mod subject;
mod tasks;
pub mod telemetry;
pub mod text;
pub mod unique;
mod workers;

pub use ::metrics;
pub use eventlog::Appended;

pub use commits::Observer;
pub use directory::DataDirectory;
pub use driver::{Driver, Error, start};
pub use health::{Health, Report};
pub use peers::{Peering, endpoints_topic};
pub use read::{Awaited, Read, ReadOutcome};
pub use service::{ServiceError, ServiceHandle};
pub use span_export::SpanExport;
pub use workers::Workers;
