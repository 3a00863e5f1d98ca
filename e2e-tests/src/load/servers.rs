//! Where the system is reached: at one address, or each of its services at its own.

use super::Options;
use crate::http_client::{Client, Error, Target};

/// The addresses of the system.
#[derive(Clone, Debug)]
pub(super) struct Servers {
    /// Where orders are placed: one or more instances.
    orders: Vec<Target>,
    products: Target,
    customers: Target,
}

impl Servers {
    pub(super) async fn resolve(options: &Options) -> Result<Self, Error> {
        let mut orders = Vec::new();
        for url in &options.url {
            orders.push(Target::resolve(url).await?);
        }
        let or_orders = async |url: &Option<String>| match url {
            Some(url) => Target::resolve(url).await,
            None => Ok(orders[0].clone()),
        };
        let products = or_orders(&options.products_url).await?;
        let customers = or_orders(&options.customers_url).await?;
        Ok(Servers { orders, products, customers })
    }

    /// Whoever takes the order with this number: the instances in turn.
    pub(super) fn of_order(&self, number: usize) -> &Target {
        &self.orders[number % self.orders.len()]
    }

    /// Whoever has this path.
    pub(super) fn of_path(&self, path: &str) -> &Target {
        if path.starts_with("/v1/products") {
            &self.products
        } else if path.starts_with("/v1/customers") {
            &self.customers
        } else {
            self.of_order(0)
        }
    }

    /// Whether all of them take connections.
    pub(super) async fn connect(&self) -> Result<(), Error> {
        for target in self.orders.iter().chain([&self.products, &self.customers]) {
            Client::new(target.clone(), super::ANSWER_GRACE).connect().await?;
        }
        Ok(())
    }
}
