//! What becomes of the services when the broker goes away, and when it comes.

use chaos::cluster::Instance;
use e2e_tests::routes::Service;
use fastrand::Rng;
use hyper::Method;

use crate::stage::{Stage, ask, expect, get};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_are_started_before_the_broker_wait_for_it() {
    let Some(mut stage) = Stage::find_mortal().await else { return };
    stage.broker.kill().unwrap();

    for service in Service::ALL {
        let instance = Instance { service, number: 0 };
        stage.cluster.launch(instance).unwrap();
        stage.cluster.listening(instance).await.unwrap();
        let target = stage.target(service, 0);
        assert_eq!(get(&target, "/healthz").await.status, 200, "{service:?}");
        assert_eq!(get(&target, "/readyz").await.status, 503, "{service:?}");
    }
    stage.broker.start().unwrap();
    for service in Service::ALL {
        stage.cluster.ready(Instance { service, number: 0 }).await.unwrap();
    }

    let crowd = stage.crowd().await;
    let target = stage.target(Service::Orders, 0);
    let placed = ask(&target, Method::POST, "/v1/orders", &stage.order(0)).await.unwrap();
    expect(&placed, 201);
    let path = format!("/v1/orders/{}?until=SETTLED&timeout=30s", stage.order_id(0));
    assert_eq!(expect(&get(&target, &path).await, 200)["state"], "PAID");
    stage.finish(crowd).await;
}

/// On a broker of its own: one that ends under load may lose the ends of transactions (ADR 006).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_end_in_the_middle_of_their_work_although_the_broker_is_away() {
    let Some(mut stage) = Stage::find_own().await else { return };
    stage.cluster.start_each(1).await.unwrap();
    let mut crowd = stage.crowd().await;
    crowd.enter(8, &mut Rng::with_seed(3));
    tokio::task::block_in_place(|| stage.broker.stop()).unwrap();

    stage.cluster.end_all().await.unwrap();
}
