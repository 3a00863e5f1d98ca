//! Bodies that are not what they should be: refused, and nothing is written.

use crate::test_app::{Answer, TestApp, order_body};
use bytes::Bytes;
use hyper::Request;
use serde_json::{Value, json};

const LARGEST_BYTES: usize = 256 * 1024;

async fn post_bytes(app: &TestApp, content_type: &str, body: impl Into<Bytes>) -> Answer {
    let request = Request::post("/v1/orders").header("content-type", content_type);
    app.send(request.body(body.into()).unwrap()).await
}

fn order() -> Value {
    order_body("o-1", "c-1", "jumper", 1)
}

#[tokio::test]
async fn a_body_that_is_no_json_is_refused() {
    let app = TestApp::start_alone().await;

    for body in [&b""[..], b"{", b"{}}", b"{\"id\": \"\xff\"}", b"id=o-1", b"{\"id\": 'o-1'}"] {
        let answer = post_bytes(&app, "application/json", body).await;
        assert_eq!(answer.problem(400), "NOT_JSON", "{body:?}");
    }
    assert_eq!(app.requests_written().await, 0);
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let app = TestApp::start_alone().await;

    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""] {
        let answer = post_bytes(&app, content_type, order().to_string()).await;
        assert_eq!(answer.problem(415), "UNSUPPORTED_MEDIA_TYPE", "{content_type}");
    }
    assert_eq!(app.requests_written().await, 0);
}

#[tokio::test]
async fn a_body_may_have_256_kib_and_no_more() {
    let app = TestApp::start_alone().await;
    let mut body = order().to_string();
    body.push_str(&" ".repeat(LARGEST_BYTES - body.len()));

    let too_large = post_bytes(&app, "application/json", body.clone() + " ").await;
    assert_eq!(too_large.problem(413), "BODY_TOO_LARGE");
    assert_eq!(app.requests_written().await, 0);
    post_bytes(&app, "application/json", body).await.expect(201);
}

/// The order with one value in another way.
fn order_with(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = order();
    change(&mut body);
    body
}

#[tokio::test]
async fn every_field_that_is_wrong_is_told_with_its_place() {
    let app = TestApp::start_alone().await;
    let lines = |lines: Value| order_with(|order| order["lines"] = lines);
    let line = |line: Value| lines(json!([line]));
    let many: Vec<Value> =
        (0..101).map(|number| json!({"productId": format!("p{number}"), "quantity": 1})).collect();
    let half = json!("500000000000000");
    for (body, place) in [
        (json!([]), ""),
        (json!({}), ""),
        (order_with(|order| order["id"] = json!("a b")), "/id"),
        (order_with(|order| order["id"] = json!("x".repeat(65))), "/id"),
        (order_with(|order| order["id"] = json!("..")), "/id"),
        (order_with(|order| order["id"] = json!(7)), "/id"),
        (order_with(|order| order["customerId"] = json!("")), "/customerId"),
        (order_with(|order| order["currency"] = json!("pounds")), "/currency"),
        (order_with(|order| order["state"] = json!("PAID")), "/state"),
        (lines(json!([])), "/lines"),
        (lines(json!({})), "/lines"),
        (lines(json!(many)), "/lines"),
        (lines(json!([["jumper", 1]])), "/lines/0"),
        (line(json!({"productId": "é", "quantity": 1})), "/lines/0/productId"),
        (line(json!({"productId": "a", "quantity": 0})), "/lines/0/quantity"),
        (line(json!({"productId": "a", "quantity": 1_000_001})), "/lines/0/quantity"),
        (line(json!({"productId": "a", "quantity": -1})), "/lines/0/quantity"),
        (line(json!({"productId": "a", "quantity": 1.5})), "/lines/0/quantity"),
        (line(json!({"productId": "a", "quantity": "1"})), "/lines/0/quantity"),
        (line(json!({"productId": "a", "quantity": 1, "price": "1"})), "/lines/0/price"),
        (line(json!({"productId": "a", "quantity": 1, "unitPrice": 1.5})), "/lines/0/unitPrice"),
        (line(json!({"productId": "a", "quantity": 1, "unitPrice": "-1"})), "/lines/0/unitPrice"),
        (
            line(json!({"productId": "a", "quantity": 1, "unitPrice": "0.001"})),
            "/lines/0/unitPrice",
        ),
        (line(json!({"productId": "a", "quantity": 2, "unitPrice": half})), "/lines"),
        (
            lines(json!([
                {"productId": "a", "quantity": 1}, {"productId": "a", "quantity": 2},
            ])),
            "/lines/1/productId",
        ),
    ] {
        assert_eq!(app.post("/v1/orders", &body).await.violations(), [place], "{body}");
    }
    assert_eq!(app.requests_written().await, 0);
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let app = TestApp::start_alone().await;
    let body = json!({
        "id": "a b", "customerId": "", "currency": "XYZ",
        "lines": [
            {"productId": "a b", "quantity": 0, "unitPrice": "x"},
            {"productId": "a", "quantity": 1},
            {"productId": "", "quantity": 1},
        ],
    });

    let answer = app.post("/v1/orders", &body).await;

    let line = ["/lines/0/productId", "/lines/0/quantity", "/lines/0/unitPrice"];
    let order = ["/id", "/customerId", "/currency"];
    assert_eq!(answer.violations(), [&order[..], &line[..], &["/lines/2/productId"]].concat());
}

#[tokio::test]
async fn the_largest_order_is_accepted() {
    let app = TestApp::start().await;
    // There is no other of this id.
    let id = format!("{:x<64}", fastrand::u64(..));
    let lines: Vec<Value> = (0..100)
        .map(|number| {
            let product = format!("{number:-<64}");
            json!({"productId": product, "quantity": 1_000_000, "unitPrice": "9999999.99"})
        })
        .collect();
    let body = json!({"id": id, "customerId": id, "currency": "GBP", "lines": lines});

    let order = app.post("/v1/orders", &body).await.expect(201);

    assert_eq!(order["failures"].as_array().unwrap().len(), 101);
    assert_eq!(order["lines"].as_array().unwrap().len(), 100);
}
