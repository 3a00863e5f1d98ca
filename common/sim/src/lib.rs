//! A deterministic simulator for services made with `streams`: it runs the production workers and
//! tasks on a simulated log, under one seed that decides everything that happens.
//!
//! What goes in: a [`Workload`] (services, what clients ask, what must hold) and a [`Setup`] (seed,
//! log, and a guard taken out, to see that it is missed). What comes out: a [`Report`], or a
//! [`Failure`] with the invariant that does not hold and what happened last. In reading order:
//!
//! - `workload`: what a simulation is about.
//! - `run`: one run of a seed.
//! - `options`: how a run is, drawn from its seed; `random`: the one source of chance.
//! - `world`: instances, clients, faults, the order of things, and coming to rest.
//! - `log`: the simulated log: embedded with power cuts, Kafka with markers and zombies.
//! - `checkers`: what holds for any topology.
//! - `mutation`: the guards that can be taken out; `failure`: what is broken then.
#![warn(missing_docs)]

mod checkers;
mod failure;
mod log;
mod mutation;
mod options;
mod random;
mod run;
mod trace;
mod workload;
mod world;

pub use failure::{
    EXACTLY_ONCE, FailureKind, InvariantId, NO_PANIC, REPLAY, REST, STORE, Violation,
    WORKER_STOPPED,
};
pub use mutation::Mutation;
pub use options::{Faults, Mode, Options};
pub use random::{Probability, Random};
pub use run::{Failure, Setup, first_seed_without, run};
pub use workload::{AtRest, Call, CallId, CallOutcome, Read, Workload};
pub use world::Report;
