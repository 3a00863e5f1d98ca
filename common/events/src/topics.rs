//! Every topic: its name and types, its writer, and how long its records are kept.

use streams::{CloudEvents, Json, Retention, Topic, TopicConfig, TopicName};

use crate::ids::{CustomerId, OrderId, ProductId};
use crate::order::{OrderEvent, OrderTotal};
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
/// transaction with [`ORDERS`]. The last one comes once more where a payment was authorised too
/// late: its version says so.
pub const ORDERS_BY_CUSTOMER: Topic<CustomerId, OrderEvent, CloudEvents> =
    Topic::new("orders-by-customer");
/// [`ORDERS_BY_CUSTOMER`] for those who read no more than what the orders come to.
pub const ORDER_TOTALS_BY_CUSTOMER: Topic<CustomerId, OrderEvent<OrderTotal>, CloudEvents> =
    Topic::new(ORDERS_BY_CUSTOMER.name().as_str());
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

/// All topics. Those that keep the changes of a service's stores are not among them: their names
/// follow from the stores'.
pub const ALL: [TopicConfig; 13] = [
    topic(ORDER_REQUESTS.name(), Retention::Forever),
    topic(PRODUCT_REQUESTS.name(), Retention::Forever),
    topic(CUSTOMER_REQUESTS.name(), Retention::Forever),
    topic(ORDERS.name(), Retention::Forever),
    topic(
        ORDERS_BY_CUSTOMER.name(),
        Retention::UntilConsumed { by: &[FRAUD_SERVICE, PAYMENTS_SERVICE] },
    ),
    topic(ORDER_LINES.name(), Retention::UntilConsumed { by: &[INVENTORY_SERVICE] }),
    topic(ORDER_VALIDATIONS.name(), Retention::UntilConsumed { by: &[ORDERS_SERVICE] }),
    topic(PAYMENTS.name(), Retention::Forever),
    topic(PRODUCTS.name(), Retention::Compacted),
    topic(STOCK_LEVELS.name(), Retention::Compacted),
    topic(CUSTOMERS.name(), Retention::Compacted),
    topic(ACCOUNTS.name(), Retention::Compacted),
    topic(DEAD_LETTERS, Retention::Forever),
];

const fn topic(name: TopicName, retention: Retention) -> TopicConfig {
    TopicConfig { name, retention }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_listed_once() {
        let mut names: Vec<TopicName> = ALL.iter().map(|topic| topic.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
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
