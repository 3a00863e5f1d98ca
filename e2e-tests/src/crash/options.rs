//! What a run is like.

use std::path::PathBuf;

/// Kills the order system again and again under load, and checks that nothing it has answered is
/// lost and that everything it keeps is sound. Exits with 0 only then.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "crash", version)]
pub struct Options {
    /// The program to test; without it, the `quickstart` beside this one
    #[arg(long)]
    pub binary: Option<PathBuf>,

    /// How often to kill it
    #[arg(long, default_value_t = 20)]
    pub kills: u32,

    /// How many clients place orders at the same time
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub clients: u32,

    /// The longest it lives between two kills, in milliseconds
    #[arg(long, default_value_t = 4_000)]
    pub life_ms_max: u64,

    /// Where chance begins: when to kill, and what clients do
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}
