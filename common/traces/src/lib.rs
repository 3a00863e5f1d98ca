//! Traces: what was done for whom, over every service and topic, told to OpenTelemetry.
//!
//! A trace comes in with a request ([`RequestTrace`]) and goes on in the records that are made of
//! it, in the header `traceparent`, whether or not anybody collects spans. Where somebody does,
//! each part of the program says what it has done once that is certain, as a [`Span`]; nothing is
//! kept open in between.
//!
//! - [`request`]: the trace of a request, from its head to the record that it writes
//! - [`span`]: what is told: a request, a commit, and each record that was processed for it
//! - [`settings`]: what the environment says of all this
//! - [`export`]: from the threads that work to whoever collects, without holding them up
//! - `otlp`: a span as the protocol has it
#![warn(missing_docs)]

pub mod export;
mod otlp;
pub mod request;
pub mod settings;
pub mod span;

pub use export::{Counts, Export, Traces};
pub use request::RequestTrace;
pub use settings::Settings;
pub use span::{Commit, Deed, Processing, Request, Span};
