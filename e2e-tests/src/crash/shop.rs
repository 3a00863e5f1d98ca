//! What is sold, and to whom: too little of it, and to people with too little money, so that
//! orders compete, fail and give back what they had reserved.

use std::fmt::Write;

use bytes::Bytes;
use events::ids::{AdjustmentId, CustomerId, DepositId, OrderId, ProductId};
use fastrand::Rng;
use hyper::Method;

const PRODUCTS: u32 = 12;
const CUSTOMERS: u32 = 60;

/// This product's price takes its buyer past what the fraud check lets through in a few orders.
const JEWEL: &str = "jewel";
/// The one customer who buys it.
const BIG_SPENDER: &str = "spender";

/// A call of the API.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Bytes,
}

impl Call {
    pub(super) fn get(path: String) -> Self {
        Self { method: Method::GET, path, body: Bytes::new() }
    }

    pub(super) fn post(path: String, body: impl Into<Bytes>) -> Self {
        Self { method: Method::POST, path, body: body.into() }
    }

    fn put(path: String, body: String) -> Self {
        Self { method: Method::PUT, path, body: body.into() }
    }
}

/// Products with a little of each, and customers.
pub(super) fn set_up() -> impl Iterator<Item = Call> {
    let products = products().into_iter().flat_map(|id| {
        let price = if id.as_str() == JEWEL { "150.00" } else { "0.30" };
        let body = format!(r#"{{"name":"{id}","price":{{"amount":"{price}","currency":"GBP"}}}}"#);
        let path = format!("/v1/products/{id}");
        let stock = Call::post(format!("{path}/stock-adjustments"), r#"{"id":"first","delta":15}"#);
        [Call::put(path, body), stock]
    });
    let customers = customers().into_iter().map(|id| {
        let limit = if id.as_str() == BIG_SPENDER { "100000.00" } else { "6.00" };
        let body = format!(
            r#"{{"firstName":"A","lastName":"{id}","email":"{id}@example.com","address":"1 Street",
                "level":"GOLD","creditLimit":{{"amount":"{limit}","currency":"GBP"}}}}"#
        );
        Call::put(format!("/v1/customers/{id}"), body)
    });
    products.chain(customers)
}

/// All that there is to see beside orders.
pub(super) fn views() -> impl Iterator<Item = Call> {
    let stock = products().into_iter().map(|id| format!("/v1/products/{id}/stock"));
    let accounts = customers().into_iter().map(|id| format!("/v1/customers/{id}/account"));
    stock.chain(accounts).map(Call::get)
}

fn id<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn products() -> Vec<ProductId> {
    let numbered = (0..PRODUCTS).filter_map(|number| id(&format!("p{number}")));
    numbered.chain(id(JEWEL)).collect()
}

fn customers() -> Vec<CustomerId> {
    let numbered = (0..CUSTOMERS).filter_map(|number| id(&format!("c{number}")));
    numbered.chain(id(BIG_SPENDER)).collect()
}

/// The request for an order of a few pieces of one to three products.
pub(super) fn order(id: &OrderId, random: &mut Rng) -> Call {
    let first = random.u32(0..PRODUCTS);
    let mut lines: Vec<String> =
        (0..random.u32(1..=3)).map(|at| format!("p{}", (first + at) % PRODUCTS)).collect();
    let mut customer = format!("c{}", random.u32(0..CUSTOMERS));
    match random.u32(0..100) {
        0..3 => {
            customer = BIG_SPENDER.to_owned();
            lines.push(JEWEL.to_owned());
        }
        // Well-formed, accepted and failed: there is no such product.
        3 => lines.push("nothing".to_owned()),
        _ => {}
    }
    let mut body = format!(r#"{{"id":"{id}","customerId":"{customer}","currency":"GBP","lines":["#);
    for (at, product) in lines.iter().enumerate() {
        let (comma, quantity) = (if at == 0 { "" } else { "," }, random.u32(1..=3));
        // Writing to a string never fails.
        let _ = write!(body, r#"{comma}{{"productId":"{product}","quantity":{quantity}}}"#);
    }
    body.push_str("]}");
    Call::post("/v1/orders".to_owned(), body)
}

/// The request for more of a product.
pub(super) fn adjustment(id: &AdjustmentId, random: &mut Rng) -> (Option<ProductId>, Call) {
    let product = random.choice(products());
    let path = product.as_ref().map(|product| format!("/v1/products/{product}/stock-adjustments"));
    let body = format!(r#"{{"id":"{id}","delta":{}}}"#, random.u32(1..=30));
    (product, Call::post(path.unwrap_or_default(), body))
}

/// The request to pay money in.
pub(super) fn deposit(id: &DepositId, random: &mut Rng) -> (Option<CustomerId>, Call) {
    let customer = random.choice(customers());
    let path = customer.as_ref().map(|customer| format!("/v1/customers/{customer}/deposits"));
    let body = format!(r#"{{"id":"{id}","amount":"{}.00"}}"#, random.u32(1..=10));
    (customer, Call::post(path.unwrap_or_default(), body))
}
