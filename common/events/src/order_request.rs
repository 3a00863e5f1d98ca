//! What is asked of an order.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::event::event_types;
use crate::ids::{CustomerId, OrderId, ProductId, RequestId};
use crate::money::{self, Amount, Currency};
use crate::quantity::Quantity;

/// A request about one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderRequest {
    /// To accept a new order.
    Place(PlaceOrder),
    /// To call an order off.
    Cancel(CancelOrder),
    /// To send a paid order on its way.
    Ship(ShipOrder),
}

event_types!(OrderRequest {
    Place => "PlaceOrder",
    Cancel => "CancelOrder",
    Ship => "ShipOrder",
});

impl OrderRequest {
    /// The order it is about.
    pub const fn order_id(&self) -> &OrderId {
        match self {
            OrderRequest::Place(request) => &request.order_id,
            OrderRequest::Cancel(request) => &request.order_id,
            OrderRequest::Ship(request) => &request.order_id,
        }
    }

    /// The request's own id.
    pub const fn request_id(&self) -> RequestId {
        match self {
            OrderRequest::Place(request) => request.request_id,
            OrderRequest::Cancel(request) => request.request_id,
            OrderRequest::Ship(request) => request.request_id,
        }
    }
}

/// A request for a new order. Its time is its record's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlaceOrder {
    /// Which request this is.
    pub request_id: RequestId,
    /// The id the order is to have.
    pub order_id: OrderId,
    /// What is ordered.
    pub order: RequestedOrder,
    /// What tells another order under the same id from the same one again. It is written once,
    /// with the request, and never made again from an old one: so its form may change.
    pub fingerprint: Fingerprint,
}

impl PlaceOrder {
    /// The request for this order under this id.
    pub fn new(request_id: RequestId, order_id: OrderId, order: RequestedOrder) -> Self {
        let fingerprint = Fingerprint::of(&order);
        PlaceOrder { request_id, order_id, order, fingerprint }
    }
}

/// A request to call an order off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CancelOrder {
    /// Which request this is.
    pub request_id: RequestId,
    /// The order.
    pub order_id: OrderId,
}

/// A request to send an order on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShipOrder {
    /// Which request this is.
    pub request_id: RequestId,
    /// The order.
    pub order_id: OrderId,
}

/// What an order is asked to be: 1 to 100 lines, each product once, prices with the currency's
/// decimals, and a total that is an amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", try_from = "UncheckedOrder")]
pub struct RequestedOrder {
    customer_id: CustomerId,
    currency: Currency,
    #[schema(min_items = 1, max_items = 100)]
    lines: Vec<RequestedLine>,
}

/// One product that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestedLine {
    /// The product.
    pub product_id: ProductId,
    /// How many pieces of it.
    pub quantity: Quantity,
    /// The price of one that the customer goes by; without one, the catalogue's is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<Amount>,
}

/// Why something is no order to ask for. Lines are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing is ordered.
    #[error("an order has at least 1 line")]
    NoLines,
    /// More lines than [`RequestedOrder::LINES_MAX`].
    #[error("an order has at most {} lines, not {count}", RequestedOrder::LINES_MAX)]
    TooManyLines {
        /// How many there are.
        count: usize,
    },
    /// Two lines of one product.
    #[error("line {line} repeats product {product_id}")]
    RepeatedProduct {
        /// The later of the two.
        line: usize,
        /// The product.
        product_id: ProductId,
    },
    /// A price that the order's currency cannot say.
    #[error("the unit price of line {line}: {error}")]
    UnitPrice {
        /// The line.
        line: usize,
        /// What is wrong with its price.
        error: money::Error,
    },
    /// The prices make a total that is no amount any more.
    #[error("the total: {0}")]
    Total(money::Error),
}

impl RequestedOrder {
    /// The most lines of an order.
    pub const LINES_MAX: usize = 100;

    /// The order of this customer for these lines, its prices brought to the currency's decimals.
    ///
    /// # Errors
    /// [`Error`].
    pub fn new(
        customer_id: CustomerId,
        currency: Currency,
        mut lines: Vec<RequestedLine>,
    ) -> Result<Self, Error> {
        if lines.is_empty() {
            return Err(Error::NoLines);
        }
        if lines.len() > Self::LINES_MAX {
            return Err(Error::TooManyLines { count: lines.len() });
        }
        if let Some(line) = first_repeat(&lines) {
            return Err(Error::RepeatedProduct {
                line,
                product_id: lines[line].product_id.clone(),
            });
        }
        let mut total = Amount::zero(currency);
        for (line, requested) in lines.iter_mut().enumerate() {
            let Some(price) = requested.unit_price else { continue };
            let price =
                price.in_currency(currency).map_err(|error| Error::UnitPrice { line, error })?;
            requested.unit_price = Some(price);
            total = price
                .times(requested.quantity)
                .and_then(|price| total.plus(price))
                .map_err(Error::Total)?;
        }
        Ok(RequestedOrder { customer_id, currency, lines })
    }

    /// Who orders.
    pub const fn customer_id(&self) -> &CustomerId {
        &self.customer_id
    }

    /// The currency of its prices.
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// What is ordered.
    pub fn lines(&self) -> &[RequestedLine] {
        &self.lines
    }
}

fn first_repeat(lines: &[RequestedLine]) -> Option<usize> {
    let mut products = BTreeSet::new();
    lines.iter().position(|line| !products.insert(&line.product_id))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UncheckedOrder {
    customer_id: CustomerId,
    currency: Currency,
    lines: Vec<RequestedLine>,
}

impl TryFrom<UncheckedOrder> for RequestedOrder {
    type Error = Error;

    fn try_from(order: UncheckedOrder) -> Result<Self, Error> {
        RequestedOrder::new(order.customer_id, order.currency, order.lines)
    }
}

/// A digest of what a request asks for: equal for equal orders, and for no others.
///
/// It is the SHA-256 of the order's canonical form, in lower-case hexadecimal digits. The form is
/// UTF-8 text with a line break after each of its lines: `order 1`, the customer's id, the
/// currency's code, and then for each line of the order, in its order, product id, quantity and
/// unit price with a blank between; `-` stands for a price that was left out. Prices have their
/// currency's decimals. No id has a blank, so no two orders share a form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
pub struct Fingerprint([u8; 32]);

/// A text that is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is 64 lower-case hexadecimal digits")]
pub struct MalformedFingerprint;

impl Fingerprint {
    /// The fingerprint of an order.
    pub fn of(order: &RequestedOrder) -> Self {
        Fingerprint(Sha256::digest(canonical_form(order)).into())
    }
}

fn canonical_form(order: &RequestedOrder) -> String {
    let mut form = format!("order 1\n{}\n{}\n", order.customer_id, order.currency);
    for RequestedLine { product_id, quantity, unit_price } in &order.lines {
        // Writing to a string never fails.
        let _ = match unit_price {
            Some(price) => writeln!(form, "{product_id} {quantity} {price}"),
            None => writeln!(form, "{product_id} {quantity} -"),
        };
    }
    form
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 0x0f)];
        }
        formatter.write_str(&String::from_utf8_lossy(&text))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Fingerprint({self})")
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> String {
        fingerprint.to_string()
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = MalformedFingerprint;

    fn try_from(text: String) -> Result<Self, MalformedFingerprint> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(MalformedFingerprint),
        };
        let text: &[u8; 64] = text.as_bytes().try_into().map_err(|_| MalformedFingerprint)?;
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Ok(Fingerprint(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(product: &str, quantity: u64, unit_price: Option<&str>) -> RequestedLine {
        RequestedLine {
            product_id: ProductId::parse(product).unwrap(),
            quantity: Quantity::new(quantity).unwrap(),
            unit_price: unit_price.map(|price| Amount::parse(price).unwrap()),
        }
    }

    fn order_of(customer: &str, currency: &str, lines: Vec<RequestedLine>) -> RequestedOrder {
        let customer_id = CustomerId::parse(customer).unwrap();
        RequestedOrder::new(customer_id, Currency::parse(currency).unwrap(), lines).unwrap()
    }

    fn refused(lines: Vec<RequestedLine>) -> Error {
        let customer_id = CustomerId::parse("c-1").unwrap();
        RequestedOrder::new(customer_id, Currency::parse("GBP").unwrap(), lines).unwrap_err()
    }

    #[test]
    fn an_order_has_one_to_a_hundred_lines_of_different_products() {
        let lines = |count: usize| (0..count).map(|n| line(&format!("p{n}"), 1, None)).collect();

        assert_eq!(refused(vec![]), Error::NoLines);
        assert_eq!(refused(lines(101)), Error::TooManyLines { count: 101 });
        assert_eq!(order_of("c-1", "GBP", lines(100)).lines().len(), 100);
        let repeated = refused(vec![line("a", 1, None), line("b", 1, None), line("a", 2, None)]);
        let product_id = ProductId::parse("a").unwrap();
        assert_eq!(repeated, Error::RepeatedProduct { line: 2, product_id });
    }

    #[test]
    fn prices_get_the_currencys_decimals_and_a_total_that_fits() {
        let order = order_of("c-1", "GBP", vec![line("a", 1, Some("12.9")), line("b", 1, None)]);
        assert_eq!(order.lines()[0].unit_price.unwrap().to_string(), "12.90");
        assert_eq!(order.lines()[1].unit_price, None);

        let error = refused(vec![line("a", 1, None), line("b", 1, Some("0.001"))]);
        assert!(matches!(error, Error::UnitPrice { line: 1, .. }), "{error}");
        let half = || Some("500000000000000");
        let error = refused(vec![line("a", 1, half()), line("b", 1, half())]);
        assert_eq!(error, Error::Total(money::Error::TooLarge));
    }

    #[test]
    fn a_request_is_checked_when_it_is_read() {
        let json =
            |line: &str| format!(r#"{{"customerId":"c","currency":"GBP","lines":[{line}]}}"#);
        let read = |line: &str| serde_json::from_str::<RequestedOrder>(&json(line));

        assert!(read(r#"{"productId":"a","quantity":1,"more":true}"#).is_ok());
        assert!(read("").is_err());
        assert!(read(r#"{"productId":"a","quantity":0}"#).is_err());
        assert!(read(r#"{"productId":"a","quantity":1,"unitPrice":1.5}"#).is_err());
        assert!(read(r#"{"productId":"a","quantity":1,"unitPrice":"1.555"}"#).is_err());
    }

    #[test]
    fn the_canonical_form_is_as_documented() {
        let order = order_of("c-1", "GBP", vec![line("a", 2, Some("12.9")), line("b", 1, None)]);

        assert_eq!(canonical_form(&order), "order 1\nc-1\nGBP\na 2 12.90\nb 1 -\n");
        assert_eq!(
            Fingerprint::of(&order).to_string(),
            "ea0f5e824e5c67fb2c32c662d492e2138a9609fbabde72e1ec983203ebb9b8a2"
        );
    }

    #[test]
    fn orders_share_a_fingerprint_only_where_they_are_the_same() {
        let (a, b) = (|| line("a", 2, Some("1.50")), || line("b", 1, None));
        let fingerprint = |order: RequestedOrder| Fingerprint::of(&order);
        let original = fingerprint(order_of("c-1", "GBP", vec![a(), b()]));

        let same = order_of("c-1", "GBP", vec![line("a", 2, Some("1.5")), b()]);
        assert_eq!(fingerprint(same), original);
        for other in [
            order_of("c-2", "GBP", vec![a(), b()]),
            order_of("c-1", "EUR", vec![a(), b()]),
            order_of("c-1", "GBP", vec![b(), a()]),
            order_of("c-1", "GBP", vec![a()]),
            order_of("c-1", "GBP", vec![line("a", 3, Some("1.50")), b()]),
            order_of("c-1", "GBP", vec![line("a", 2, Some("1.51")), b()]),
            order_of("c-1", "GBP", vec![line("a", 2, None), b()]),
            order_of("c-1", "GBP", vec![a(), line("b", 1, Some("0"))]),
        ] {
            assert_ne!(fingerprint(other.clone()), original, "{other:?}");
        }
    }

    #[test]
    fn a_fingerprint_reads_back_and_nothing_else_does() {
        let fingerprint = Fingerprint::of(&order_of("c-1", "GBP", vec![line("a", 1, None)]));
        let text = fingerprint.to_string();

        assert_eq!(Fingerprint::try_from(text.clone()), Ok(fingerprint));
        for other in [&text[1..], &text.to_uppercase(), &text.replace(&text[..1], "g"), ""] {
            assert!(Fingerprint::try_from(other.to_owned()).is_err(), "{other}");
        }
    }
}
