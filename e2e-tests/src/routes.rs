//! Which server answers which path.

use std::{collections::BTreeMap, fmt};

use crate::http_client::{Error, Target};

/// A service of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// Takes orders.
    Orders,
    /// Keeps products and their stock.
    Inventory,
    /// Checks what customers spend. Nobody but an operator asks it anything.
    Fraud,
    /// Keeps customers and their accounts.
    Payments,
}

impl Service {
    /// All of them.
    pub const ALL: [Service; 4] =
        [Service::Orders, Service::Inventory, Service::Fraud, Service::Payments];

    /// The name of its program.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Service::Orders => "orders-service",
            Service::Inventory => "inventory-service",
            Service::Fraud => "fraud-service",
            Service::Payments => "payments-service",
        }
    }

    /// The service that has this path, which may have a query. Those that no service has are
    /// asked of the first.
    #[must_use]
    pub fn of_path(path: &str) -> Service {
        let resource = path.trim_start_matches("/v1/").split(['/', '?']).next();
        match resource {
            Some("products") => Service::Inventory,
            Some("customers" | "payments") => Service::Payments,
            _ => Service::Orders,
        }
    }
}

/// The servers that are up.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    targets: BTreeMap<Service, Vec<Target>>,
}

impl Routes {
    /// One server that has all paths.
    #[must_use]
    pub fn of_one(target: Target) -> Self {
        let mut routes = Routes::default();
        for service in Service::ALL {
            routes.add(service, target.clone());
        }
        routes
    }

    /// Reads what [`Routes`] are written as: the program's name and the URL of each instance, as in
    /// `orders-service=http://127.0.0.1:8080 orders-service=http://127.0.0.1:8081`.
    ///
    /// # Errors
    /// [`Error::Url`] with whatever is no such thing, and what [`Target::resolve`] says.
    pub async fn parse(text: &str) -> Result<Self, Error> {
        let mut routes = Routes::default();
        for part in text.split_whitespace() {
            let (name, url) = part.split_once('=').unwrap_or((part, ""));
            let service = Service::ALL.into_iter().find(|service| service.program() == name);
            let service = service.ok_or_else(|| Error::Url { url: part.to_owned() })?;
            routes.add(service, Target::resolve(url).await?);
        }
        Ok(routes)
    }

    /// One more instance of a service.
    pub fn add(&mut self, service: Service, target: Target) {
        self.targets.entry(service).or_default().push(target);
    }

    /// Any instance of the service that has this path, where there is one.
    #[must_use]
    pub fn target(&self, path: &str) -> Option<&Target> {
        fastrand::choice(self.instances(Service::of_path(path)))
    }

    /// All instances of a service.
    #[must_use]
    pub fn instances(&self, service: Service) -> &[Target] {
        self.targets.get(&service).map_or(&[], Vec::as_slice)
    }
}

impl fmt::Display for Routes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (service, targets) in &self.targets {
            for target in targets {
                write!(formatter, "{}={} ", service.program(), target.url())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn routes_are_read_as_they_are_written() {
        let text = "orders-service=http://127.0.0.1:1 orders-service=http://127.0.0.1:2 \
                    fraud-service=http://127.0.0.1:3 ";

        let routes = Routes::parse(text).await.unwrap();

        assert_eq!(routes.to_string(), text);
        assert_eq!(routes.instances(Service::Orders).len(), 2);
        assert!(routes.target("/v1/products").is_none());
        for bad in ["order-service=http://127.0.0.1:1", "orders-service", "orders-service=here"] {
            assert!(Routes::parse(bad).await.is_err(), "{bad}");
        }
    }

    #[test]
    fn a_path_belongs_to_the_service_that_keeps_its_resource() {
        for (path, service) in [
            ("/v1/orders", Service::Orders),
            ("/v1/orders/products", Service::Orders),
            ("/v1/products?limit=2", Service::Inventory),
            ("/v1/products/p1/stock", Service::Inventory),
            ("/v1/customers/c1/account", Service::Payments),
            ("/v1/payments/o-1", Service::Payments),
            ("/readyz", Service::Orders),
        ] {
            assert_eq!(Service::of_path(path), service, "{path}");
        }
    }
}
