//! Placing, reading, cancelling and shipping orders.

use crate::test_app::{Answer, TestApp, order_body};
use bytes::Bytes;
use hyper::Request;
use serde_json::{Value, json};

/// A shop with 10 jumpers at 12.99 and a customer who can spend 1,000.
async fn shop() -> TestApp {
    filled(TestApp::start().await).await
}

async fn filled(app: TestApp) -> TestApp {
    app.stock("jumper", "12.99", 10).await;
    app.credit("c-1", "1000.00").await;
    app
}

fn two_jumpers() -> Value {
    order_body("o-1", "c-1", "jumper", 2)
}

fn without_id() -> Value {
    let mut body = two_jumpers();
    body.as_object_mut().unwrap().remove("id");
    body
}

async fn post_with(app: &TestApp, headers: &[(&str, &str)], body: &Value) -> Answer {
    let mut request = Request::post("/v1/orders").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.send(request.body(Bytes::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn an_order_is_accepted_with_its_place_and_version_and_readable_at_once() {
    let app = shop().await;

    let answer = app.post("/v1/orders", &two_jumpers()).await;

    let order = answer.expect(201);
    assert_eq!(answer.header("location"), Some("/v1/orders/o-1"));
    assert_eq!(answer.header("etag"), Some(&*format!("\"{}\"", order["version"])));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(order["lines"][0]["unitPrice"], "12.99");
    assert_eq!(order["total"], "25.98");
    let read = app.get("/v1/orders/o-1").await.expect(200);
    assert!(read["version"].as_u64() >= order["version"].as_u64());
}

#[tokio::test]
async fn a_settled_order_shows_all_that_the_api_promises() {
    let app = shop().await;

    let mut order = app.settle("o-1", "c-1", "jumper", 2).await;

    for time in ["placedAt", "updatedAt"] {
        let text = order[time].take();
        assert_eq!(text.as_str().map(str::len), Some("2026-01-02T03:04:05.678Z".len()), "{text}");
    }
    assert_eq!(
        order,
        json!({
            "id": "o-1", "version": 3, "state": "PAID", "customerId": "c-1", "currency": "GBP",
            "lines": [{"productId": "jumper", "quantity": 2, "unitPrice": "12.99"}],
            "total": "25.98",
            "checks": {"ORDER_DETAILS": "PASS", "INVENTORY": "PASS", "FRAUD": "PASS"},
            "failures": [], "placedAt": null, "updatedAt": null,
        })
    );
}

#[tokio::test]
async fn the_same_order_again_is_answered_with_the_order_as_it_is_now() {
    let app = shop().await;
    app.settle("o-1", "c-1", "jumper", 2).await;

    let again = app.post("/v1/orders", &two_jumpers()).await;

    assert_eq!(again.expect(200)["state"], "PAID");
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.header("location"), Some("/v1/orders/o-1"));
    let stock = app.get("/v1/products/jumper/stock").await.expect(200);
    assert_eq!(stock["reserved"], 2);
}

#[tokio::test]
async fn amounts_that_are_written_differently_are_the_same_order() {
    let app = shop().await;
    let with_price = |price: &str| {
        let mut body = two_jumpers();
        body["lines"][0]["unitPrice"] = json!(price);
        body
    };
    app.post("/v1/orders", &with_price("12.99")).await.expect(201);

    app.post("/v1/orders", &with_price("0012.9900")).await.expect(200);
    assert_eq!(app.post("/v1/orders", &two_jumpers()).await.problem(409), "ORDER_ID_TAKEN");
}

#[tokio::test]
async fn another_order_under_the_same_id_is_a_conflict_and_changes_nothing() {
    let app = shop().await;
    let order = app.settle("o-1", "c-1", "jumper", 2).await;

    let other = app.post("/v1/orders", &order_body("o-1", "c-1", "jumper", 3)).await;

    assert_eq!(other.problem(409), "ORDER_ID_TAKEN");
    assert_eq!(app.get("/v1/orders/o-1").await.expect(200), order);
}

#[tokio::test]
async fn an_idempotency_key_gives_the_id_and_the_same_one_each_time() {
    let app = shop().await;
    // The key gives the id: there is no other of it in a system that others use too.
    let [name, another] = ["k-1", "k-2"].map(|name| format!("{name}-{}", fastrand::u64(..)));
    let quoted = format!("\"{name}\"");
    let key = [("idempotency-key", &*quoted)];

    let first = post_with(&app, &key, &without_id()).await.expect(201);
    let again = post_with(&app, &[("idempotency-key", &name)], &without_id()).await;

    assert_eq!(again.expect(200)["id"], first["id"]);
    let mut other = without_id();
    other["lines"][0]["quantity"] = json!(3);
    let reused = post_with(&app, &key, &other).await;
    assert_eq!(reused.problem(422), "IDEMPOTENCY_KEY_REUSED");
    let another_key = post_with(&app, &[("idempotency-key", &another)], &without_id()).await;
    assert_ne!(another_key.expect(201)["id"], first["id"]);
}

#[tokio::test]
async fn a_bad_idempotency_key_and_a_key_beside_an_id_are_refused() {
    let app = shop().await;
    let before = app.requests_written().await;

    let both = post_with(&app, &[("idempotency-key", "k-1")], &two_jumpers()).await;
    assert_eq!(both.violations(), ["Idempotency-Key"]);
    let two = [("idempotency-key", "k-1"), ("idempotency-key", "k-2")];
    for headers in [&two[..], &[("idempotency-key", "")], &[("idempotency-key", "a b")]] {
        let bad = post_with(&app, headers, &without_id()).await;
        assert_eq!(bad.violations(), ["Idempotency-Key"], "{headers:?}");
    }
    assert_eq!(app.requests_written().await, before);
}

#[tokio::test]
async fn an_order_without_an_id_gets_a_uuid_of_version_7() {
    let app = shop().await;

    let first = app.post("/v1/orders", &without_id()).await;
    let second = app.post("/v1/orders", &without_id()).await.expect(201);

    let id = first.expect(201)["id"].as_str().unwrap().to_owned();
    assert_eq!((id.len(), id.as_bytes()[14]), (36, b'7'), "{id}");
    assert_eq!(first.header("location"), Some(&*format!("/v1/orders/{id}")));
    assert_ne!(second["id"], id.as_str());
}

#[tokio::test]
async fn whoever_prefers_not_to_wait_is_told_where_the_order_will_be() {
    let app = shop().await;

    let answer = post_with(&app, &[("prefer", "respond-async")], &without_id()).await;

    let id = answer.expect(202)["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/orders/{id}");
    assert_eq!(answer.header("location"), Some(&*path));
    assert_eq!(answer.header("preference-applied"), Some("respond-async"));
    // A read by id catches up with the log, so the order is there.
    assert_eq!(app.get(&path).await.expect(200)["id"], id.as_str());
}

#[tokio::test]
async fn whoever_prefers_to_wait_gets_the_settled_order() {
    let app = shop().await;

    let answer = post_with(&app, &[("prefer", "wait=5")], &two_jumpers()).await;

    assert_eq!(answer.expect(201)["state"], "PAID");
    assert_eq!(answer.header("preference-applied"), Some("wait=5"));
    assert_eq!(answer.header("etag"), Some("\"3\""));
    let again = post_with(&app, &[("prefer", "wait=5")], &two_jumpers()).await;
    assert_eq!(again.expect(200)["state"], "PAID");
}

#[tokio::test]
async fn whoever_prefers_to_wait_for_no_time_gets_the_order_as_it_is() {
    let app = shop().await;

    for _ in 0..10 {
        let answer = post_with(&app, &[("prefer", "wait=0")], &without_id()).await;

        let id = answer.expect(201)["id"].as_str().unwrap().to_owned();
        assert_eq!(app.get(&format!("/v1/orders/{id}")).await.expect(200)["id"], id.as_str());
    }
}

#[tokio::test]
async fn an_order_of_unknown_things_is_accepted_and_failed_with_every_reason() {
    let app = shop().await;
    let mut body = order_body("o-1", "nobody", "jumper", 1);
    body["currency"] = json!("EUR");
    body["lines"].as_array_mut().unwrap().push(json!({"productId": "nothing", "quantity": 1}));

    let order = app.post("/v1/orders", &body).await.expect(201);

    assert_eq!(order["state"], "FAILED");
    assert_eq!(order["version"], 2);
    assert_eq!(order["total"], Value::Null);
    assert_eq!(order["lines"][1]["unitPrice"], Value::Null);
    assert_eq!(order["checks"]["ORDER_DETAILS"], "FAIL");
    let reasons: Vec<_> = order["failures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failure| (failure["reason"].as_str().unwrap(), failure["productId"].as_str()))
        .collect();
    assert_eq!(
        reasons,
        [
            ("UNKNOWN_CUSTOMER", None),
            ("CURRENCY_MISMATCH", Some("jumper")),
            ("UNKNOWN_PRODUCT", Some("nothing")),
        ]
    );
}

#[tokio::test]
async fn each_check_fails_an_order_for_its_own_reason() {
    let app = shop().await;
    app.stock("diamond", "2000.00", 5).await;
    app.credit("rich", "9000.00").await;
    let mut other_price = two_jumpers();
    other_price["lines"][0]["unitPrice"] = json!("12.98");
    app.post("/v1/orders", &other_price).await.expect(201);
    let price_changed = app.get("/v1/orders/o-1?until=SETTLED").await.expect(200);
    app.credit("poor", "10.00").await;

    for (order, check, reason) in [
        (price_changed, "ORDER_DETAILS", "PRICE_CHANGED"),
        (app.settle("o-2", "c-1", "jumper", 11).await, "INVENTORY", "INSUFFICIENT_STOCK"),
        (app.settle("o-3", "rich", "diamond", 1).await, "FRAUD", "SPENDING_LIMIT"),
        (app.settle("o-4", "poor", "jumper", 1).await, "PAYMENT", "PAYMENT_DECLINED"),
    ] {
        assert_eq!(order["state"], "FAILED", "{order}");
        assert_eq!(order["failures"][0]["check"], check, "{order}");
        assert_eq!(order["failures"][0]["reason"], reason, "{order}");
    }
    // What was reserved for orders that failed later comes free again. Another service's view
    // follows: it is read until it has.
    let free = json!({"productId": "jumper", "onHand": 10, "reserved": 0, "available": 10});
    while app.get("/v1/products/jumper/stock").await.expect(200) != free {}
}

#[tokio::test]
async fn an_order_that_the_client_knows_is_not_sent_again() {
    let app = shop().await;
    app.settle("o-1", "c-1", "jumper", 2).await;
    let get = |tag: &'static str| {
        app.send(
            Request::get("/v1/orders/o-1").header("if-none-match", tag).body(Bytes::new()).unwrap(),
        )
    };

    let known = get("\"3\"").await;
    assert_eq!((known.status.as_u16(), known.header("etag")), (304, Some("\"3\"")));
    assert_eq!(known.body, "");
    assert_eq!(get("\"2\"").await.expect(200)["version"], 3);
}

#[tokio::test]
async fn an_unknown_order_is_certainly_not_found() {
    let app = shop().await;

    for path in ["o-2", "o-2/validated", "o-2?until=PAID", "a%20b", "..%2f", "%ff", "%2e%2e"] {
        let answer = app.get(&format!("/v1/orders/{path}")).await;
        assert_eq!(answer.problem(404), "NOT_FOUND", "{path}");
    }
}

async fn change(app: &TestApp, change: &str) -> Answer {
    app.post(&format!("/v1/orders/o-1/{change}"), &Value::Null).await
}

#[tokio::test]
async fn a_paid_order_is_shipped_once_and_its_stock_and_money_are_gone() {
    let app = shop().await;
    app.settle("o-1", "c-1", "jumper", 2).await;

    let shipped = change(&app, "ship").await;

    assert_eq!(shipped.expect(200)["state"], "SHIPPED");
    assert_eq!(shipped.header("etag"), Some("\"4\""));
    let before = app.requests_written().await;
    assert_eq!(change(&app, "ship").await.expect(200)["version"], 4);
    let refused = change(&app, "cancel").await;
    assert_eq!(refused.problem(409), "STATE_CONFLICT");
    assert_eq!(refused.json()["state"], "SHIPPED");
    assert_eq!(app.requests_written().await, before);
}

#[tokio::test]
async fn a_cancelled_order_gives_back_what_it_held() {
    let app = shop().await;
    app.settle("o-1", "c-1", "jumper", 2).await;

    assert_eq!(change(&app, "cancel").await.expect(200)["state"], "CANCELLED");

    assert_eq!(change(&app, "cancel").await.expect(200)["version"], 4);
    assert_eq!(change(&app, "ship").await.problem(409), "STATE_CONFLICT");
    // An order of all there is takes what was given back.
    assert_eq!(app.settle("o-2", "c-1", "jumper", 10).await["state"], "PAID");
}

#[tokio::test]
async fn an_order_that_is_not_there_is_not_changed() {
    let app = shop().await;
    let before = app.requests_written().await;

    for path in ["o-9/cancel", "o-9/ship", "a%20b/cancel"] {
        let answer = app.post(&format!("/v1/orders/{path}"), &json!({})).await;
        assert_eq!(answer.problem(404), "NOT_FOUND", "{path}");
    }
    assert_eq!(app.requests_written().await, before);
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let app = filled(TestApp::start_alone().await).await;
    let order = app.settle("o-1", "c-1", "jumper", 2).await;
    let paths = [
        "/v1/products/jumper",
        "/v1/products/jumper/stock",
        "/v1/customers/c-1",
        "/v1/customers/c-1/account",
        "/v1/payments/o-1",
        "/v1/products",
        "/v1/customers",
    ];
    let mut before = Vec::new();
    for path in paths {
        before.push(app.get(path).await.expect(200));
    }

    let app = app.restart().await;

    assert_eq!(app.get("/v1/orders/o-1").await.expect(200), order);
    for (path, before) in paths.into_iter().zip(before) {
        assert_eq!(app.get(path).await.expect(200), before, "{path}");
    }
    app.post("/v1/orders", &two_jumpers()).await.expect(200);
    assert_eq!(app.settle("o-2", "c-1", "jumper", 8).await["state"], "PAID");
}
