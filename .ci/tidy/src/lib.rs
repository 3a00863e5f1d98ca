//! Holds the workspace to the rules that rustc, rustfmt and clippy cannot see.
//!
//! `cargo test -p tidy` reads every file that git tracks, or would track, and fails with one line
//! a violation: where, what the limit is, and what to do. Each check is a function from a file, or
//! from a list of facts, to violations; its unit tests show that it catches one.
//!
//! - [`violation`]: one broken rule, as it is printed.
//! - [`source`]: a Rust file as lines and tokens, and which of its lines are tests.
//! - [`size`]: lengths of lines, files, crates, `main.rs` and rule files.
//! - [`words`]: what may be left neither in files nor in the latest commit message.
//! - [`lints`]: no lint silenced, no `unwrap`, every crate under the workspace's lints.
//! - [`arrows`]: which crate may use which.
//! - [`rules`]: the business rules of a service see facts only.
//! - [`workspace`]: the only part that reads anything; its tests run every check on this tree.

pub mod arrows;
pub mod lints;
pub mod rules;
pub mod size;
pub mod source;
pub mod violation;
pub mod words;
pub mod workspace;
