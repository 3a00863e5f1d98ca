//! A shop with a catalogue and a customer, whose other services are played by the test.

use events::Timestamp;
use events::ids::{OrderId, RequestId};
use events::money::Money;
use events::order::{Order, OrderEvent, Reason};
use events::order_request::{
    CancelOrder, OrderRequest, PlaceOrder, RequestedLine, RequestedOrder, ShipOrder,
};
use events::payment::{Customer, DeclineReason, DeclinedPayment, Level, Payment, PaymentEvent};
use events::quantity::Quantity;
use events::stock::{OrderLineEvent, Product};
use events::topics::{
    CUSTOMERS, ORDER_LINES, ORDER_REQUESTS, ORDER_VALIDATIONS, ORDERS as ORDER_EVENTS,
    ORDERS_BY_CUSTOMER, PAYMENTS, PRODUCTS,
};
use events::validation::{FraudCheck, InventoryCheck, OrderValidation, Verdict};
use orders_service::order::state::Timeouts;
use orders_service::topology;
use orders_service::topology::ORDERS;
use streams::testing::TopologyDriver;
use streams::{
    CloudEvents, Codec, ConsumedRecord, Headers, Key, Offset, ProducedRecord, Topic, TopicName,
    TopicPartition, cloud_event, partition_for_key,
};

pub(crate) const PARTITIONS: u32 = 3;
pub(crate) const TIMEOUTS: Timeouts = Timeouts { validation_ticks: 3, payment_ticks: 2 };
const OPENED: Timestamp = Timestamp::from_millis(1_767_323_045_678);

/// The driver of the topology, and the time of the next record.
pub(crate) struct Shop {
    pub(crate) driver: TopologyDriver,
    pub(crate) now: Timestamp,
    /// Whether each record is a batch of its own.
    pub(crate) commit_each: bool,
}

fn pounds(amount: &str) -> Money {
    Money::new(amount.parse().unwrap(), "GBP".parse().unwrap()).unwrap()
}

fn id(order: &str) -> OrderId {
    order.parse().unwrap()
}

fn fail(reason: Reason) -> Verdict {
    Verdict::Fail { reason, detail: "what people read".to_owned() }
}

impl Shop {
    /// Jumpers at 12.99, mugs at 8.00, and customer `c-1`, all in pounds.
    pub(crate) fn open() -> Self {
        let topology = topology(TIMEOUTS).unwrap();
        let driver = TopologyDriver::new(topology, PARTITIONS).unwrap();
        let mut shop = Shop { driver, now: OPENED, commit_each: false };
        for (product, price) in [("jumper", "12.99"), ("mug", "8.00")] {
            let product_id = product.parse().unwrap();
            let entry = Product { product_id, name: product.to_owned(), price: pounds(price) };
            shop.take(&PRODUCTS, &entry.product_id, &entry);
        }
        let customer = Customer {
            customer_id: "c-1".parse().unwrap(),
            first_name: "Grace".to_owned(),
            last_name: "Hopper".to_owned(),
            email: "grace@example.com".to_owned(),
            address: "1 Navy Yard".to_owned(),
            level: Level::Gold,
            currency: "GBP".parse().unwrap(),
        };
        shop.take(&CUSTOMERS, &customer.customer_id, &customer);
        shop
    }

    fn take<K: Key, V, C: Codec<V>>(&mut self, topic: &Topic<K, V, C>, key: &K, value: &V) {
        self.driver.pipe_input(topic, key, value, self.now);
        self.now = self.now + 1;
        if self.commit_each {
            self.driver.commit().unwrap();
        }
    }

    /// Another one for each request.
    fn request_number(&self) -> u128 {
        self.now.as_millis().unsigned_abs().into()
    }

    fn request_id(&self) -> RequestId {
        RequestId::from_u128(self.request_number())
    }

    pub(crate) fn place(&mut self, order: &str, lines: &[(&str, u64)]) {
        let request = place_request(order, lines, self.request_number());
        self.take(&ORDER_REQUESTS, &id(order), &request);
    }

    pub(crate) fn cancel(&mut self, order: &str) {
        let request = CancelOrder { request_id: self.request_id(), order_id: id(order) };
        self.take(&ORDER_REQUESTS, &id(order), &OrderRequest::Cancel(request));
    }

    pub(crate) fn ship(&mut self, order: &str) {
        let request = ShipOrder { request_id: self.request_id(), order_id: id(order) };
        self.take(&ORDER_REQUESTS, &id(order), &OrderRequest::Ship(request));
    }

    fn inventory(&mut self, order: &str, product: &str, verdict: Verdict) {
        let product_id = product.parse().unwrap();
        let check = InventoryCheck { order_id: id(order), product_id, verdict };
        self.take(&ORDER_VALIDATIONS, &id(order), &OrderValidation::Inventory(check));
    }

    pub(crate) fn passes(&mut self, order: &str, product: &str) {
        self.inventory(order, product, Verdict::Pass);
    }

    pub(crate) fn sold_out(&mut self, order: &str, product: &str) {
        self.inventory(order, product, fail(Reason::InsufficientStock));
    }

    fn fraud(&mut self, order: &str, verdict: Verdict) {
        let check = FraudCheck { order_id: id(order), verdict };
        self.take(&ORDER_VALIDATIONS, &id(order), &OrderValidation::Fraud(check));
    }

    pub(crate) fn unsuspicious(&mut self, order: &str) {
        self.fraud(order, Verdict::Pass);
    }

    pub(crate) fn suspicious(&mut self, order: &str) {
        self.fraud(order, fail(Reason::SpendingLimit));
    }

    pub(crate) fn authorised(&mut self, order: &str) {
        self.take(&PAYMENTS, &id(order), &PaymentEvent::Authorised(payment(order)));
    }

    pub(crate) fn declined(&mut self, order: &str) {
        let declined = DeclinedPayment {
            payment: payment(order),
            reason: DeclineReason::InsufficientFunds,
            detail: "what people read".to_owned(),
        };
        self.take(&PAYMENTS, &id(order), &PaymentEvent::Declined(declined));
    }

    /// A second each.
    pub(crate) fn ticks(&mut self, count: u32) {
        for _ in 0..count {
            self.now = self.now + 1_000;
            self.driver.tick(self.now).unwrap();
        }
    }

    /// Takes a new order of two jumpers as far as VALIDATED; what it wrote is read.
    pub(crate) fn validated(&mut self, order: &str) {
        self.place(order, &[("jumper", 2)]);
        self.passes(order, "jumper");
        self.unsuspicious(order);
        self.driver.commit().unwrap();
        let validated = format!("{order} 2 VALIDATED");
        assert_eq!(self.events().last(), Some(&validated));
        self.forget_outputs();
    }

    /// Order, version and state of each new event in `orders`.
    pub(crate) fn events(&mut self) -> Vec<String> {
        let events = self.driver.read_output(&ORDER_EVENTS).unwrap();
        events.into_iter().map(|(order, event)| told(&order, &event)).collect()
    }

    /// The same in `orders-by-customer`, after the customer's id.
    pub(crate) fn events_by_customer(&mut self) -> Vec<String> {
        let events = self.driver.read_output(&ORDERS_BY_CUSTOMER).unwrap();
        let told = |(customer, event): (_, OrderEvent)| {
            format!("{customer}: {}", told(&event.order().id, &event))
        };
        events.into_iter().map(told).collect()
    }

    /// Product, order, quantity and word of each new line in `order-lines`.
    pub(crate) fn lines(&mut self) -> Vec<String> {
        let lines = self.driver.read_output(&ORDER_LINES).unwrap();
        let told = |(product, event): (_, OrderLineEvent)| {
            let word = match &event {
                OrderLineEvent::Placed(_) => "placed",
                OrderLineEvent::Released(_) => "released",
                OrderLineEvent::Shipped(_) => "shipped",
            };
            let line = event.line();
            format!("{product}: {} {} {word}", line.order_id, line.quantity)
        };
        lines.into_iter().map(told).collect()
    }

    /// The order as the store has it.
    pub(crate) fn order(&self, order: &str) -> Order {
        self.driver.get(&ORDERS, &id(order), &id(order)).unwrap().unwrap().order
    }

    pub(crate) fn reasons(&self, order: &str) -> Vec<Reason> {
        self.order(order).failures.iter().map(|failure| failure.reason).collect()
    }

    /// The new records of a topic, byte for byte, in order of the ids derived from their inputs.
    /// Tasks commit side by side, so where a record lies among those of others is not its own.
    pub(crate) fn bytes_of(&mut self, topic: TopicName) -> Vec<ProducedRecord> {
        let bytes = |record: ConsumedRecord| ProducedRecord {
            destination: record.source,
            timestamp: record.timestamp,
            key: record.key,
            value: record.value,
            headers: record.headers,
        };
        let mut records: Vec<_> =
            self.driver.read_raw_output(topic).into_iter().map(bytes).collect();
        records.sort_by(|one, other| {
            one.headers.get(cloud_event::ID).cmp(&other.headers.get(cloud_event::ID))
        });
        records
    }

    /// Lets what was written so far be read by no one.
    pub(crate) fn forget_outputs(&mut self) {
        for topic in [ORDER_EVENTS.name(), ORDERS_BY_CUSTOMER.name(), ORDER_LINES.name()] {
            self.driver.read_raw_output(topic);
        }
    }
}

/// A request to place an order of what no catalogue has, as it lies on the log.
pub(crate) fn request_of_a_yacht() -> ConsumedRecord {
    let encoded = CloudEvents::encode(&place_request("o-1", &[("yacht", 1)], 1));
    let mut headers = Headers::default();
    headers.add(cloud_event::TYPE, encoded.event_type.unwrap());
    let key = id("o-1").encode();
    let partition = partition_for_key(&key, PARTITIONS);
    ConsumedRecord {
        source: TopicPartition::new(ORDER_REQUESTS.name(), partition),
        offset: Offset::default(),
        timestamp: OPENED,
        key: Some(key),
        value: Some(encoded.bytes),
        headers,
    }
}

fn place_request(order: &str, lines: &[(&str, u64)], request: u128) -> OrderRequest {
    let line = |(product, quantity): &(&str, u64)| RequestedLine {
        product_id: product.parse().unwrap(),
        quantity: Quantity::new(*quantity).unwrap(),
        unit_price: None,
    };
    let lines = lines.iter().map(line).collect();
    let (customer, currency) = ("c-1".parse().unwrap(), "GBP".parse().unwrap());
    let requested = RequestedOrder::new(customer, currency, lines).unwrap();
    let request_id = RequestId::from_u128(request);
    OrderRequest::Place(PlaceOrder::new(request_id, id(order), requested))
}

fn told(order: &OrderId, event: &OrderEvent) -> String {
    assert_eq!(event.state(), event.order().state);
    format!("{order} {} {}", event.order().version, event.state())
}

fn payment(order: &str) -> Payment {
    let customer_id = "c-1".parse().unwrap();
    Payment { order_id: id(order), customer_id, amount: pounds("25.98") }
}
