//! The shop that simulated clients buy at: what there is, and requests as the HTTP edges of the
//! services write them.

use bytes::Bytes;
use events::ids::{AdjustmentId, CustomerId, DepositId, OrderId, ProductId, RequestId};
use events::money::{Amount, Currency, Money};
use events::order_request::{
    CancelOrder, OrderRequest, PlaceOrder, RequestedLine, RequestedOrder, ShipOrder,
};
use events::payment::{CustomerRequest, Deposit, Level, PutCustomer};
use events::quantity::Quantity;
use events::stock::{AdjustStock, ProductRequest, PutProduct};
use events::topics::{CUSTOMER_REQUESTS, ORDER_REQUESTS, PRODUCT_REQUESTS};
use sim::Random;
use streams::cloud_event::{Attributes, event_time};
use streams::{
    CloudEvents, Codec, Event, Headers, Key, ProducedRecord, Timestamp, Topic, TopicPartition,
    partition_for_key,
};

/// How much there is of everything. Few things, so that many want the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) products: u64,
    pub(super) customers: u64,
    /// How many pieces come in at once at most.
    pub(super) stock: u64,
    /// How far an account may be overdrawn at most.
    pub(super) limit: u64,
}

impl Sizes {
    pub(super) fn draw(random: &mut Random) -> Self {
        Sizes {
            products: random.between(1, 6),
            customers: random.between(1, 4),
            stock: 1 << random.between(1, 9),
            limit: 1 << random.between(4, 13),
        }
    }

    pub(super) fn product(&self, random: &mut Random) -> ProductId {
        product(random.below(self.products))
    }

    pub(super) fn customer(&self, random: &mut Random) -> CustomerId {
        customer(random.below(self.customers))
    }
}

pub(super) fn product(number: u64) -> ProductId {
    id(ProductId::parse, format!("product-{number}"))
}

pub(super) fn customer(number: u64) -> CustomerId {
    id(CustomerId::parse, format!("customer-{number}"))
}

pub(super) fn order(number: u64) -> OrderId {
    id(OrderId::parse, format!("order-{number}"))
}

fn id<T, E: std::fmt::Debug>(parse: fn(&str) -> Result<T, E>, text: String) -> T {
    match parse(&text) {
        Ok(id) => id,
        Err(error) => unreachable!("{text} is an id: {error:?}"),
    }
}

fn request_id(random: &mut Random) -> RequestId {
    RequestId::from_u128(u128::from(random.bits()) << 64 | u128::from(random.bits()))
}

/// The currency of everything, but for a customer who comes from elsewhere now and then.
fn currency(random: &mut Random) -> Currency {
    let code = if random.below(50) == 0 { "EUR" } else { "GBP" };
    match Currency::parse(code) {
        Ok(currency) => currency,
        Err(error) => unreachable!("{error}"),
    }
}

fn money(units: u64, currency: Currency) -> Money {
    match Money::new(Amount::whole(units as u32), currency) {
        Ok(money) => money,
        Err(error) => unreachable!("whole units are money: {error}"),
    }
}

pub(super) fn put_product(product_id: ProductId, random: &mut Random) -> ProductRequest {
    ProductRequest::Put(PutProduct {
        request_id: request_id(random),
        name: format!("{product_id}, {} of its kind", random.below(100)),
        product_id,
        price: money(random.between(0, 40), currency(random)),
    })
}

pub(super) fn adjust_stock(
    product_id: ProductId,
    number: u64,
    stock: u64,
    random: &mut Random,
) -> AdjustStock {
    let pieces = random.between(1, stock) as i64;
    AdjustStock {
        request_id: request_id(random),
        product_id,
        adjustment_id: id(AdjustmentId::parse, format!("adjustment-{number}")),
        delta: if random.below(8) == 0 { -pieces } else { pieces },
    }
}

pub(super) fn put_customer(
    customer_id: CustomerId,
    limit: u64,
    random: &mut Random,
) -> CustomerRequest {
    CustomerRequest::Put(PutCustomer {
        request_id: request_id(random),
        customer_id,
        first_name: "Ada".to_owned(),
        last_name: "Lovelace".to_owned(),
        email: "ada@example.org".to_owned(),
        address: "12 St James's Square".to_owned(),
        level: Level::Gold,
        credit_limit: money(random.between(1, limit), currency(random)),
    })
}

pub(super) fn deposit(customer_id: CustomerId, number: u64, random: &mut Random) -> Deposit {
    Deposit {
        request_id: request_id(random),
        customer_id,
        deposit_id: id(DepositId::parse, format!("deposit-{number}")),
        amount: Amount::whole(random.between(1, 500) as u32),
    }
}

/// An order of some of these products. Where no price is named, the catalogue's is taken.
pub(super) fn requested_order(sizes: &Sizes, random: &mut Random) -> RequestedOrder {
    let customer_id = sizes.customer(random);
    // Now and then there is no such product.
    let all = sizes.products + u64::from(random.below(20) == 0);
    let first = random.below(all);
    let lines = (0..random.between(1, all.min(4)))
        .map(|number| RequestedLine {
            product_id: product((first + number) % all),
            quantity: match Quantity::new(random.between(1, 6)) {
                Ok(quantity) => quantity,
                Err(error) => unreachable!("{error}"),
            },
            unit_price: (random.below(30) == 0).then(|| Amount::whole(random.below(40) as u32)),
        })
        .collect();
    match RequestedOrder::new(customer_id, currency(random), lines) {
        Ok(order) => order,
        Err(error) => unreachable!("the order is well-formed: {error}"),
    }
}

pub(super) fn place(order_id: OrderId, order: RequestedOrder, random: &mut Random) -> PlaceOrder {
    PlaceOrder::new(request_id(random), order_id, order)
}

pub(super) fn cancel(order_id: OrderId, random: &mut Random) -> OrderRequest {
    OrderRequest::Cancel(CancelOrder { request_id: request_id(random), order_id })
}

pub(super) fn ship(order_id: OrderId, random: &mut Random) -> OrderRequest {
    OrderRequest::Ship(ShipOrder { request_id: request_id(random), order_id })
}

/// Where and when requests are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) partitions: u32,
    pub(super) now: Timestamp,
}

impl Edge {
    pub(super) fn order_request(self, request: &OrderRequest) -> ProducedRecord {
        self.record(&ORDER_REQUESTS, request.order_id(), request)
    }

    pub(super) fn product_request(self, request: &ProductRequest) -> ProducedRecord {
        self.record(&PRODUCT_REQUESTS, request.product_id(), request)
    }

    pub(super) fn customer_request(self, request: &CustomerRequest) -> ProducedRecord {
        self.record(&CUSTOMER_REQUESTS, request.customer_id(), request)
    }

    /// A record that no service can read, under a key that is no id of anything.
    pub(super) fn garbage(self, number: u64) -> ProducedRecord {
        let key = Bytes::from(format!("{GARBAGE}{number}"));
        self.produced(&ORDER_REQUESTS, key, Bytes::from_static(b"{"), Headers::default())
    }

    fn record<K: Key, V: Event>(
        self,
        topic: &Topic<K, V, CloudEvents>,
        key: &K,
        request: &V,
    ) -> ProducedRecord {
        let key = key.encode();
        let headers = Attributes {
            id: key.clone(),
            source: "simulation",
            event_type: request.event_type(),
            time: event_time(self.now),
            trace_parent: None,
        };
        let value = <CloudEvents as Codec<V>>::encode(request).bytes;
        self.produced(topic, key, value, headers.into_headers())
    }

    fn produced<K, V>(
        self,
        topic: &Topic<K, V, CloudEvents>,
        key: Bytes,
        value: Bytes,
        headers: Headers,
    ) -> ProducedRecord {
        let partition = partition_for_key(&key, self.partitions);
        ProducedRecord {
            destination: TopicPartition::new(topic.name(), partition),
            timestamp: self.now,
            key: Some(key),
            value: Some(value),
            headers,
        }
    }
}

/// What the keys of unreadable records begin with.
pub(super) const GARBAGE: &str = "garbage-";
