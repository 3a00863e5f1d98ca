//! Every topic: its name and types, its writer, and how long its records are kept.

use streams::{CloudEvents, Json, Topic, TopicName};

use crate::ids::{CustomerId, OrderId, ProductId};
use crate::order::OrderEvent;
use crate::order_request::OrderRequest;
use crate::payment::{Account, Customer, CustomerRequest, PaymentEvent};
use crate::stock::{OrderLineEvent, Product, ProductRequest, StockLevel};
use crate::validation::OrderValidation;

/// The name of the service that keeps orders.
pub const ORDERS_SERVICE: &str = "orders-service";
/// The name of the service that keeps products and their stock.
pub const INVENTORY_SERVICE: &str = "inventory-service";
/// The name of the service that watches customers' spending.
pub const FRAUD_SERVICE: &str = "fraud-service";
/// The name of the service that keeps customers and their accounts.
pub const PAYMENTS_SERVICE: &str = "payments-service";
/// All services.
pub const SERVICES: [&str; 4] =
    [ORDERS_SERVICE, INVENTORY_SERVICE, FRAUD_SERVICE, PAYMENTS_SERVICE];

/// What is asked of orders. Writer: the HTTP edge of orders-service.
pub const ORDER_REQUESTS: Topic<OrderId, OrderRequest, CloudEvents> = Topic::new("order-requests");
/// What is asked about products. Writer: the HTTP edge of inventory-service.
pub const PRODUCT_REQUESTS: Topic<ProductId, ProductRequest, CloudEvents> =
    Topic::new("product-requests");
/// What is asked about customers. Writer: the HTTP edge of payments-service.
pub const CUSTOMER_REQUESTS: Topic<CustomerId, CustomerRequest, CloudEvents> =
    Topic::new("customer-requests");
/// Every change of an order. Writer: orders-service.
pub const ORDERS: Topic<OrderId, OrderEvent, CloudEvents> = Topic::new("orders");
/// The changes of orders that passed details, by customer. Writer: orders-service, in one
/// transaction with [`ORDERS`].
pub const ORDERS_BY_CUSTOMER: Topic<CustomerId, OrderEvent, CloudEvents> =
    Topic::new("orders-by-customer");
/// What orders that passed details want of each product. Writer: orders-service, in one
/// transaction with [`ORDERS`].
pub const ORDER_LINES: Topic<ProductId, OrderLineEvent, CloudEvents> = Topic::new("order-lines");
/// Verdicts of the checks. Writers: inventory-service of its check, fraud-service of its own.
pub const ORDER_VALIDATIONS: Topic<OrderId, OrderValidation, CloudEvents> =
    Topic::new("order-validations");
/// What happened to payments. Writer: payments-service.
pub const PAYMENTS: Topic<OrderId, PaymentEvent, CloudEvents> = Topic::new("payments");
/// The catalogue, a table. Writer: inventory-service.
pub const PRODUCTS: Topic<ProductId, Product, Json> = Topic::new("products");
/// How much there is of each product, a table. Writer: inventory-service.
pub const STOCK_LEVELS: Topic<ProductId, StockLevel, Json> = Topic::new("stock-levels");
/// Customers, a table. Writer: payments-service.
pub const CUSTOMERS: Topic<CustomerId, Customer, Json> = Topic::new("customers");
/// The sums of customers' accounts, a table. Writer: payments-service.
pub const ACCOUNTS: Topic<CustomerId, Account, Json> = Topic::new("accounts");
/// Records that could not be read, as the bytes they are. Writers: all services.
pub const DEAD_LETTERS: TopicName = TopicName::new("dead-letters");

/// How long the records of a topic are kept. Never is it age that ends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// All of them, for ever.
    ForEver,
    /// The latest of each key.
    Compacted,
    /// Until all these services have read and committed past them.
    UntilConsumed {
        /// The names of the services.
        by: &'static [&'static str],
    },
}

/// What a log has to know of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    /// Its name.
    pub name: TopicName,
    /// The names of the services that write it.
    pub writers: &'static [&'static str],
    /// How long its records are kept.
    pub retention: Retention,
}

/// All topics. Those that keep the changes of a service's stores are not among them: their names
/// follow from the stores'.
pub const ALL: [TopicSettings; 13] = [
    topic(ORDER_REQUESTS.name(), &[ORDERS_SERVICE], Retention::ForEver),
    topic(PRODUCT_REQUESTS.name(), &[INVENTORY_SERVICE], Retention::ForEver),
    topic(CUSTOMER_REQUESTS.name(), &[PAYMENTS_SERVICE], Retention::ForEver),
    topic(ORDERS.name(), &[ORDERS_SERVICE], Retention::ForEver),
    topic(
        ORDERS_BY_CUSTOMER.name(),
        &[ORDERS_SERVICE],
        Retention::UntilConsumed { by: &[FRAUD_SERVICE, PAYMENTS_SERVICE] },
    ),
    topic(
        ORDER_LINES.name(),
        &[ORDERS_SERVICE],
        Retention::UntilConsumed { by: &[INVENTORY_SERVICE] },
    ),
    topic(
        ORDER_VALIDATIONS.name(),
        &[INVENTORY_SERVICE, FRAUD_SERVICE],
        Retention::UntilConsumed { by: &[ORDERS_SERVICE] },
    ),
    topic(PAYMENTS.name(), &[PAYMENTS_SERVICE], Retention::ForEver),
    topic(PRODUCTS.name(), &[INVENTORY_SERVICE], Retention::Compacted),
    topic(STOCK_LEVELS.name(), &[INVENTORY_SERVICE], Retention::Compacted),
    topic(CUSTOMERS.name(), &[PAYMENTS_SERVICE], Retention::Compacted),
    topic(ACCOUNTS.name(), &[PAYMENTS_SERVICE], Retention::Compacted),
    topic(DEAD_LETTERS, &SERVICES, Retention::ForEver),
];

const fn topic(
    name: TopicName,
    writers: &'static [&'static str],
    retention: Retention,
) -> TopicSettings {
    TopicSettings { name, writers, retention }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_listed_once_and_has_a_writer() {
        let mut names: Vec<TopicName> = ALL.iter().map(|topic| topic.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|topic| !topic.writers.is_empty()));
    }

    #[test]
    fn what_is_kept_until_it_is_consumed_has_a_consumer() {
        for topic in ALL {
            if let Retention::UntilConsumed { by } = topic.retention {
                assert!(!by.is_empty(), "{}", topic.name);
            }
        }
    }
}
