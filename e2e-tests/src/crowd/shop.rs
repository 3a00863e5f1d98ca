//! What is sold, and to whom: too little of it, and to people with too little money, so that
//! orders compete, fail and give back what they had reserved.

use std::{
    fmt::{self, Write},
    str::FromStr,
};

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
pub(crate) struct Call {
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

/// One shop of several that may use the same system.
#[derive(Clone, Debug, Default)]
pub(super) struct Shop {
    /// What each of its ids begins with.
    prefix: String,
}

impl Shop {
    pub(super) fn new(prefix: &str) -> Self {
        Shop { prefix: prefix.to_owned() }
    }

    /// The id of this name in this shop.
    pub(super) fn id<T: FromStr>(&self, name: impl fmt::Display) -> Option<T> {
        format!("{}{name}", self.prefix).parse().ok()
    }

    /// Products with a little of each, and customers: what it takes for each of them.
    pub(super) fn set_up(&self) -> impl Iterator<Item = Vec<Call>> {
        let products = self.products().into_iter().map(|id| {
            let price = if id.as_str().ends_with(JEWEL) { "150.00" } else { "0.30" };
            let price = format!(r#"{{"amount":"{price}","currency":"GBP"}}"#);
            let body = format!(r#"{{"name":"{id}","price":{price}}}"#);
            let path = format!("/v1/products/{id}");
            let stock = format!("{path}/stock-adjustments");
            vec![Call::put(path, body), Call::post(stock, r#"{"id":"first","delta":15}"#)]
        });
        let customers = self.customers().into_iter().map(|id| {
            let limit = if id.as_str().ends_with(BIG_SPENDER) { "100000.00" } else { "6.00" };
            let limit = format!(r#"{{"amount":"{limit}","currency":"GBP"}}"#);
            let body = format!(
                r#"{{"firstName":"A","lastName":"{id}","email":"a@example.com",
                    "address":"1 Street","level":"GOLD","creditLimit":{limit}}}"#
            );
            vec![Call::put(format!("/v1/customers/{id}"), body)]
        });
        products.chain(customers)
    }

    /// All that there is to see beside orders.
    pub(super) fn views(&self) -> impl Iterator<Item = Call> {
        let products = self.products().into_iter();
        let stock = products.map(|id| format!("/v1/products/{id}/stock"));
        let customers = self.customers().into_iter();
        let accounts = customers.map(|id| format!("/v1/customers/{id}/account"));
        stock.chain(accounts).map(Call::get)
    }

    fn products(&self) -> Vec<ProductId> {
        let numbered = (0..PRODUCTS).filter_map(|number| self.id(format_args!("p{number}")));
        numbered.chain(self.id(JEWEL)).collect()
    }

    fn customers(&self) -> Vec<CustomerId> {
        let numbered = (0..CUSTOMERS).filter_map(|number| self.id(format_args!("c{number}")));
        numbered.chain(self.id(BIG_SPENDER)).collect()
    }

    /// The request for an order of a few pieces of one to three products.
    pub(super) fn order(&self, id: &OrderId, random: &mut Rng) -> Call {
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
        let prefix = &self.prefix;
        let mut body = format!(
            r#"{{"id":"{id}","customerId":"{prefix}{customer}","currency":"GBP","lines":["#
        );
        for (at, product) in lines.iter().enumerate() {
            let (comma, quantity) = (if at == 0 { "" } else { "," }, random.u32(1..=3));
            let line = format!(r#"{{"productId":"{prefix}{product}","quantity":{quantity}}}"#);
            // Writing to a string never fails.
            let _ = write!(body, "{comma}{line}");
        }
        body.push_str("]}");
        Call::post("/v1/orders".to_owned(), body)
    }

    /// The request for more of a product.
    pub(super) fn adjustment(
        &self,
        id: &AdjustmentId,
        random: &mut Rng,
    ) -> (Option<ProductId>, Call) {
        let product = random.choice(self.products());
        let path =
            product.as_ref().map(|product| format!("/v1/products/{product}/stock-adjustments"));
        let body = format!(r#"{{"id":"{id}","delta":{}}}"#, random.u32(1..=30));
        (product, Call::post(path.unwrap_or_default(), body))
    }

    /// The request to pay money in.
    pub(super) fn deposit(&self, id: &DepositId, random: &mut Rng) -> (Option<CustomerId>, Call) {
        let customer = random.choice(self.customers());
        let path = customer.as_ref().map(|customer| format!("/v1/customers/{customer}/deposits"));
        let body = format!(r#"{{"id":"{id}","amount":"{}.00"}}"#, random.u32(1..=10));
        (customer, Call::post(path.unwrap_or_default(), body))
    }
}
