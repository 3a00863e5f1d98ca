//! What can be asked of the load tool.

use std::time::Duration;

use clap::{Parser, value_parser};

use super::{Error, shop};

/// Without `--duration`, a run of `--orders` may take this long.
const ORDERS_DURATION: Duration = Duration::from_secs(3600);
const DURATION_MAX: Duration = Duration::from_secs(24 * 3600);
const DEFAULT_DURATION: Duration = Duration::from_secs(10);

/// Places orders and measures how long it takes until they are VALIDATED.
///
/// Each order is a POST /v1/orders and a GET that waits for VALIDATED. A line of progress a
/// second goes to stderr, one line of JSON to stdout at the end.
#[derive(Clone, Debug, Parser)]
#[command(name = "load")]
pub struct Options {
    /// The server, or where orders are placed; several instances are used in turn
    #[arg(long, default_value = "http://127.0.0.1:8080", value_delimiter = ',')]
    pub url: Vec<String>,

    /// Where products are kept [default: the server]
    #[arg(long)]
    pub products_url: Option<String>,

    /// Where customers are kept [default: the server]
    #[arg(long)]
    pub customers_url: Option<String>,

    /// Users (connections): each places one order after another; with --rate, the most orders
    /// in flight at a time
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u32).range(1..=20_000))]
    pub users: u32,

    /// Open loop: orders a second at fixed times, latencies counted from these times
    #[arg(long, value_parser = value_parser!(u32).range(1..=100_000))]
    pub rate: Option<u32>,

    /// How long, such as 500ms, 60s or 5m [default: 10s; with --orders 60m]
    #[arg(long, value_parser = duration)]
    pub duration: Option<Duration>,

    /// Stop after so many orders
    #[arg(long, value_parser = value_parser!(u64).range(1..=100_000_000))]
    pub orders: Option<u64>,

    /// Products to create, each with a huge stock
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u64).range(2..=100_000))]
    pub products: u64,

    /// Customers to create, each with a huge credit limit
    #[arg(long, default_value_t = 1000, value_parser = value_parser!(u64).range(1..=1_000_000))]
    pub customers: u64,

    /// How long an order may take to become VALIDATED
    #[arg(long, default_value = "10s", value_parser = wait)]
    pub order_timeout: Duration,

    /// Threads of the tool itself, which shares the processors with a server on this machine
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=64))]
    pub threads: u32,

    /// Whose CPU time and memory to report [default: the process that listens on the URL's port]
    #[arg(long)]
    pub server_pid: Option<u32>,

    /// Instead of orders, GET /healthz twice an "order": what server and tool cost without work
    #[arg(long)]
    pub empty_route: bool,

    /// Instead of a load, open so many GETs at once that wait for orders which will not ship
    #[arg(
        long,
        conflicts_with_all = ["empty_route", "rate", "duration", "orders"],
        value_parser = value_parser!(u32).range(1..=60_000)
    )]
    pub long_polls: Option<u32>,

    /// How long each of these waits
    #[arg(long, default_value = "60s", requires = "long_polls", value_parser = wait)]
    pub long_poll_timeout: Duration,
}

impl Options {
    /// How long orders are begun.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration.unwrap_or(match self.orders {
            Some(_) => ORDERS_DURATION,
            None => DEFAULT_DURATION,
        })
    }

    /// How many orders the run places at most: as asked, or as many as its customers may place
    /// without the fraud check refusing one of them.
    ///
    /// # Errors
    /// [`Error::TooFewCustomers`] when what was asked is more than that.
    pub fn orders_max(&self) -> Result<u64, Error> {
        if self.empty_route {
            return Ok(self.orders.unwrap_or(u64::MAX));
        }
        let accepted = self.customers * shop::ORDERS_OF_CUSTOMER_MAX;
        let planned = self.rate.map(|rate| u64::from(rate) * self.duration().as_secs());
        let asked = match (self.orders, planned) {
            (Some(orders), Some(planned)) => Some(orders.min(planned)),
            (orders, planned) => orders.or(planned),
        };
        match asked {
            Some(orders) if orders > accepted => {
                Err(Error::TooFewCustomers { orders, customers: self.customers, accepted })
            }
            _ => Ok(self.orders.unwrap_or(accepted)),
        }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let factor_ms = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return Err("a number with ms, s or m is needed, such as 30s".into()),
    };
    let number: u64 = digits.parse().map_err(|_| format!("`{digits}` is not a whole number"))?;
    let duration = Duration::from_millis(number.saturating_mul(factor_ms));
    if duration.is_zero() || duration > DURATION_MAX {
        return Err(format!("at least 1ms and at most {}m", DURATION_MAX.as_secs() / 60));
    }
    Ok(duration)
}

/// A time for the server to wait, which it takes up to a minute.
fn wait(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        wait if wait > Duration::from_secs(60) => Err("the server waits at most 60s".into()),
        wait => Ok(wait),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(std::iter::once("load").chain(arguments.split_whitespace()))
    }

    #[test]
    fn everything_has_a_default() {
        let options = parse("").unwrap();
        assert_eq!(options.url, ["http://127.0.0.1:8080"]);
        assert_eq!((options.users, options.rate, options.threads), (64, None, 1));
        assert_eq!((options.products, options.customers), (100, 1000));
        assert_eq!(options.duration(), Duration::from_secs(10));
    }

    #[test]
    fn a_run_of_a_number_of_orders_has_an_hour_unless_said_otherwise() {
        assert_eq!(parse("--orders 5").unwrap().duration(), Duration::from_secs(3600));
        assert_eq!(
            parse("--orders 5 --duration 250ms").unwrap().duration(),
            Duration::from_millis(250)
        );
    }

    #[test]
    fn a_duration_is_a_whole_number_with_its_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        for text in ["", "s", "5", "5h", "-1s", "1.5s", "0s", "1441m", "99999999999999999999m"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_wait_longer_than_the_server_accepts_is_refused() {
        assert!(parse("--order-timeout 60s").is_ok());
        assert!(parse("--order-timeout 61s").is_err());
        assert!(parse("--long-polls 5 --long-poll-timeout 2m").is_err());
    }

    #[test]
    fn numbers_out_of_range_and_modes_that_do_not_go_together_are_refused() {
        for arguments in [
            "--users 0",
            "--users 20001",
            "--rate 0",
            "--rate 1.5",
            "--orders 0",
            "--products 1",
            "--customers 0",
            "--threads 65",
            "--long-polls 0",
            "--long-polls 60001",
            "--long-polls 5 --rate 5",
            "--long-polls 5 --empty-route",
            "--long-polls 5 --duration 5s",
            "--long-poll-timeout 5s",
            "--no-such-option",
        ] {
            assert!(parse(arguments).is_err(), "{arguments}");
        }
    }

    #[test]
    fn a_run_that_the_fraud_check_would_refuse_is_refused_first() {
        let orders_max = |arguments| parse(arguments).unwrap().orders_max();
        assert!(orders_max("--orders 1000000").is_ok_and(|max| max == 1_000_000));
        assert!(orders_max("--customers 1").is_ok_and(|max| max == shop::ORDERS_OF_CUSTOMER_MAX));
        assert!(orders_max("--customers 1 --orders 1000000 --empty-route").is_ok());

        for arguments in
            ["--customers 1 --orders 1000000", "--customers 1 --rate 100000 --duration 60s"]
        {
            let refused = orders_max(arguments);
            assert!(matches!(refused, Err(Error::TooFewCustomers { .. })), "{arguments}");
        }
    }
}
