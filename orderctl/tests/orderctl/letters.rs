//! Dead letters, shown and put back.

use std::sync::Arc;
use std::time::Duration;

use eventlog::RequestLog;
use events::ids::{OrderId, RequestId};
use events::order_request::{OrderRequest, PlaceOrder, RequestedLine, RequestedOrder};
use events::quantity::Quantity;
use events::stock::OrderLineEvent;
use events::topics::{DEAD_LETTERS, INVENTORY_SERVICE, ORDER_LINES, ORDER_REQUESTS};
use orders_service::order::state::Timeouts;
use serde_json::{Value, json};
use shell::{ServiceHandle, Workers};
use streams::{
    Codec, DecodeError, Encoded, Headers, Partition, ProducedRecord, Timestamp, Topic,
    TopicPartition, Topology, TopologyBuilder,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::app::{App, PARTITIONS};

/// Lines of orders as a version of inventory-service takes them that knows none of today's.
struct OfYesterday;

impl Codec<OrderLineEvent> for OfYesterday {
    fn encode(_: &OrderLineEvent) -> Encoded {
        unreachable!("nobody writes them")
    }

    fn decode(_: Option<&str>, _: &[u8]) -> Result<OrderLineEvent, DecodeError> {
        Err(DecodeError::Malformed("a line of tomorrow".to_owned()))
    }
}

const LINES: Topic<events::ids::ProductId, OrderLineEvent, OfYesterday> =
    Topic::new(ORDER_LINES.name().as_str());

fn inventory_of_yesterday() -> Topology {
    TopologyBuilder::new(INVENTORY_SERVICE, DEAD_LETTERS)
        .stream(&LINES, "take-line", |_, _| Ok(()))
        .build()
        .unwrap()
}

fn place(order: &OrderId, product: &str, number: u128) -> OrderRequest {
    let line = RequestedLine {
        product_id: product.parse().unwrap(),
        quantity: Quantity::new(2).unwrap(),
        unit_price: None,
    };
    let (customer, currency) = ("c-1".parse().unwrap(), "GBP".parse().unwrap());
    let order_of_line = RequestedOrder::new(customer, currency, vec![line]).unwrap();
    OrderRequest::Place(PlaceOrder::new(RequestId::from_u128(number), order.clone(), order_of_line))
}

/// Has the system run for a while with the inventory-service of yesterday, and `o-1` of jumpers and
/// `o-2` of mugs placed meanwhile.
fn run_yesterday(directory: &TempDir) {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let log = quickstart::open_log(directory.path(), PARTITIONS).unwrap();
        let topologies = [
            Arc::new(orders_service::topology(Timeouts::DEFAULT).unwrap()),
            Arc::new(inventory_of_yesterday()),
            Arc::new(fraud_service::topology().unwrap()),
            Arc::new(payments_service::topology().unwrap()),
        ];
        let (services, workers) = Workers::start(log, &topologies, 1).unwrap();
        for (number, (order, product)) in [("o-1", "jumper"), ("o-2", "mug")].iter().enumerate() {
            let order: OrderId = order.parse().unwrap();
            let request = place(&order, product, number as u128);
            services[0].append(&ORDER_REQUESTS, &order, &request, "r").await.unwrap();
        }
        let missing = until_missing(&services[1], 2);
        tokio::time::timeout(Duration::from_secs(20), missing).await.unwrap();
        workers.stop().await.unwrap();
    });
}

async fn until_missing(service: &ServiceHandle, count: usize) {
    while service.health().await.degraded.len() < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn degraded(app: &App) -> Vec<String> {
    let ready = app.get("/readyz");
    let degraded = ready["degraded"].as_array().cloned().unwrap_or_default();
    degraded.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn list(app: &App) -> Vec<Value> {
    let text = app.call(&["dead-letters", "list", "--format", "jsonl"]).with(0);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn reserved(app: &App, product: &str) -> Value {
    app.get(&format!("/v1/products/{product}/stock"))["reserved"].clone()
}

#[test]
fn a_letter_of_our_own_is_put_back_taken_once_and_no_longer_missing() {
    // Given two order lines that inventory-service could not read, of which one's order is over
    let app = App::start();
    app.fill();
    let directory = app.stop();
    run_yesterday(&directory);
    let app = App::start_on(directory);
    app.post("/v1/orders/o-2/cancel");
    let missing = degraded(&app);
    assert_eq!(missing.len(), 2, "{missing:?}");
    assert!(missing[0].starts_with("inventory-service: bad/order-lines/"), "{missing:?}");
    let letters = list(&app);
    assert_eq!(letters.len(), 2);
    for letter in &letters {
        assert_eq!(letter["topic"], "order-lines");
        assert_eq!(letter["requeued"], false);
        assert!(letter["reason"].as_str().unwrap().contains("a line of tomorrow"), "{letter}");
        assert!(letter["key"] == "jumper" || letter["key"] == "mug", "{letter}");
    }

    // When they are put back, and once more
    let requeue = |words: &[&str]| {
        let all = [&["dead-letters", "requeue"], words].concat();
        app.call(&all).with(0)
    };
    assert_eq!(requeue(&["--all"]).matches("is put back").count(), 2);
    assert_eq!(requeue(&["--all"]), "nothing to put back\n");
    for letter in &letters {
        let id = letter["id"].as_str().unwrap();
        assert_eq!(requeue(&[id]), format!("{id} was put back before\n"));
    }

    // Then nothing is missing, the order that waited is paid, and the other one holds nothing
    assert_eq!(app.get("/v1/orders/o-1?until=SETTLED")["state"], "PAID");
    app.until("nothing is missing", || degraded(&app).is_empty());
    app.until("the mugs are free", || reserved(&app, "mug") == json!(0));
    assert_eq!(reserved(&app, "jumper"), 2);
    assert_eq!(app.get("/v1/orders/o-2")["state"], "CANCELLED");
    assert!(list(&app).iter().all(|letter| letter["requeued"] == true));

    // And copies that were not marked, as after a crash between the two, are passed over
    put_unmarked(&app, &letters);
    let order = "id,customerId,currency,productId,quantity\no-3,c-1,GBP,jumper,1\n\
                 o-3,c-1,GBP,mug,1\n";
    app.call_with(&["import", "orders", "-", "--format", "csv"], order).with(0);
    // Its lines come after the copies, in the same partitions.
    assert_eq!(app.get("/v1/orders/o-3?until=SETTLED")["state"], "PAID");
    assert_eq!((reserved(&app, "jumper"), reserved(&app, "mug")), (json!(3), json!(1)));
    assert_eq!(degraded(&app), [""; 0]);
    app.stop();
}

/// Puts letters back as the server does, without the mark.
fn put_unmarked(app: &App, letters: &[Value]) {
    let number = |value: &Value| value.as_u64().unwrap();
    for letter in letters {
        let (partition, offset) = letter["id"].as_str().unwrap().split_once(':').unwrap();
        let letters = TopicPartition::new(DEAD_LETTERS, Partition(partition.parse().unwrap()));
        let offset = streams::Offset(offset.parse().unwrap());
        let partition = Partition(u32::try_from(number(&letter["partition"])).unwrap());
        let source = TopicPartition::new(ORDER_LINES.name(), partition);
        let log = app.running.log();
        app.runtime.block_on(async {
            let record = log.read(letters, offset, 1).await.unwrap().remove(0);
            let first = streams::Offset(number(&letter["offset"]));
            let copy = streams::dead_letter::requeued(&record, source, first);
            log.append(copy).await.unwrap();
        });
    }
}

/// Writes requests that no version can read, to partitions in turn.
fn write_junk(app: &App, count: u32) {
    for number in 0..count {
        let record = ProducedRecord {
            destination: TopicPartition::new(ORDER_REQUESTS.name(), Partition(number % PARTITIONS)),
            timestamp: Timestamp::from_millis(1_767_323_045_678),
            key: None,
            value: Some(bytes::Bytes::from_static(b"\xFF junk")),
            headers: Headers::default(),
        };
        app.runtime.block_on(app.running.log().append(record)).unwrap();
    }
    app.until("all are letters", || list(app).len() == count as usize);
}

#[test]
fn what_still_cannot_be_read_becomes_another_letter() {
    let app = App::start();
    write_junk(&app, 1);
    let text = app.call(&["dead-letters", "list"]).with(0);
    let shown = "0:0  waiting  2026-01-02T03:04:05.678Z  from order-requests partition 0 offset 0  \
                 key -  ";
    assert!(text.starts_with(shown), "{text}");

    app.call(&["dead-letters", "requeue", "0:0"]).with(0);
    app.until("another letter is there", || list(&app).len() == 2);

    let letters = list(&app);
    let told = |letter: &Value| (letter["requeued"].clone(), letter["offset"].clone());
    assert_eq!(told(&letters[0]), (json!(true), json!(0)));
    assert_eq!(told(&letters[1]), (json!(false), json!(1)));
    // A client's mistake is no fault of the system.
    assert_eq!(degraded(&app), [""; 0]);
    app.stop();
}

#[test]
fn letters_of_many_pages_and_partitions_are_shown_once_each() {
    let app = App::start();
    write_junk(&app, 450);

    let mut ids: Vec<String> = list(&app).iter().map(|letter| letter["id"].to_string()).collect();

    assert_eq!(ids.len(), 450);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 450);
    app.stop();
}

#[test]
fn a_letter_that_is_not_there_is_told() {
    let app = App::start();
    write_junk(&app, 1);
    for id in ["0:7", "9:0", "nonsense", ".."] {
        let ended = app.call(&["dead-letters", "requeue", id]);
        assert_eq!(ended.error(), format!("there is no dead letter {id}"));
    }
    app.call(&["dead-letters", "requeue", "0:0"]).with(0);
    app.until("another letter is there", || list(&app).len() == 2);
    // The mark lies among the letters, and is none.
    let mark = if list(&app)[1]["id"] == "0:1" { "0:2" } else { "0:1" };
    let ended = app.call(&["dead-letters", "requeue", mark]);
    assert_eq!(ended.error(), format!("there is no dead letter {mark}"));
    app.stop();
}
