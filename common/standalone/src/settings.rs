//! What the command line and the environment say.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use clap::{Args, Command};

/// Before the names of librdkafka's properties in the environment.
const PROPERTY_PREFIX: &str = "KAFKA_PROPERTY_";

/// What every service can be told.
#[derive(Clone, Debug, Args)]
#[group(skip)]
pub struct Settings {
    /// One or more brokers, as host:port, separated by commas
    #[arg(long, env = "KAFKA_BOOTSTRAP_SERVERS", default_value = "127.0.0.1:9092")]
    pub kafka_bootstrap_servers: String,

    /// Where to listen, as host:port; port 0 takes any that is free
    #[arg(long, env = "LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: String,

    /// How other instances of this service reach this one, as http://host:port; without it, the
    /// address it listens on, or the machine's name where that is every address
    #[arg(long, env = "ADVERTISED_URL", value_parser = parse_url)]
    pub advertised_url: Option<String>,

    /// Where to keep state; instances may share it, since each takes a slot of its own there
    #[arg(long, env = "STATE_DIR", default_value = "state")]
    pub state_dir: PathBuf,

    /// How many partitions each topic has; the same for all services, and cannot be changed later
    #[arg(long, env = "PARTITIONS", default_value_t = 6,
        value_parser = clap::value_parser!(u32).range(1..=256))]
    pub partitions: u32,

    /// A property of librdkafka, as NAME=VALUE; may be repeated. In the environment
    /// KAFKA_PROPERTY_ stands before the name in capitals, with underscores for dots
    #[arg(long = "kafka-property", value_name = "NAME=VALUE", value_parser = parse_property)]
    pub kafka_properties: Vec<(String, String)>,
}

/// The command line of a service that has no settings of its own.
pub(crate) fn command(name: &'static str, about: &'static str) -> Command {
    let command = Command::new(name).version(env!("CARGO_PKG_VERSION"));
    // After the settings, which would say what they are themselves.
    Settings::augment_args(command).about(about)
}

impl Settings {
    /// The properties of the environment, and over them those of the command line.
    pub(crate) fn properties(
        &self,
        environment: impl Iterator<Item = (String, String)>,
    ) -> BTreeMap<String, String> {
        let of_environment = environment.filter_map(|(name, value)| {
            let name = name.strip_prefix(PROPERTY_PREFIX)?;
            Some((name.to_ascii_lowercase().replace('_', "."), value))
        });
        of_environment.chain(self.kafka_properties.iter().cloned()).collect()
    }

    /// The URL to tell other instances, for one that listens here.
    pub(crate) fn url(&self, address: SocketAddr, host_name: &str) -> String {
        let of_address = || {
            if address.ip().is_unspecified() {
                format!("http://{host_name}:{}", address.port())
            } else {
                format!("http://{address}")
            }
        };
        self.advertised_url.clone().unwrap_or_else(of_address)
    }
}

fn parse_property(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("not of the form NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn parse_url(text: &str) -> Result<String, &'static str> {
    const WRONG: &str = "not of the form http://host:port";
    let uri: Uri = text.parse().map_err(|_| WRONG)?;
    let is_bare = uri.path_and_query().map(PathAndQuery::as_str).is_none_or(|path| path == "/");
    match uri.authority() {
        Some(authority) if uri.scheme_str() == Some("http") && is_bare => {
            Ok(format!("http://{authority}"))
        }
        _ => Err(WRONG),
    }
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    fn settings(arguments: &[&str]) -> Result<Settings, clap::Error> {
        let arguments = ["service"].iter().chain(arguments);
        let matches = command("service", "about").try_get_matches_from(arguments)?;
        Settings::from_arg_matches(&matches)
    }

    #[test]
    fn the_command_line_is_consistent() {
        command("service", "about").debug_assert();
    }

    #[test]
    fn properties_come_from_the_environment_and_the_command_line_which_wins() {
        let environment = [
            ("KAFKA_PROPERTY_SECURITY_PROTOCOL", "ssl"),
            ("KAFKA_PROPERTY_CLIENT_ID", "there"),
            ("KAFKA_BOOTSTRAP_SERVERS", "broker:9092"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = settings(&["--kafka-property", "client.id=here=1"]).unwrap();

        let properties = settings.properties(environment.into_iter());

        let expected = [("client.id", "here=1"), ("security.protocol", "ssl")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(properties, BTreeMap::from(expected));
    }

    #[test]
    fn others_are_told_the_address_unless_it_is_every_address_or_another_is_given() {
        let url =
            |settings: &Settings, address: &str| settings.url(address.parse().unwrap(), "machine");
        let plain = settings(&[]).unwrap();
        assert_eq!(url(&plain, "127.0.0.1:81"), "http://127.0.0.1:81");
        assert_eq!(url(&plain, "0.0.0.0:81"), "http://machine:81");
        assert_eq!(url(&plain, "[::]:81"), "http://machine:81");

        let given = settings(&["--advertised-url", "http://orders-1:80/"]).unwrap();
        assert_eq!(url(&given, "0.0.0.0:81"), "http://orders-1:80");
    }

    #[test]
    fn settings_that_mean_nothing_are_refused() {
        for wrong in [
            ["--advertised-url", "orders-1:80"],
            ["--advertised-url", "https://orders-1"],
            ["--advertised-url", "http://orders-1/path"],
            ["--kafka-property", "client.id"],
            ["--partitions", "0"],
        ] {
            assert!(settings(&wrong).is_err(), "{wrong:?}");
        }
    }
}
