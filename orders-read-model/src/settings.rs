//! What the command line and the environment say of the read model.

use clap::Args;
use clap::builder::FalseyValueParser;

/// What can be set of the read model wherever it is.
#[derive(Clone, Debug, Default, Args)]
#[group(skip)]
pub struct Settings {
    /// Make the read model of orders anew from the log; lists answer 503 until it is whole
    #[arg(long, env = "REBUILD_READ_MODEL", value_parser = FalseyValueParser::new())]
    pub rebuild_read_model: bool,
}
