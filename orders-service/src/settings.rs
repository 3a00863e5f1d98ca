//! What the command line and the environment say of orders.

use clap::Args;

use crate::order::state::Timeouts;

/// What can be set of orders.
#[derive(Clone, Copy, Debug, Args)]
#[group(skip)]
pub struct Settings {
    /// How long the checks of a new order may take, in seconds
    #[arg(long, env = "VALIDATION_TIMEOUT_S", default_value_t = Timeouts::DEFAULT.validation_ticks,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub validation_timeout_s: u32,

    /// How long the payment of a validated order may take, in seconds
    #[arg(long, env = "PAYMENT_TIMEOUT_S", default_value_t = Timeouts::DEFAULT.payment_ticks,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub payment_timeout_s: u32,
}

impl Settings {
    /// How long orders wait for other services: a tick is a second.
    pub const fn timeouts(self) -> Timeouts {
        Timeouts {
            validation_ticks: self.validation_timeout_s,
            payment_ticks: self.payment_timeout_s,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let Timeouts { validation_ticks, payment_ticks } = Timeouts::DEFAULT;
        Settings { validation_timeout_s: validation_ticks, payment_timeout_s: payment_ticks }
    }
}
