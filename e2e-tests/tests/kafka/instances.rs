//! Several instances of a service are one service.

use std::time::Duration;

use chaos::cluster::Instance;
use e2e_tests::routes::Service;
use fastrand::Rng;
use hyper::Method;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::stage::{Stage, ask, expect, get};

/// So many orders lie on all partitions.
const ORDERS: u32 = 24;
/// From the kill of an owner on, all that it owned is answered within this time: 6 s until the
/// broker notices, and what the others take to go on.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(10);

const fn orders(number: u32) -> Instance {
    Instance { service: Service::Orders, number }
}

/// Places orders through one instance and gives what it answered.
async fn place(stage: &mut Stage, instance: u32, numbers: std::ops::Range<u32>) -> Vec<Value> {
    let target = stage.target(Service::Orders, instance);
    let mut placed = Vec::new();
    for number in numbers {
        let answer = ask(&target, Method::POST, "/v1/orders", &stage.order(number)).await.unwrap();
        placed.push(expect(&answer, 201));
    }
    placed
}

async fn settled(stage: &mut Stage, instance: u32, number: u32) -> Value {
    let target = stage.target(Service::Orders, instance);
    let path = format!("/v1/orders/{}?until=SETTLED&timeout=30s", stage.order_id(number));
    expect(&get(&target, &path).await, 200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_placed_through_one_instance_is_answered_by_the_other() {
    let Some(mut stage) = Stage::find().await else { return };
    stage.cluster.start_each(1).await.unwrap();
    stage.cluster.start(&[orders(1)]).await.unwrap();
    let crowd = stage.crowd().await;

    place(&mut stage, 0, 0..ORDERS / 2).await;
    place(&mut stage, 1, ORDERS / 2..ORDERS).await;

    for number in 0..ORDERS {
        let other = u32::from(number < ORDERS / 2);
        let order = settled(&mut stage, other, number).await;
        assert_eq!(order["state"], "PAID", "{order}");
        assert_eq!(settled(&mut stage, 1 - other, number).await, order);
    }
    stage.finish(crowd).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_two_instances_of_each_loses_nothing_under_load() {
    let Some(mut stage) = Stage::find().await else { return };
    stage.cluster.start_each(2).await.unwrap();
    let mut crowd = stage.crowd().await;
    crowd.enter(8, &mut Rng::with_seed(1));

    for service in Service::ALL {
        for number in 0..2 {
            let instance = Instance { service, number };
            stage.cluster.end(instance).await.unwrap();
            stage.cluster.start(&[instance]).await.unwrap();
        }
    }

    let outcome = stage.finish(crowd).await;
    assert!(outcome.orders_answered > 0, "{outcome}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_owner_had_is_answered_by_the_other_soon() {
    let Some(mut stage) = Stage::find().await else { return };
    stage.cluster.start_each(1).await.unwrap();
    stage.cluster.start(&[orders(1)]).await.unwrap();
    let mut crowd = stage.crowd().await;
    place(&mut stage, 0, 0..ORDERS).await;
    let mut before = Vec::new();
    for number in 0..ORDERS {
        before.push(settled(&mut stage, 0, number).await);
    }
    crowd.enter(4, &mut Rng::with_seed(2));

    let killed = Instant::now();
    stage.cluster.kill(orders(0)).await.unwrap();

    for (number, order) in (0..ORDERS).zip(before) {
        assert_eq!(answered(&mut stage, number).await, order);
    }
    let taken = killed.elapsed();
    assert!(taken <= TAKEN_OVER_WITHIN, "{taken:?}");
    stage.finish(crowd).await;
}

/// What the instance that is left answers in the end.
async fn answered(stage: &mut Stage, number: u32) -> Value {
    let target = stage.target(Service::Orders, 1);
    let path = format!("/v1/orders/{}", stage.order_id(number));
    loop {
        let answer = get(&target, &path).await;
        if answer.status != 503 {
            return expect(&answer, 200);
        }
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_directory_that_is_lost_is_restored_from_the_broker() {
    let Some(mut stage) = Stage::find().await else { return };
    stage.cluster.start_each(1).await.unwrap();
    let crowd = stage.crowd().await;
    place(&mut stage, 0, 0..ORDERS).await;
    for number in 0..ORDERS {
        settled(&mut stage, 0, number).await;
    }
    let before = seen(&mut stage).await;
    stage.cluster.end_all().await.unwrap();

    for service in Service::ALL {
        stage.cluster.lose_state(Instance { service, number: 0 }).unwrap();
    }
    stage.cluster.start_each(1).await.unwrap();

    assert_eq!(seen(&mut stage).await, before);
    let again = place_again(&mut stage).await;
    assert_eq!(again["state"], "PAID");
    stage.finish(crowd).await;
}

/// An order, the stock of its product and the account of its customer, for all orders.
async fn seen(stage: &mut Stage) -> Vec<Value> {
    let prefix = stage.prefix.clone();
    let mut seen = Vec::new();
    for number in 0..ORDERS {
        for (service, path) in [
            (Service::Orders, format!("/v1/orders/{}", stage.order_id(number))),
            (Service::Inventory, format!("/v1/products/{prefix}p{}/stock", number % 12)),
            (Service::Payments, format!("/v1/customers/{prefix}c{}/account", number % 60)),
        ] {
            let target = stage.target(service, 0);
            seen.push(expect(&get(&target, &path).await, 200));
        }
    }
    seen
}

/// The answer to an order that is there already.
async fn place_again(stage: &mut Stage) -> Value {
    let target = stage.target(Service::Orders, 0);
    let answer = ask(&target, Method::POST, "/v1/orders", &stage.order(0)).await.unwrap();
    expect(&answer, 200)
}
