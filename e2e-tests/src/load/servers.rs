//! Where the system is reached: at one address, or each of its services at its own.

use super::Options;
use crate::{
    http_client::{Client, Error, Target},
    routes::{Routes, Service},
};

/// The addresses of the system: at least one of each service that a run asks anything of.
#[derive(Clone, Debug)]
pub(super) struct Servers(Routes);

impl Servers {
    pub(super) async fn resolve(options: &Options) -> Result<Self, Error> {
        let mut routes = Routes::default();
        for url in &options.url {
            routes.add(Service::Orders, Target::resolve(url).await?);
        }
        for (service, url) in [
            (Service::Inventory, &options.products_url),
            (Service::Payments, &options.customers_url),
        ] {
            let target = match url {
                Some(url) => Target::resolve(url).await?,
                None => routes.instances(Service::Orders)[0].clone(),
            };
            routes.add(service, target);
        }
        Ok(Servers(routes))
    }

    /// Whoever takes the order with this number: the instances in turn.
    pub(super) fn of_order(&self, number: usize) -> &Target {
        let instances = self.0.instances(Service::Orders);
        &instances[number % instances.len()]
    }

    /// The first instance of a service.
    pub(super) fn of_service(&self, service: Service) -> &Target {
        &self.0.instances(service)[0]
    }

    /// Whether all of them take connections.
    pub(super) async fn connect(&self) -> Result<(), Error> {
        for target in Service::ALL.iter().flat_map(|service| self.0.instances(*service)) {
            Client::new(target.clone(), super::ANSWER_GRACE).connect().await?;
        }
        Ok(())
    }
}
