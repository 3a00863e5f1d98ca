//! What orders were and which there are: histories, versions, lists and streams.

use crate::test_app::{Answer, TestApp, order_body};
use bytes::Bytes;
use hyper::Request;
use serde_json::{Value, json};

/// The messages of a stream that has ended, each as what happened, its id and its data.
fn messages(answer: &Answer) -> Vec<(String, String, Value)> {
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    let field = |message: &str, name: &str| {
        let field = message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        field.map(str::to_owned)
    };
    let message = |message: &str| {
        let data = serde_json::from_str(&field(message, "data")?).unwrap();
        Some((field(message, "event")?, field(message, "id")?, data))
    };
    text.split("\n\n").filter_map(message).collect()
}

#[tokio::test]
async fn a_history_has_every_event_and_its_place_as_soon_as_it_has_happened() {
    let app = TestApp::shop().await;
    for _ in 0..10 {
        app.post("/v1/orders/o-1/ship", &json!({})).await.expect(200);

        let history = app.get("/v1/orders/o-1/history").await.expect(200);

        assert_eq!(history["orderId"], "o-1");
        let events = history["events"].as_array().unwrap();
        let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(types, ["OrderCreated", "OrderValidated", "OrderPaid", "OrderShipped"]);
        let mut offset = None;
        for (event, version) in events.iter().zip(1..) {
            assert_eq!((&event["version"], &event["topic"]), (&json!(version), &json!("orders")));
            assert_eq!(event["partition"], events[0]["partition"]);
            assert!(event["offset"].as_u64() > offset, "{event}");
            offset = event["offset"].as_u64();
            assert_eq!(event["time"], event["order"]["updatedAt"]);
            assert_eq!(event["order"]["version"], version);
        }
    }
    assert_eq!(app.get("/v1/orders/never/history").await.problem(404), "NOT_FOUND");
}

#[tokio::test]
async fn a_history_has_what_was_answered_a_moment_ago() {
    let app = TestApp::shop().await;
    for number in 0..50 {
        let id = format!("n-{number}");
        let placed = app.post("/v1/orders", &order_body(&id, "nobody", "jumper", 1)).await;
        let version = placed.expect(201)["version"].as_u64().unwrap();

        let history = app.get(&format!("/v1/orders/{id}/history")).await.expect(200);

        assert!(history["events"].as_array().unwrap().len() as u64 >= version, "{history}");
    }
}

#[tokio::test]
async fn an_order_is_shown_as_it_was_in_each_of_its_versions_and_in_no_other() {
    let app = TestApp::shop().await;
    let now = app.get("/v1/orders/o-1").await.expect(200);

    for (version, state) in (1..).zip(["CREATED", "VALIDATED", "PAID"]) {
        let answer = app.get(&format!("/v1/orders/o-1?version={version}")).await;
        let order = answer.expect(200);
        assert_eq!((&order["state"], &order["version"]), (&json!(state), &json!(version)));
        assert_eq!(answer.header("etag"), Some(&*format!("\"{version}\"")));
        if version == 3 {
            assert_eq!(order, now);
        }
    }
    assert_eq!(app.get("/v1/orders/o-1?version=4").await.problem(404), "NOT_FOUND");
    assert_eq!(app.get("/v1/orders/never?version=1").await.problem(404), "NOT_FOUND");
    for version in ["0", "-1", "x", "1.0"] {
        let answer = app.get(&format!("/v1/orders/o-1?version={version}")).await;
        assert_eq!(answer.violations(), ["version"]);
    }
    let both = app.get("/v1/orders/o-1?version=1&until=PAID").await;
    assert_eq!(both.violations(), ["until"]);
}

#[tokio::test]
async fn the_stream_of_an_order_ends_with_its_last_event_and_is_taken_up_after_any() {
    let app = TestApp::shop().await;
    app.post("/v1/orders/o-1/ship", &json!({})).await.expect(200);

    let answer = app.get("/v1/orders/o-1/events").await;

    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let all = messages(&answer);
    let types: Vec<_> = all.iter().map(|(event, ..)| event.as_str()).collect();
    assert_eq!(types, ["OrderCreated", "OrderValidated", "OrderPaid", "OrderShipped"]);
    let after = |id: &str| {
        let request = Request::get("/v1/orders/o-1/events").header("last-event-id", id);
        app.send(request.body(Bytes::new()).unwrap())
    };
    assert_eq!(messages(&after(&all[1].1).await), all[2..]);
    assert_eq!(after(&all[3].1).await.status.as_u16(), 204);
    assert_eq!(after("x").await.violations(), ["last-event-id"]);
    assert_eq!(app.get("/v1/orders/never/events").await.problem(404), "NOT_FOUND");
}

#[tokio::test]
async fn a_list_shows_orders_as_they_are_and_outlasts_a_restart() {
    let app = TestApp::start_alone().await.filled().await;
    app.settle("o-2", "nobody", "jumper", 1).await;
    let orders =
        [app.get("/v1/orders/o-2").await.expect(200), app.get("/v1/orders/o-1").await.expect(200)];
    // The read model has what a history shows.
    app.get("/v1/orders/o-2/history").await.expect(200);
    app.get("/v1/orders/o-1/history").await.expect(200);

    let app = app.restart().await;

    let list = async |query: &str| loop {
        let answer = app.get(&format!("/v1/orders{query}")).await;
        // It says so until it has looked what it has.
        if answer.status != 503 {
            break answer.expect(200);
        }
        assert_eq!(answer.header("retry-after"), Some("1"));
    };
    assert_eq!(list("").await, json!({ "orders": orders }));
    assert_eq!(list("?customerId=c-1&state=PAID").await, json!({ "orders": [orders[1]] }));
    let first = list("?limit=1").await;
    assert_eq!(first["orders"], json!([orders[0]]));
    let cursor = first["nextCursor"].as_str().unwrap();
    assert_eq!(list(&format!("?cursor={cursor}")).await, json!({ "orders": [orders[1]] }));
    let metrics = app.get("/metrics").await;
    let text = String::from_utf8(metrics.body.to_vec()).unwrap();
    assert!(text.contains("\nread_model_lag_records "), "{text}");
}
