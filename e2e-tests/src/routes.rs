//! Which server answers which path.

use std::collections::BTreeMap;

use crate::http_client::Target;

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

#[cfg(test)]
mod tests {
    use super::*;

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
