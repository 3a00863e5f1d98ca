//! The products, customers and orders of a run, made so that no rule refuses an order.

use std::{fmt::Write, time::Duration};

use bytes::Bytes;

use crate::clock;

/// The fraud check refuses the order that brings a customer's hour to 2,000; an order here comes
/// to at most 0.02, so that this many stay below.
pub(super) const ORDERS_OF_CUSTOMER_MAX: u64 = 99_999;

/// More than a run can order of one product.
const STOCK: u64 = 1_000_000_000;

/// A shop of one run. All its ids begin with the run's own prefix, so that runs on the same
/// server never meet.
#[derive(Clone, Debug)]
pub(super) struct Shop {
    run: String,
    /// How the ids of its orders begin.
    orders: String,
    products: u64,
    customers: u64,
    order_timeout_ms: u128,
}

/// A request that creates something.
#[derive(Debug)]
pub(super) struct Creation {
    pub(super) method: hyper::Method,
    pub(super) path: String,
    pub(super) body: String,
}

impl Shop {
    pub(super) fn new(products: u64, customers: u64, order_timeout: Duration) -> Self {
        let run = format!("load-{:x}-{:x}", clock::micros_since_epoch(), std::process::id());
        let orders = format!("{run}-o");
        Self { run, orders, products, customers, order_timeout_ms: order_timeout.as_millis() }
    }

    /// The same products and customers, for more orders beside those placed already.
    pub(super) fn with_orders_named(&self, name: &str) -> Self {
        Self { orders: format!("{}-{name}", self.run), ..self.clone() }
    }

    /// Everything that must be there before the first order; those within one list in this order.
    pub(super) fn creations(&self) -> impl Iterator<Item = Vec<Creation>> {
        let products = (0..self.products).map(|number| self.product(number));
        products.chain((0..self.customers).map(|number| self.customer(number)))
    }

    fn product(&self, number: u64) -> Vec<Creation> {
        let path = format!("/v1/products/{}-p{number}", self.run);
        let body = format!(
            r#"{{"name":"Load product {number}","price":{{"amount":"0.01","currency":"GBP"}}}}"#
        );
        let stock = Creation {
            method: hyper::Method::POST,
            path: format!("{path}/stock-adjustments"),
            body: format!(r#"{{"id":"{}-s{number}","delta":{STOCK}}}"#, self.run),
        };
        vec![Creation { method: hyper::Method::PUT, path, body }, stock]
    }

    fn customer(&self, number: u64) -> Vec<Creation> {
        let path = format!("/v1/customers/{}-c{number}", self.run);
        let body = format!(
            r#"{{"firstName":"Load","lastName":"Customer {number}","level":"GOLD",
                "email":"load{number}@example.com","address":"1 Load Street",
                "creditLimit":{{"amount":"1000000000.00","currency":"GBP"}}}}"#
        );
        vec![Creation { method: hyper::Method::PUT, path, body }]
    }

    /// The body of the POST of an order: one or two lines, customers in turn, products at random.
    pub(super) fn order(&self, number: u64) -> Bytes {
        let Self { run, orders, .. } = self;
        let customer = number % self.customers;
        let mixed = mix(number);
        let first = mixed % self.products;
        let mut body = format!(r#"{{"id":"{orders}{number}","customerId":"{run}-c{customer}","#);
        body.push_str(r#""currency":"GBP","lines":["#);
        self.push_line(&mut body, first);
        if mixed >> 63 == 1 {
            let second = (first + 1 + (mixed >> 32) % (self.products - 1)) % self.products;
            body.push(',');
            self.push_line(&mut body, second);
        }
        body.push_str("]}");
        body.into()
    }

    fn push_line(&self, body: &mut String, product: u64) {
        let run = &self.run;
        // Writing to a string cannot fail.
        let _ =
            write!(body, r#"{{"productId":"{run}-p{product}","quantity":1,"unitPrice":"0.01"}}"#);
    }

    /// Where to wait until the order of this number is VALIDATED.
    pub(super) fn until_validated(&self, number: u64) -> Bytes {
        let timeout_ms = self.order_timeout_ms;
        format!("/v1/orders/{}{number}?until=VALIDATED&timeout={timeout_ms}ms", self.orders).into()
    }

    /// Where to wait for the order of this number to be SHIPPED, which it never is.
    pub(super) fn until_shipped(&self, number: u64, timeout: Duration) -> Bytes {
        let timeout_ms = timeout.as_millis();
        format!("/v1/orders/{}{number}?until=SHIPPED&timeout={timeout_ms}ms", self.orders).into()
    }
}

/// Spreads numbers evenly over 64 bits, the same each time (SplitMix64).
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;

    const ORDERS: u64 = 10_000;

    fn shop(products: u64, customers: u64) -> Shop {
        Shop::new(products, customers, Duration::from_secs(10))
    }

    fn orders(shop: &Shop) -> Vec<Value> {
        (0..ORDERS).map(|number| serde_json::from_slice(&shop.order(number)).unwrap()).collect()
    }

    fn texts<'a>(values: impl IntoIterator<Item = &'a Value>) -> Vec<&'a str> {
        values.into_iter().map(|value| value.as_str().unwrap()).collect()
    }

    #[test]
    fn ids_are_valid_and_each_order_has_its_own() {
        let orders = orders(&shop(100_000, 1_000_000));
        let ids: BTreeSet<&str> =
            texts(orders.iter().map(|order| &order["id"])).into_iter().collect();

        assert_eq!(ids.len() as u64, ORDERS);
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
        assert!(ids.iter().all(|id| id.len() <= 64 && id.bytes().all(valid)));
    }

    #[test]
    fn orders_use_only_what_was_created() {
        let shop = shop(10, 20);
        let created: BTreeSet<String> =
            shop.creations().flatten().map(|creation| creation.path).collect();

        for order in orders(&shop) {
            let customer = order["customerId"].as_str().unwrap();
            assert!(created.contains(&format!("/v1/customers/{customer}")), "{order}");
            for line in order["lines"].as_array().unwrap() {
                let product = format!("/v1/products/{}", line["productId"].as_str().unwrap());
                assert!(created.contains(&product), "{order}");
                assert!(created.contains(&format!("{product}/stock-adjustments")), "{order}");
            }
        }
    }

    #[test]
    fn a_product_has_its_catalogue_entry_before_its_stock() {
        let creations: Vec<Creation> = shop(2, 1).creations().next().unwrap();
        assert_eq!(creations[0].method, hyper::Method::PUT);
        assert!(creations[1].path.starts_with(&creations[0].path));
        for creation in creations {
            assert!(serde_json::from_str::<Value>(&creation.body).is_ok(), "{}", creation.body);
        }
    }

    #[test]
    fn the_load_is_spread_evenly_over_customers_and_products() {
        let orders = orders(&shop(10, 20));
        let mut of_customer = BTreeMap::<&str, u64>::new();
        let mut of_product = BTreeMap::<&str, u64>::new();
        for order in &orders {
            *of_customer.entry(order["customerId"].as_str().unwrap()).or_default() += 1;
            for line in order["lines"].as_array().unwrap() {
                *of_product.entry(line["productId"].as_str().unwrap()).or_default() += 1;
            }
        }

        assert_eq!(of_customer.len(), 20);
        assert!(of_customer.values().all(|count| *count == ORDERS / 20), "{of_customer:?}");
        assert_eq!(of_product.len(), 10);
        assert!(of_product.values().all(|count| (1_300..1_700).contains(count)), "{of_product:?}");
    }

    #[test]
    fn an_order_has_one_line_or_two_of_different_products() {
        let orders = orders(&shop(2, 1));
        let lines_of = |order: &Value| order["lines"].as_array().unwrap().clone();
        let two = orders.iter().filter(|order| lines_of(order).len() == 2).count();

        assert!((4_500..5_500).contains(&two), "{two}");
        for lines in orders.iter().map(lines_of) {
            let products = texts(lines.iter().map(|line| &line["productId"]));
            let different: BTreeSet<&&str> = products.iter().collect();
            assert_eq!(different.len(), products.len());
            assert!((1..=2).contains(&products.len()));
        }
    }
}
