//! What a run is like.

use std::path::PathBuf;

/// Lets things go wrong at random with services on a Kafka broker, both under load, and checks that
/// nothing that was answered is lost, that nothing shown goes back, and that everything on the log
/// is sound. Exits with 0 only then. The broker is one of its own, in a container.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "chaos", version)]
pub struct Options {
    /// The directory of the services' programs; without it, where this one is
    #[arg(long)]
    pub programs: Option<PathBuf>,

    /// For how long things go wrong
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,

    /// How many instances of each service there are, beside those that join for a while
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub instances: u32,

    /// How many clients place orders at the same time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pub clients: u32,

    /// The longest time between two faults, in milliseconds
    #[arg(long, default_value_t = 5_000)]
    pub pause_ms_max: u64,

    /// Where chance begins: what goes wrong and when, and what clients do
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}
