//! What holds for any topology.

mod exactly_once;
mod replay;
mod state;

pub(crate) use exactly_once::ExactlyOnce;
pub(crate) use replay::Replay;
pub(crate) use state::{CommittedState, Entries, difference};
