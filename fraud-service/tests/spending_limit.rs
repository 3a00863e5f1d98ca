//! Spending through the topology: which orders are one session, and which of them fails.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use events::Timestamp;
use events::ids::{CustomerId, OrderId};
use events::order::{CheckState, Checks, Order, OrderEvent, OrderState, Version};
use events::topics::{DEAD_LETTERS, ORDER_VALIDATIONS, ORDERS_BY_CUSTOMER};
use events::validation::{OrderValidation, Verdict};
use fraud_service::topology;
use streams::testing::TopologyDriver;
use streams::{Headers, Partition, ProducedRecord, TopicPartition, cloud_event};

const PARTITIONS: u32 = 3;
const HOUR_MS: u64 = 60 * 60 * 1_000;
const OPENED: Timestamp = Timestamp::from_millis(1_767_323_045_678);

struct Desk {
    driver: TopologyDriver,
    orders: u32,
    /// Whether each record is a batch of its own.
    commit_each: bool,
}

fn order(id: &str, customer: &str, total: &str, placed_at: Timestamp) -> Order {
    let (pass, pending) = (CheckState::Pass, CheckState::Pending);
    Order {
        id: id.parse().unwrap(),
        version: Version::FIRST,
        state: OrderState::Created,
        customer_id: customer.parse().unwrap(),
        currency: "GBP".parse().unwrap(),
        lines: vec![],
        total: Some(total.parse().unwrap()),
        checks: Checks { order_details: pass, inventory: pending, fraud: pending },
        failures: vec![],
        placed_at,
        updated_at: placed_at,
    }
}

impl Desk {
    fn open() -> Self {
        let driver = TopologyDriver::new(topology().unwrap(), PARTITIONS).unwrap();
        Desk { driver, orders: 0, commit_each: false }
    }

    fn take(&mut self, event: &OrderEvent, at: Timestamp) {
        let customer: &CustomerId = &event.order().customer_id;
        self.driver.pipe_input(&ORDERS_BY_CUSTOMER, customer, event, at);
        if self.commit_each {
            self.driver.commit().unwrap();
        }
    }

    /// A new order, placed so long after the desk opened; they are `o-1`, `o-2`, and so on.
    fn created(&mut self, customer: &str, total: &str, after_ms: u64) {
        self.orders += 1;
        let at = OPENED + after_ms;
        let order = order(&format!("o-{}", self.orders), customer, total, at);
        self.take(&OrderEvent::Created(order), at);
    }

    /// The orders with new verdicts, by id, and whether they pass.
    fn verdicts(&mut self) -> Vec<(String, bool)> {
        self.driver.commit().unwrap();
        let validations = self.driver.read_output(&ORDER_VALIDATIONS).unwrap();
        let told = |(order, validation): (OrderId, OrderValidation)| {
            assert!(matches!(validation, OrderValidation::Fraud(_)), "{validation:?}");
            assert_eq!(&order, validation.order_id());
            (order.to_string(), *validation.verdict() == Verdict::Pass)
        };
        let mut verdicts: Vec<_> = validations.into_iter().map(told).collect();
        verdicts.sort();
        verdicts
    }
}

/// Whether orders of one customer pass: each a total, and milliseconds after the first.
fn passes(orders: &[(&str, u64)]) -> Vec<bool> {
    let mut desk = Desk::open();
    orders
        .iter()
        .map(|(total, after_ms)| {
            desk.created("c-1", total, *after_ms);
            let verdicts = desk.verdicts();
            assert_eq!(verdicts.len(), 1, "each order has one verdict");
            verdicts[0].1
        })
        .collect()
}

#[test]
fn the_order_that_brings_a_session_to_2000_fails() {
    assert_eq!(passes(&[("1999.99", 0)]), [true]);
    assert_eq!(passes(&[("2000.00", 0)]), [false]);
    assert_eq!(passes(&[("1500.00", 0), ("499.99", 1), ("0.01", 2)]), [true, true, false]);
}

#[test]
fn orders_an_hour_apart_are_one_session_and_a_moment_more_is_another() {
    assert_eq!(passes(&[("1500.00", 0), ("500.00", HOUR_MS)]), [true, false]);
    assert_eq!(passes(&[("1500.00", 0), ("500.00", HOUR_MS + 1)]), [true, true]);
}

#[test]
fn each_order_extends_its_session() {
    let orders = [("900.00", 0), ("900.00", HOUR_MS), ("900.00", 2 * HOUR_MS)];
    assert_eq!(passes(&orders), [true, true, false]);
}

#[test]
fn an_order_between_two_sessions_makes_them_one() {
    let orders = [("900.00", 0), ("900.00", 2 * HOUR_MS), ("200.00", HOUR_MS)];
    assert_eq!(passes(&orders), [true, true, false]);
}

#[test]
fn an_order_that_failed_counts_for_those_after_it() {
    assert_eq!(passes(&[("2000.00", 0), ("0.01", 1)]), [false, false]);
}

#[test]
fn an_order_older_than_what_is_kept_meets_an_empty_session() {
    let days = 24 * HOUR_MS;
    let orders = [("1999.00", 0), ("1.00", days + HOUR_MS), ("1999.00", 0), ("2000.00", 0)];
    assert_eq!(passes(&orders), [true, true, true, false]);
}

#[test]
fn customers_spend_apart() {
    let mut desk = Desk::open();
    for customer in ["c-1", "c-2", "c-3", "c-11"] {
        desk.created(customer, "1999.00", 0);
    }
    assert!(desk.verdicts().iter().all(|(_, passes)| *passes));

    desk.created("c-2", "1.00", 1);
    assert_eq!(desk.verdicts(), [("o-5".to_owned(), false)]);
}

#[test]
fn what_becomes_of_an_order_later_is_no_spending() {
    let mut desk = Desk::open();
    desk.created("c-1", "1500.00", 0);
    for event in [OrderEvent::Validated, OrderEvent::Paid, OrderEvent::Cancelled] {
        desk.take(&event(order("o-1", "c-1", "1500.00", OPENED)), OPENED + 1);
    }
    desk.created("c-1", "499.99", 2);

    assert_eq!(desk.verdicts(), [("o-1".to_owned(), true), ("o-2".to_owned(), true)]);
}

#[test]
fn an_aborted_batch_counts_nothing() {
    let mut desk = Desk::open();
    desk.created("c-1", "1500.00", 0);
    desk.driver.abort().unwrap();
    desk.driver.abort().unwrap();

    assert_eq!(desk.verdicts(), [("o-1".to_owned(), true)]);
    desk.created("c-1", "499.99", 1);
    assert_eq!(desk.verdicts(), [("o-2".to_owned(), true)]);
}

#[test]
fn the_same_inputs_give_the_same_bytes_however_they_are_cut() {
    let run = |commit_each: bool| {
        let mut desk = Desk::open();
        desk.commit_each = commit_each;
        for after_ms in 0..30 {
            let customer = ["c-1", "c-2", "c-3"][after_ms as usize % 3];
            desk.created(customer, "300.00", after_ms);
        }
        desk.driver.commit().unwrap();
        let mut verdicts = desk.driver.read_raw_output(ORDER_VALIDATIONS.name());
        // Tasks commit side by side, so where a record lies among those of others is not its own.
        verdicts.sort_by_key(|record| record.headers.get(cloud_event::ID).cloned());
        verdicts
            .into_iter()
            .map(|record| (record.source, record.key, record.value, record.headers))
            .collect::<Vec<_>>()
    };
    assert_eq!(run(true).len(), 30);
    assert_eq!(run(true), run(false));
}

#[test]
fn an_undecodable_order_becomes_a_dead_letter_and_an_unknown_event_is_skipped() {
    let mut desk = Desk::open();
    for (event_type, value) in [("OrderCreated", "{}"), ("OrderAdmired", "{}")] {
        let mut headers = Headers::default();
        headers.add(cloud_event::TYPE, event_type);
        desk.driver.pipe(ProducedRecord {
            destination: TopicPartition::new(ORDERS_BY_CUSTOMER.name(), Partition(1)),
            timestamp: OPENED,
            key: Some("c-1".into()),
            value: Some(value.into()),
            headers,
        });
    }
    desk.created("c-1", "1.00", 0);

    assert_eq!(desk.verdicts(), [("o-1".to_owned(), true)]);
    let letters = desk.driver.read_raw_output(DEAD_LETTERS);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].headers.get_str(cloud_event::TYPE), Some("OrderCreated"));
}

#[test]
fn the_topology_describes_itself() {
    assert_eq!(
        topology().unwrap().describe(),
        "Topology: fraud-service
  stream orders-by-customer -> check-spending
    stores: sessions
    to: order-validations
"
    );
}
