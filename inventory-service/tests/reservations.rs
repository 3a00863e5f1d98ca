//! Stock through the topology: what is reserved, given back and taken out, and who hears of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use events::Timestamp;
use events::ids::{OrderId, Pair, ProductId, RequestId};
use events::money::Money;
use events::order::Version;
use events::quantity::Quantity;
use events::stock::{AdjustStock, OrderLine, OrderLineEvent, ProductRequest, PutProduct};
use events::topics::{
    DEAD_LETTERS, ORDER_LINES, ORDER_VALIDATIONS, PRODUCT_REQUESTS, PRODUCTS as PRODUCT_TABLE,
    STOCK_LEVELS,
};
use events::validation::{OrderValidation, Verdict};
use inventory_service::stock::Refusal;
use inventory_service::topology;
use inventory_service::topology::{ADJUSTMENTS, PRODUCTS, REFUSALS, RESERVATIONS, STOCK};
use streams::testing::TopologyDriver;
use streams::{Headers, Partition, ProducedRecord, TopicPartition, cloud_event, dead_letter};

const PARTITIONS: u32 = 3;
const OPENED: Timestamp = Timestamp::from_millis(1_767_323_045_678);

/// The driver of the topology, and the time of the next record.
struct Warehouse {
    driver: TopologyDriver,
    now: Timestamp,
    /// Whether each record is a batch of its own.
    commit_each: bool,
}

fn product(id: &str) -> ProductId {
    id.parse().unwrap()
}

fn order(id: &str) -> OrderId {
    id.parse().unwrap()
}

impl Warehouse {
    fn empty() -> Self {
        let driver = TopologyDriver::new(topology().unwrap(), PARTITIONS).unwrap();
        Warehouse { driver, now: OPENED, commit_each: false }
    }

    /// With so many pieces of a product; what that wrote is read.
    fn with(pieces: &[(&str, i64)]) -> Self {
        let mut warehouse = Self::empty();
        for (product, pieces) in pieces {
            warehouse.put(product, "12.99");
            warehouse.adjust(product, "first", *pieces);
        }
        warehouse.driver.commit().unwrap();
        warehouse.forget_outputs();
        warehouse
    }

    fn forget_outputs(&mut self) {
        let _ = (self.levels(), self.driver.read_raw_output(PRODUCT_TABLE.name()));
    }

    fn pass_time(&mut self) {
        self.now = self.now + 1;
        if self.commit_each {
            self.driver.commit().unwrap();
        }
    }

    fn request_id(&self) -> RequestId {
        RequestId::from_u128(self.now.as_millis().unsigned_abs().into())
    }

    fn request(&mut self, request: &ProductRequest) {
        self.driver.pipe_input(&PRODUCT_REQUESTS, request.product_id(), request, self.now);
        self.pass_time();
    }

    fn put(&mut self, id: &str, price: &str) {
        let price = Money::new(price.parse().unwrap(), "GBP".parse().unwrap()).unwrap();
        let (request_id, product_id) = (self.request_id(), product(id));
        let put = PutProduct { request_id, product_id, name: id.to_owned(), price };
        self.request(&ProductRequest::Put(put));
    }

    fn adjust(&mut self, id: &str, adjustment: &str, delta: i64) -> RequestId {
        let (request_id, adjustment_id) = (self.request_id(), adjustment.parse().unwrap());
        let adjust = AdjustStock { request_id, product_id: product(id), adjustment_id, delta };
        self.request(&ProductRequest::AdjustStock(adjust));
        request_id
    }

    fn line(
        &mut self,
        event: fn(OrderLine) -> OrderLineEvent,
        order_id: &str,
        product_id: &str,
        quantity: u64,
    ) {
        let line = OrderLine {
            order_id: order(order_id),
            version: Version(1),
            product_id: product(product_id),
            quantity: Quantity::new(quantity).unwrap(),
        };
        self.driver.pipe_input(&ORDER_LINES, &product(product_id), &event(line), self.now);
        self.pass_time();
    }

    fn placed(&mut self, order: &str, product: &str, quantity: u64) {
        self.line(OrderLineEvent::Placed, order, product, quantity);
    }

    fn released(&mut self, order: &str, product: &str, quantity: u64) {
        self.line(OrderLineEvent::Released, order, product, quantity);
    }

    fn shipped(&mut self, order: &str, product: &str, quantity: u64) {
        self.line(OrderLineEvent::Shipped, order, product, quantity);
    }

    /// Product, pieces on hand and pieces reserved of each new level.
    fn levels(&mut self) -> Vec<String> {
        let levels = self.driver.read_output(&STOCK_LEVELS).unwrap();
        let told = |(product, level): (ProductId, events::stock::StockLevel)| {
            assert_eq!(product, level.product_id);
            assert!(level.reserved <= level.on_hand);
            format!("{product} {} {}", level.on_hand, level.reserved)
        };
        levels.into_iter().map(told).collect()
    }

    /// Order, product and verdict of each new validation.
    fn verdicts(&mut self) -> Vec<String> {
        let validations = self.driver.read_output(&ORDER_VALIDATIONS).unwrap();
        let told = |(order, validation): (OrderId, OrderValidation)| {
            let verdict = match validation.verdict() {
                Verdict::Pass => "PASS".to_owned(),
                Verdict::Fail { reason, .. } => format!("{reason:?}"),
            };
            match validation {
                OrderValidation::Inventory(check) => {
                    format!("{order} {} {verdict}", check.product_id)
                }
                OrderValidation::Fraud(_) => format!("{order} by fraud {verdict}"),
            }
        };
        validations.into_iter().map(told).collect()
    }

    fn is_reserved(&self, order_id: &str, product_id: &str) -> bool {
        let place = Pair::new(product(product_id), order(order_id));
        self.driver.get(&RESERVATIONS, &product(product_id), &place).unwrap().is_some()
    }

    fn refusal(&self, product_id: &str, request: RequestId) -> Option<Refusal> {
        self.driver.get(&REFUSALS, &product(product_id), &request).unwrap()
    }
}

#[test]
fn a_new_product_is_in_the_catalogue_with_nothing_on_hand() {
    let mut warehouse = Warehouse::empty();
    warehouse.put("jumper", "12.99");
    warehouse.put("jumper", "11.99");
    warehouse.driver.commit().unwrap();

    assert_eq!(warehouse.levels(), ["jumper 0 0"]);
    let entries = warehouse.driver.read_output(&PRODUCT_TABLE).unwrap();
    let prices: Vec<_> = entries.iter().map(|(_, entry)| entry.price.to_string()).collect();
    assert_eq!(prices, ["12.99 GBP", "11.99 GBP"]);
    let kept = warehouse.driver.get(&PRODUCTS, &product("jumper"), &product("jumper")).unwrap();
    assert_eq!(kept.unwrap().price.to_string(), "11.99 GBP");
}

#[test]
fn a_placed_line_reserves_what_is_there_and_no_more() {
    let mut warehouse = Warehouse::with(&[("jumper", 5)]);
    warehouse.placed("o-1", "jumper", 3);
    warehouse.placed("o-2", "jumper", 3);
    warehouse.placed("o-3", "jumper", 2);
    warehouse.driver.commit().unwrap();

    let verdicts = ["o-1 jumper PASS", "o-2 jumper InsufficientStock", "o-3 jumper PASS"];
    let mut told = warehouse.verdicts();
    told.sort();
    assert_eq!(told, verdicts);
    assert_eq!(warehouse.levels(), ["jumper 5 3", "jumper 5 5"]);
    assert!(!warehouse.is_reserved("o-2", "jumper"));
}

#[test]
fn a_line_of_a_product_without_stock_fails() {
    let mut warehouse = Warehouse::empty();
    warehouse.placed("o-1", "yacht", 1);
    warehouse.driver.commit().unwrap();

    assert_eq!(warehouse.verdicts(), ["o-1 yacht UnknownProduct"]);
    assert_eq!(warehouse.levels(), [""; 0]);
}

#[test]
fn a_released_line_gives_back_what_it_reserved_once() {
    let mut warehouse = Warehouse::with(&[("jumper", 5)]);
    warehouse.placed("o-1", "jumper", 3);
    warehouse.released("o-1", "jumper", 3);
    warehouse.released("o-1", "jumper", 3);
    warehouse.shipped("o-1", "jumper", 3);
    warehouse.driver.commit().unwrap();

    assert_eq!(warehouse.levels(), ["jumper 5 3", "jumper 5 0"]);
    assert_eq!(warehouse.verdicts(), ["o-1 jumper PASS"]);
    assert!(!warehouse.is_reserved("o-1", "jumper"));
}

#[test]
fn a_line_that_was_refused_has_nothing_to_give_back() {
    let mut warehouse = Warehouse::with(&[("jumper", 5)]);
    warehouse.placed("o-1", "jumper", 4);
    warehouse.placed("o-2", "jumper", 4);
    warehouse.released("o-2", "jumper", 4);
    warehouse.driver.commit().unwrap();

    assert_eq!(warehouse.levels(), ["jumper 5 4"]);
    assert!(warehouse.is_reserved("o-1", "jumper"));
}

#[test]
fn a_shipped_line_takes_its_pieces_out() {
    let mut warehouse = Warehouse::with(&[("jumper", 5)]);
    warehouse.placed("o-1", "jumper", 3);
    warehouse.shipped("o-1", "jumper", 3);
    warehouse.shipped("o-1", "jumper", 3);
    warehouse.driver.commit().unwrap();

    assert_eq!(warehouse.levels(), ["jumper 5 3", "jumper 2 0"]);
    assert_eq!(warehouse.driver.entries(&RESERVATIONS).unwrap(), []);
}

#[test]
fn the_lines_of_an_order_are_reserved_by_product_and_order() {
    let mut warehouse = Warehouse::with(&[("jumper", 5), ("mug", 5), ("teapot", 5)]);
    for product in ["jumper", "mug", "teapot"] {
        warehouse.placed("o-1", product, 1);
        warehouse.placed("o-2", product, 2);
    }
    warehouse.released("o-1", "mug", 1);
    warehouse.driver.commit().unwrap();

    assert!(!warehouse.is_reserved("o-1", "mug"));
    for (order, product) in [("o-1", "jumper"), ("o-1", "teapot"), ("o-2", "mug")] {
        assert!(warehouse.is_reserved(order, product), "{order} {product}");
    }
    let mut levels = warehouse.driver.entries(&STOCK).unwrap();
    levels.sort_by(|(one, _), (other, _)| one.cmp(other));
    let reserved: Vec<_> = levels.iter().map(|(_, level)| level.reserved).collect();
    assert_eq!(reserved, [3, 2, 3]);
}

#[test]
fn an_adjustment_is_made_once() {
    let mut warehouse = Warehouse::with(&[("jumper", 5)]);
    let again = warehouse.adjust("jumper", "first", 5);
    let other = warehouse.adjust("jumper", "first", 6);
    warehouse.driver.commit().unwrap();

    assert_eq!(warehouse.levels(), [""; 0]);
    assert_eq!(warehouse.refusal("jumper", again), None);
    assert_eq!(warehouse.refusal("jumper", other), Some(Refusal::OtherDelta { made: 5 }));
    assert_eq!(warehouse.driver.entries(&ADJUSTMENTS).unwrap().len(), 1);
}

#[test]
fn an_adjustment_leaves_what_is_promised() {
    let mut warehouse = Warehouse::with(&[("jumper", 5)]);
    warehouse.placed("o-1", "jumper", 3);
    let too_many = warehouse.adjust("jumper", "second", -3);
    warehouse.adjust("jumper", "third", -2);
    let unknown = warehouse.adjust("yacht", "first", 1);
    warehouse.driver.commit().unwrap();

    assert_eq!(warehouse.levels(), ["jumper 5 3", "jumper 3 3"]);
    let refused = Refusal::BelowReserved { on_hand: 5, reserved: 3, delta: -3 };
    assert_eq!(warehouse.refusal("jumper", too_many), Some(refused));
    assert_eq!(warehouse.refusal("yacht", unknown), Some(Refusal::UnknownProduct));
}

#[test]
fn an_aborted_batch_leaves_nothing_and_is_taken_again() {
    let mut warehouse = Warehouse::with(&[("jumper", 5)]);
    warehouse.placed("o-1", "jumper", 3);
    warehouse.driver.abort().unwrap();
    assert_eq!(warehouse.levels(), [""; 0]);
    assert_eq!(warehouse.verdicts(), [""; 0]);
    assert!(!warehouse.is_reserved("o-1", "jumper"));

    warehouse.driver.commit().unwrap();
    assert_eq!(warehouse.levels(), ["jumper 5 3"]);
    assert_eq!(warehouse.verdicts(), ["o-1 jumper PASS"]);
}

#[test]
fn the_same_inputs_give_the_same_bytes_however_they_are_cut() {
    let run = |commit_each: bool| {
        let mut warehouse = Warehouse::with(&[("jumper", 5), ("mug", 5)]);
        warehouse.commit_each = commit_each;
        for (order, quantity) in [("o-1", 2), ("o-2", 2), ("o-3", 2)] {
            warehouse.placed(order, "jumper", quantity);
            warehouse.placed(order, "mug", quantity);
        }
        warehouse.released("o-1", "jumper", 2);
        warehouse.adjust("jumper", "second", -3);
        warehouse.shipped("o-2", "mug", 2);
        warehouse.placed("o-4", "jumper", 1);
        warehouse.driver.commit().unwrap();
        let mut verdicts = warehouse.driver.read_raw_output(ORDER_VALIDATIONS.name());
        // Tasks commit side by side, so where a record lies among those of others is not its own.
        verdicts.sort_by_key(|record| record.headers.get(cloud_event::ID).cloned());
        let verdicts: Vec<_> = verdicts
            .into_iter()
            .map(|record| (record.source, record.key, record.value, record.headers))
            .collect();
        let driver = &warehouse.driver;
        (
            verdicts,
            driver.entries(&STOCK).unwrap(),
            driver.entries(&RESERVATIONS).unwrap(),
            driver.entries(&REFUSALS).unwrap(),
        )
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn an_undecodable_request_becomes_a_dead_letter_and_stock_goes_on() {
    let mut warehouse = Warehouse::with(&[("jumper", 5)]);
    let mut headers = Headers::default();
    headers.add(cloud_event::TYPE, "AdjustStock");
    warehouse.driver.pipe(ProducedRecord {
        destination: TopicPartition::new(PRODUCT_REQUESTS.name(), Partition(1)),
        timestamp: warehouse.now,
        key: Some(Bytes::from_static(b"jumper")),
        value: Some(Bytes::from_static(b"{\"delta\":\"many\"}")),
        headers,
    });
    warehouse.adjust("jumper", "second", 1);
    warehouse.driver.commit().unwrap();

    let letters = warehouse.driver.read_raw_output(DEAD_LETTERS);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].headers.get_str(dead_letter::TOPIC), Some("product-requests"));
    assert_eq!(warehouse.levels(), ["jumper 6 0"]);
}

#[test]
fn the_topology_describes_itself() {
    assert_eq!(
        topology().unwrap().describe(),
        "Topology: inventory-service
  table products
  stream order-lines -> take-line
    stores: stock, reservations
    to: order-validations, stock-levels
  requests product-requests -> take-request
    stores: products, stock, adjustments, refusals
    to: products, stock-levels
"
    );
}
