//! What is said when the system runs.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

/// Where the system runs, and three commands to try that work as they are pasted, also again.
#[derive(Clone, Debug)]
pub struct Greeting {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where its data is.
    pub data_dir: PathBuf,
    /// Whether the sample products and customers are there.
    pub has_sample: bool,
}

impl fmt::Display for Greeting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = format!("http://{}", reachable(self.address));
        let data_dir = self.data_dir.display();
        writeln!(formatter, "The order system runs on {url} and keeps its data in {data_dir}.")?;
        writeln!(formatter, "Ctrl-C ends it. Three commands to try:\n")?;
        for command in if self.has_sample { with_sample(&url) } else { without_sample(&url) } {
            writeln!(formatter, "  {command}")?;
        }
        Ok(())
    }
}

/// An address that can be connected to, where it listens on all there are.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn with_sample(url: &str) -> [String; 3] {
    [
        post(
            &format!("{url}/v1/orders"),
            concat!(
                r#"{"id":"first-order","customerId":"alan","currency":"GBP","lines":["#,
                r#"{"productId":"umbrella","quantity":2},{"productId":"notebook","quantity":1}]}"#,
            ),
        ),
        get(&format!("{url}/v1/orders/first-order?until=SETTLED&timeout=5s")),
        get(&format!("{url}/v1/products/umbrella/stock")),
    ]
}

fn without_sample(url: &str) -> [String; 3] {
    let product = r#"{"name":"Jumper","price":{"amount":"34.99","currency":"GBP"}}"#;
    [
        format!("{} -X PUT", post(&format!("{url}/v1/products/jumper"), product)),
        post(
            &format!("{url}/v1/products/jumper/stock-adjustments"),
            r#"{"id":"first-delivery","delta":100}"#,
        ),
        get(&format!("{url}/v1/products/jumper/stock")),
    ]
}

fn post(url: &str, body: &str) -> String {
    format!("curl '{url}' -H 'Content-Type: application/json' -d '{body}'")
}

fn get(url: &str) -> String {
    format!("curl '{url}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(address: &str, has_sample: bool) -> String {
        let address = address.parse().unwrap();
        Greeting { address, data_dir: PathBuf::from("data"), has_sample }.to_string()
    }

    #[test]
    fn the_commands_name_an_address_that_can_be_connected_to() {
        for (listening, named) in [
            ("127.0.0.1:4711", "'http://127.0.0.1:4711/v1/"),
            ("0.0.0.0:80", "'http://127.0.0.1:80/v1/"),
            ("[::]:81", "'http://[::1]:81/v1/"),
        ] {
            for has_sample in [true, false] {
                let greeting = greeting(listening, has_sample);
                assert_eq!(greeting.matches(named).count(), 3, "{greeting}");
            }
        }
    }
}
