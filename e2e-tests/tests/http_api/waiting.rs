//! Waiting for an order to come so far.

use std::time::Duration;

use crate::test_app::TestApp;
use serde_json::{Value, json};
use tokio::time::Instant;

async fn state_until(app: &TestApp, query: &str) -> Value {
    app.get(&format!("/v1/orders/o-1{query}")).await.expect(200)["state"].take()
}

#[tokio::test]
async fn a_wait_ends_at_once_where_the_order_is_past_it_or_cannot_reach_it() {
    let app = TestApp::shop().await;

    for query in
        ["?until=CREATED", "?until=VALIDATED", "?until=PAID", "?until=FAILED", "?until=SETTLED"]
    {
        assert_eq!(state_until(&app, query).await, "PAID", "{query}");
    }
    assert_eq!(state_until(&app, "/validated").await, "PAID");
    assert_eq!(state_until(&app, "/validated?timeout=5s").await, "PAID");
    app.post("/v1/orders/o-1/cancel", &json!({})).await.expect(200);
    assert_eq!(state_until(&app, "?until=SHIPPED").await, "CANCELLED");
}

#[tokio::test]
async fn any_number_of_readers_wait_for_one_order() {
    let app = TestApp::start_alone().await.filled().await;
    let waiting = async {
        let one = state_until(&app, "?until=SHIPPED&timeout=30s");
        let two = state_until(&app, "?until=SHIPPED&timeout=30s");
        let three = state_until(&app, "?until=CANCELLED&timeout=30s");
        tokio::join!(one, two, three)
    };
    // The order is shipped only when all three wait.
    let shipping = async {
        loop {
            let metrics = String::from_utf8(app.get("/metrics").await.body.to_vec()).unwrap();
            if metrics.contains("\nhttp_requests_waiting 3\n") {
                break;
            }
        }
        app.post("/v1/orders/o-1/ship", &json!({})).await.expect(200);
    };

    let (states, ()) = tokio::join!(waiting, shipping);

    let shipped = || json!("SHIPPED");
    assert_eq!(states, (shipped(), shipped(), shipped()));
}

#[tokio::test]
async fn a_wait_that_runs_out_tells_the_order_so_far() {
    let app = TestApp::shop().await;

    for (timeout, milliseconds) in [("50", 50), ("60ms", 60), ("0", 0)] {
        let started = Instant::now();
        let path = format!("/v1/orders/o-1?until=SHIPPED&timeout={timeout}");
        let answer = app.get(&path).await;
        assert_eq!(answer.problem(504), "WAIT_TIMED_OUT");
        assert_eq!(answer.json()["order"], app.get("/v1/orders/o-1").await.expect(200));
        // The clock of the system is one of whole milliseconds.
        let waited = started.elapsed() + Duration::from_millis(1);
        assert!(waited >= Duration::from_millis(milliseconds), "{timeout}");
    }
}

#[tokio::test]
async fn what_cannot_be_waited_for_is_refused() {
    let app = TestApp::shop().await;

    for (query, parameter) in [
        ("?until=DONE", "until"),
        ("?until=paid", "until"),
        ("?until=", "until"),
        ("?until=PAID&timeout=61s", "timeout"),
        ("?until=PAID&timeout=soon", "timeout"),
        ("?until=PAID&until=PAID", "until"),
        ("?wait=5", "wait"),
        ("/validated?until=PAID", "until"),
        ("/validated?timeout=60001", "timeout"),
    ] {
        let answer = app.get(&format!("/v1/orders/o-1{query}")).await;
        assert_eq!(answer.violations(), [parameter], "{query}");
    }
}
