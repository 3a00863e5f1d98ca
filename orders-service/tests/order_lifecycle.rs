//! Orders through the topology: what each input writes, and to whom.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod shop;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use events::order::Reason;
use events::topics::{
    DEAD_LETTERS, ORDER_LINES, ORDER_REQUESTS, ORDERS as ORDER_EVENTS, ORDERS_BY_CUSTOMER,
};
use orders_service::topology;
use orders_service::topology::{DEADLINES, ORDERS, PENDING};
use streams::testing::MemoryState;
use streams::{
    Headers, Partition, ProducedRecord, Progress, Tables, Task, TopicPartition, dead_letter,
};

use shop::{PARTITIONS, Shop, TIMEOUTS};

#[test]
fn a_created_order_is_written_by_order_by_customer_and_by_product() {
    let mut shop = Shop::open();
    shop.place("o-1", &[("jumper", 2), ("mug", 1)]);
    shop.driver.commit().unwrap();

    assert_eq!(shop.events(), ["o-1 1 CREATED"]);
    assert_eq!(shop.events_by_customer(), ["c-1: o-1 1 CREATED"]);
    assert_eq!(shop.lines(), ["jumper: o-1 2 placed", "mug: o-1 1 placed"]);
    assert_eq!(shop.order("o-1").total.unwrap().to_string(), "33.98");
}

#[test]
fn the_three_views_of_an_order_are_one_commit() {
    let mut shop = Shop::open();
    shop.place("o-1", &[("jumper", 2), ("mug", 1)]);
    shop.driver.abort().unwrap();
    assert_eq!(shop.events(), [""; 0]);
    assert_eq!(shop.events_by_customer(), [""; 0]);
    assert_eq!(shop.lines(), [""; 0]);
    assert_eq!(shop.driver.entries(&ORDERS).unwrap(), []);
    assert_eq!(shop.driver.entries(&PENDING).unwrap(), []);
    assert_eq!(shop.driver.entries(&DEADLINES).unwrap(), []);

    shop.driver.commit().unwrap();
    let views = [shop.events().len(), shop.events_by_customer().len(), shop.lines().len()];
    assert_eq!(views, [1, 1, 2]);
}

#[test]
fn an_order_of_an_unknown_product_is_created_and_failed_for_itself_alone() {
    let mut shop = Shop::open();
    shop.place("o-1", &[("jumper", 2), ("yacht", 1)]);
    shop.driver.commit().unwrap();

    assert_eq!(shop.events(), ["o-1 1 CREATED", "o-1 2 FAILED"]);
    assert_eq!(shop.events_by_customer(), [""; 0]);
    assert_eq!(shop.lines(), [""; 0]);
    assert_eq!(shop.reasons("o-1"), [Reason::UnknownProduct]);
    assert_eq!(shop.order("o-1").total, None);
    assert_eq!(shop.driver.entries(&PENDING).unwrap(), []);
}

#[test]
fn nothing_is_refused_before_the_tables_are_caught_up() {
    let topology = Arc::new(topology(TIMEOUTS).unwrap());
    let tables = Tables::new(Arc::clone(&topology), PARTITIONS);
    let (positions, state) = (BTreeMap::new(), MemoryState::default());
    let request = shop::request_of_a_yacht();
    let partition = request.source.partition;
    let mut task = Task::new(topology, partition, PARTITIONS, &positions, &state).unwrap();

    task.push(request);
    let progress = task.process(usize::MAX, &state, &tables).unwrap();
    assert_eq!(progress, Progress::TablesBehind);
    assert!(task.prepare_commit().is_none());

    let fetched = task.fetched();
    task.tables_caught_up(&fetched);
    task.process(usize::MAX, &state, &tables).unwrap();
    assert_eq!(task.prepare_commit().unwrap().outputs.len(), 2);
}

#[test]
fn an_order_whose_checks_pass_is_validated_and_paid_once_authorised() {
    let mut shop = Shop::open();
    shop.place("o-1", &[("jumper", 2), ("mug", 1)]);
    shop.passes("o-1", "mug");
    shop.unsuspicious("o-1");
    shop.driver.commit().unwrap();
    assert_eq!(shop.events(), ["o-1 1 CREATED"]);

    shop.passes("o-1", "jumper");
    shop.driver.commit().unwrap();
    assert_eq!(shop.events(), ["o-1 2 VALIDATED"]);

    shop.authorised("o-1");
    shop.driver.commit().unwrap();
    assert_eq!(shop.events(), ["o-1 3 PAID"]);
    let by_customer = ["c-1: o-1 1 CREATED", "c-1: o-1 2 VALIDATED", "c-1: o-1 3 PAID"];
    assert_eq!(shop.events_by_customer(), by_customer);
    assert_eq!(shop.lines(), ["jumper: o-1 2 placed", "mug: o-1 1 placed"]);
    assert_eq!(shop.driver.entries(&PENDING).unwrap(), []);
    assert_eq!(shop.driver.entries(&DEADLINES).unwrap(), []);
}

#[test]
fn one_line_that_is_sold_out_fails_the_order_and_releases_every_line() {
    let mut shop = Shop::open();
    shop.place("o-1", &[("jumper", 2), ("mug", 1)]);
    shop.passes("o-1", "mug");
    shop.sold_out("o-1", "jumper");
    shop.driver.commit().unwrap();

    assert_eq!(shop.events(), ["o-1 1 CREATED", "o-1 2 FAILED"]);
    assert_eq!(shop.events_by_customer().last().unwrap(), "c-1: o-1 2 FAILED");
    assert_eq!(shop.lines()[2..], ["jumper: o-1 2 released", "mug: o-1 1 released"]);
    assert_eq!(shop.reasons("o-1"), [Reason::InsufficientStock]);
}

#[test]
fn a_suspicious_order_fails_and_every_line_is_released() {
    let mut shop = Shop::open();
    shop.place("o-1", &[("jumper", 2), ("mug", 1)]);
    shop.suspicious("o-1");
    shop.driver.commit().unwrap();

    assert_eq!(shop.events(), ["o-1 1 CREATED", "o-1 2 FAILED"]);
    assert_eq!(shop.lines()[2..], ["jumper: o-1 2 released", "mug: o-1 1 released"]);
    assert_eq!(shop.reasons("o-1"), [Reason::SpendingLimit]);
}

#[test]
fn a_declined_payment_fails_the_order_and_releases_its_lines() {
    let mut shop = Shop::open();
    shop.validated("o-1");
    shop.declined("o-1");
    shop.driver.commit().unwrap();

    assert_eq!(shop.events(), ["o-1 3 FAILED"]);
    assert_eq!(shop.events_by_customer(), ["c-1: o-1 3 FAILED"]);
    assert_eq!(shop.lines(), ["jumper: o-1 2 released"]);
    assert_eq!(shop.reasons("o-1"), [Reason::PaymentDeclined]);
}

#[test]
fn checks_that_do_not_come_in_time_fail_the_order() {
    let mut shop = Shop::open();
    shop.place("o-1", &[("jumper", 2), ("mug", 1)]);
    shop.passes("o-1", "jumper");
    shop.ticks(TIMEOUTS.validation_ticks);
    assert_eq!(shop.events(), ["o-1 1 CREATED"]);

    shop.ticks(1);

    assert_eq!(shop.events(), ["o-1 2 FAILED"]);
    assert_eq!(shop.events_by_customer()[1..], ["c-1: o-1 2 FAILED"]);
    assert_eq!(shop.lines()[2..], ["jumper: o-1 2 released", "mug: o-1 1 released"]);
    assert_eq!(shop.reasons("o-1"), [Reason::Timeout, Reason::Timeout]);
    assert_eq!(shop.driver.entries(&DEADLINES).unwrap(), []);
}

#[test]
fn a_payment_that_does_not_come_in_time_fails_the_order() {
    let mut shop = Shop::open();
    shop.validated("o-1");
    shop.ticks(TIMEOUTS.payment_ticks);
    assert_eq!(shop.events(), [""; 0]);

    shop.ticks(1);

    assert_eq!(shop.events(), ["o-1 3 FAILED"]);
    assert_eq!(shop.events_by_customer(), ["c-1: o-1 3 FAILED"]);
    assert_eq!(shop.lines(), ["jumper: o-1 2 released"]);
    assert_eq!(shop.reasons("o-1"), [Reason::Timeout]);
}

#[test]
fn the_payment_has_its_whole_time_however_long_the_checks_took() {
    let mut shop = Shop::open();
    shop.place("o-1", &[("jumper", 2)]);
    shop.ticks(TIMEOUTS.validation_ticks);
    shop.passes("o-1", "jumper");
    shop.unsuspicious("o-1");
    shop.ticks(TIMEOUTS.payment_ticks);
    shop.authorised("o-1");
    shop.driver.commit().unwrap();

    assert_eq!(shop.events(), ["o-1 1 CREATED", "o-1 2 VALIDATED", "o-1 3 PAID"]);
}

#[test]
fn what_comes_after_the_end_changes_no_order_and_what_it_took_is_given_back() {
    let mut shop = Shop::open();
    shop.place("o-1", &[("jumper", 2)]);
    shop.sold_out("o-1", "jumper");
    shop.driver.commit().unwrap();
    let before = shop.order("o-1");
    shop.forget_outputs();

    shop.passes("o-1", "jumper");
    shop.unsuspicious("o-1");
    shop.authorised("o-1");
    shop.cancel("o-1");
    shop.ship("o-1");
    shop.ticks(TIMEOUTS.validation_ticks + 1);

    assert_eq!(shop.events(), [""; 0]);
    assert_eq!(shop.lines(), ["jumper: o-1 2 released"]);
    assert_eq!(shop.events_by_customer(), ["c-1: o-1 2 FAILED"]);
    assert_eq!(shop.order("o-1"), before);
}

#[test]
fn a_verdict_counts_once() {
    let mut shop = Shop::open();
    shop.place("o-1", &[("jumper", 2), ("mug", 1)]);
    for _ in 0..2 {
        shop.passes("o-1", "jumper");
        shop.unsuspicious("o-1");
    }
    shop.passes("o-2", "jumper");
    shop.driver.commit().unwrap();

    assert_eq!(shop.events(), ["o-1 1 CREATED"]);
}

#[test]
fn an_order_that_is_placed_again_stays_as_it_is() {
    let mut shop = Shop::open();
    shop.validated("o-1");
    let before = shop.driver.entries(&ORDERS).unwrap();

    shop.place("o-1", &[("jumper", 2)]);
    shop.place("o-1", &[("mug", 7)]);
    shop.driver.commit().unwrap();

    assert_eq!(shop.events(), [""; 0]);
    assert_eq!(shop.driver.entries(&ORDERS).unwrap(), before);
}

#[test]
fn an_order_can_be_cancelled_until_it_is_shipped() {
    let mut shop = Shop::open();
    shop.place("o-1", &[("jumper", 2)]);
    shop.cancel("o-1");
    shop.cancel("o-1");
    shop.driver.commit().unwrap();
    assert_eq!(shop.events(), ["o-1 1 CREATED", "o-1 2 CANCELLED"]);
    assert_eq!(shop.events_by_customer()[1..], ["c-1: o-1 2 CANCELLED"]);
    assert_eq!(shop.lines(), ["jumper: o-1 2 placed", "jumper: o-1 2 released"]);
    assert_eq!(shop.driver.entries(&DEADLINES).unwrap(), []);

    shop.validated("o-2");
    shop.authorised("o-2");
    shop.cancel("o-2");
    shop.driver.commit().unwrap();
    assert_eq!(shop.events(), ["o-2 3 PAID", "o-2 4 CANCELLED"]);
    assert_eq!(shop.lines(), ["jumper: o-2 2 released"]);
}

#[test]
fn an_order_is_shipped_once_and_only_when_paid() {
    let mut shop = Shop::open();
    shop.validated("o-1");
    shop.ship("o-1");
    shop.driver.commit().unwrap();
    assert_eq!(shop.events(), [""; 0]);

    shop.authorised("o-1");
    shop.ship("o-1");
    shop.ship("o-1");
    shop.cancel("o-1");
    shop.driver.commit().unwrap();

    assert_eq!(shop.events(), ["o-1 3 PAID", "o-1 4 SHIPPED"]);
    assert_eq!(shop.lines(), ["jumper: o-1 2 shipped"]);
}

#[test]
fn a_request_about_an_unknown_order_changes_nothing() {
    let mut shop = Shop::open();
    shop.cancel("o-1");
    shop.ship("o-1");
    shop.authorised("o-1");
    shop.driver.commit().unwrap();

    assert_eq!(shop.events(), [""; 0]);
    assert_eq!(shop.driver.entries(&ORDERS).unwrap(), []);
}

#[test]
fn orders_of_all_partitions_settle_and_time_out_on_their_own() {
    let mut shop = Shop::open();
    let ids: Vec<String> = (0..20).map(|number| format!("o-{number}")).collect();
    for id in &ids {
        shop.place(id, &[("jumper", 1)]);
    }
    for id in &ids[..10] {
        shop.passes(id, "jumper");
        shop.unsuspicious(id);
        shop.authorised(id);
    }
    shop.ticks(TIMEOUTS.validation_ticks + 1);

    let in_state = |shop: &Shop, state: &str| {
        ids.iter().filter(|id| shop.order(id).state.as_str() == state).count()
    };
    assert_eq!((in_state(&shop, "PAID"), in_state(&shop, "FAILED")), (10, 10));
    assert_eq!(shop.driver.entries(&PENDING).unwrap(), []);
    let partitions: BTreeSet<Partition> = shop
        .driver
        .read_raw_output(ORDER_EVENTS.name())
        .iter()
        .map(|record| record.source.partition)
        .collect();
    assert_eq!(partitions.len(), PARTITIONS as usize);
}

#[test]
fn the_same_inputs_give_the_same_bytes_however_they_are_cut() {
    let run = |commit_each: bool| {
        let mut shop = Shop::open();
        shop.commit_each = commit_each;
        for id in ["o-1", "o-2", "o-3", "o-4"] {
            shop.place(id, &[("jumper", 2), ("mug", 1)]);
            shop.passes(id, "mug");
        }
        shop.place("o-5", &[("yacht", 1)]);
        shop.passes("o-1", "jumper");
        shop.unsuspicious("o-1");
        shop.sold_out("o-2", "jumper");
        shop.authorised("o-1");
        shop.cancel("o-3");
        shop.ship("o-1");
        shop.ticks(TIMEOUTS.validation_ticks + 1);
        let outputs = [ORDER_EVENTS.name(), ORDERS_BY_CUSTOMER.name(), ORDER_LINES.name()]
            .map(|topic| shop.bytes_of(topic));
        (outputs, shop.driver.entries(&ORDERS).unwrap())
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn an_undecodable_request_becomes_a_dead_letter_and_orders_go_on() {
    let mut shop = Shop::open();
    let mut headers = Headers::default();
    headers.add(streams::cloud_event::TYPE, "PlaceOrder");
    shop.driver.pipe(ProducedRecord {
        destination: TopicPartition::new(ORDER_REQUESTS.name(), Partition(1)),
        timestamp: shop.now,
        key: Some(Bytes::from_static(b"o-1")),
        value: Some(Bytes::from_static(b"{}")),
        headers,
    });
    shop.place("o-2", &[("jumper", 1)]);
    shop.driver.commit().unwrap();

    let letters = shop.driver.read_raw_output(DEAD_LETTERS);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].value.as_deref(), Some(b"{}".as_slice()));
    assert_eq!(letters[0].headers.get_str(dead_letter::TOPIC), Some("order-requests"));
    assert_eq!(shop.events(), ["o-2 1 CREATED"]);
}

#[test]
fn the_topology_describes_itself() {
    assert_eq!(
        topology(TIMEOUTS).unwrap().describe(),
        "Topology: orders-service
  table customers
  table products
  requests order-requests -> take-request
    stores: orders, pending, deadlines
    joins: customers, products
    to: orders, orders-by-customer, order-lines
  stream order-validations -> take-validation
    stores: orders, pending, deadlines
    to: orders, orders-by-customer, order-lines
  stream payments -> take-payment
    stores: orders, pending, deadlines
    to: orders, orders-by-customer, order-lines
  tick while deadlines has entries -> expire
    stores: deadlines, orders, pending
    to: orders, orders-by-customer, order-lines
"
    );
}
