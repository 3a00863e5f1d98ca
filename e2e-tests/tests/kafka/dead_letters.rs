//! What cannot be read, on a broker.

use e2e_tests::routes::Service;
use eventlog::RequestLog;
use events::ids::OrderId;
use events::topics::ORDER_REQUESTS;
use hyper::Method;
use serde_json::Value;
use streams::{Headers, Key, ProducedRecord, Timestamp, TopicPartition, partition_for_key};

use crate::stage::{Stage, ask, expect, get};
use chaos::cluster::PARTITIONS;

/// A request for this order that nobody can read.
fn unreadable(order: &str) -> ProducedRecord {
    let key = order.parse::<OrderId>().unwrap().encode();
    let partition = partition_for_key(&key, PARTITIONS);
    ProducedRecord {
        destination: TopicPartition::new(ORDER_REQUESTS.name(), partition),
        timestamp: Timestamp::from_millis(1_767_225_600_000),
        key: Some(key),
        value: Some("no request".into()),
        headers: Headers::default(),
    }
}

/// The dead letters of this order.
async fn letters(stage: &mut Stage, order: &str) -> Vec<Value> {
    let target = stage.target(Service::Orders, 0);
    let page = expect(&get(&target, "/v1/dead-letters?limit=200").await, 200);
    let all = page["deadLetters"].as_array().unwrap();
    all.iter().filter(|letter| letter["key"] == order).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_told_put_back_once_and_holds_nobody_up() {
    // Given a request that nobody can read, before one of the same order
    let Some(mut stage) = Stage::find_own().await else { return };
    stage.cluster.start_each(1).await.unwrap();
    let mut crowd = stage.crowd().await;
    let order = stage.order_id(0);
    let log = tokio::task::block_in_place(|| stage.cluster.log()).unwrap();
    log.append(unreadable(&order)).await.unwrap();

    // When that one is placed
    let target = stage.target(Service::Orders, 0);
    let placed = ask(&target, Method::POST, "/v1/orders", &stage.order(0)).await.unwrap();

    // Then it is answered, and the other one lies among the dead letters
    expect(&placed, 201);
    let found = letters(&mut stage, &order).await;
    assert_eq!(found.len(), 1, "{found:?}");
    let letter = &found[0];
    assert_eq!((&letter["topic"], &letter["requeued"]), (&"order-requests".into(), &false.into()));

    // And put back it is taken once, and cannot be read again
    let path = format!("/v1/dead-letters/{}/requeue", letter["id"].as_str().unwrap());
    for _ in 0..2 {
        let answer = ask(&target, Method::POST, &path, &Value::Null).await.unwrap();
        assert!((200..300).contains(&answer.status), "{answer:?}");
    }
    let path = format!("/v1/orders/{order}?until=SETTLED&timeout=30s");
    assert_eq!(expect(&get(&target, &path).await, 200)["state"], "PAID");
    let mut found = letters(&mut stage, &order).await;
    found.sort_by_key(|letter| letter["requeued"] == false);
    let requeued: Vec<_> = found.iter().map(|letter| letter["requeued"] == true).collect();
    assert_eq!(requeued, [true, false], "{found:?}");
    crowd.leave().await.unwrap();
    stage.cluster.end_all().await.unwrap();
}
