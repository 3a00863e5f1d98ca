//! What the command line and the environment say.

use std::path::PathBuf;

use clap::Parser;
use clap::builder::FalseyValueParser;

/// Runs the whole order system in one process: four services, their log on local disk, and their
/// REST API on one port. Ctrl-C or SIGTERM ends it; nothing that was answered is lost.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Settings {
    /// Where to listen, as host:port; port 0 takes any that is free
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: String,

    /// Where to keep the data; made where it is not there
    #[arg(long, env = "DATA_DIR", default_value = "data")]
    pub data_dir: PathBuf,

    /// How many partitions each topic has; cannot be changed later
    #[arg(long, env = "PARTITIONS", default_value_t = 6,
        value_parser = clap::value_parser!(u32).range(1..=256))]
    pub partitions: u32,

    /// What can be set of orders.
    #[command(flatten)]
    pub orders: orders_service::settings::Settings,

    /// What can be set of the read model.
    #[command(flatten)]
    pub read_model: orders_read_model::Settings,

    /// Leave an empty data directory without the sample products and customers
    #[arg(long, env = "NO_SAMPLE", value_parser = FalseyValueParser::new())]
    pub no_sample: bool,
}

impl Settings {
    /// A system with nothing in it, on a port that is free: for tests.
    pub fn empty(data_dir: impl Into<PathBuf>, partitions: u32) -> Self {
        Settings {
            listen: "127.0.0.1:0".to_owned(),
            data_dir: data_dir.into(),
            partitions,
            orders: orders_service::settings::Settings::default(),
            read_model: orders_read_model::Settings::default(),
            no_sample: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use orders_service::order::state::Timeouts;

    use super::*;

    #[test]
    fn every_setting_has_a_flag_and_a_variable_of_the_same_name() {
        let command = Settings::command();
        let names: Vec<_> = command
            .get_arguments()
            .filter_map(|argument| Some((argument.get_long()?, argument.get_env()?.to_str()?)))
            .collect();

        assert_eq!(
            names,
            [
                ("listen", "LISTEN"),
                ("data-dir", "DATA_DIR"),
                ("partitions", "PARTITIONS"),
                ("validation-timeout-s", "VALIDATION_TIMEOUT_S"),
                ("payment-timeout-s", "PAYMENT_TIMEOUT_S"),
                ("rebuild-read-model", "REBUILD_READ_MODEL"),
                ("no-sample", "NO_SAMPLE"),
            ]
        );
        command.debug_assert();
    }

    #[test]
    fn without_settings_it_listens_on_this_machine_alone() {
        let settings = Settings::parse_from(["quickstart"]);

        assert_eq!(settings.listen, "127.0.0.1:8080");
        assert_eq!(settings.data_dir, PathBuf::from("data"));
        assert_eq!((settings.partitions, settings.no_sample), (6, false));
        assert_eq!(settings.orders.timeouts(), Timeouts::DEFAULT);
    }

    #[test]
    fn there_is_at_least_one_partition() {
        for partitions in ["0", "257", "-1", "many"] {
            let arguments = ["quickstart", "--partitions", partitions];
            assert!(Settings::try_parse_from(arguments).is_err(), "{partitions}");
        }
    }
}
