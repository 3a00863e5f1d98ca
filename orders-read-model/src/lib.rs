//! The read model of orders: the topic `orders` as tables of SQL, for lists, histories and live
//! events.
//!
//! What goes in: every event of every order, from any log. What comes out: orders by customer,
//! state and time; every event of an order; and a stream of events that can be taken up again
//! anywhere. All of it is made of the log and can be made again. In reading order:
//!
//! - [`settings`]: what can be set
//! - `database` and its `migrations`: where the tables are, SQLite or PostgreSQL
//! - `projector`: follows the topic; `batch` is what it reads at once, `write` puts that into the
//!   tables with the `positions` after it, `stored` says how far they are and of which log
//! - `progress`: how it is doing, for an operator
//! - `query` and `cursor`: reading the tables
//! - `live`: events handed on within the process
//! - `model`: all that as one value
//! - [`http`] and [`stream`]: routes
//! - `testing`: whether the tables are what the log makes of them
#![warn(missing_docs)]

mod batch;
mod cursor;
mod database;
mod error;
pub mod http;
mod live;
mod model;
mod positions;
mod progress;
mod projector;
mod query;
pub mod settings;
mod stored;
pub mod stream;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod write;

pub use database::{Place, READ_MODEL_FILE};
pub use error::Error;
pub use live::{LiveEvent, OrderEvents};
pub use model::ReadModel;
pub use positions::{NoEventId, parse_event_id};
pub use query::RecordedEvent;
pub use settings::Settings;
