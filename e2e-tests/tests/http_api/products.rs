//! The catalogue and its stock.

use crate::test_app::{Answer, TestApp};
use serde_json::{Value, json};

fn product(name: &str, amount: &str) -> Value {
    json!({"name": name, "price": {"amount": amount, "currency": "GBP"}})
}

async fn adjust(app: &TestApp, product: &str, body: Value) -> Answer {
    app.post(&format!("/v1/products/{product}/stock-adjustments"), &body).await
}

#[tokio::test]
async fn a_product_is_created_replaced_and_read() {
    let app = TestApp::start().await;

    app.put("/v1/products/jumper", &product("Jumper", "12.9")).await.expect(201);
    let replaced = app.put("/v1/products/jumper", &product("Pulôver", "13")).await.expect(200);

    let expected = json!({
        "productId": "jumper", "name": "Pulôver", "price": {"amount": "13.00", "currency": "GBP"},
    });
    assert_eq!(replaced, expected);
    assert_eq!(app.get("/v1/products/jumper").await.expect(200), expected);
    for path in ["/v1/products/sock", "/v1/products/sock/stock", "/v1/products/a%20b"] {
        assert_eq!(app.get(path).await.problem(404), "NOT_FOUND", "{path}");
    }
}

#[tokio::test]
async fn a_product_with_faults_is_told_all_of_them() {
    let app = TestApp::start().await;
    let bad = json!({"name": " ", "price": {"amount": "1.234", "currency": "GBP"}});

    let answer = app.put("/v1/products/jumper", &bad).await;
    assert_eq!(answer.violations(), ["/name", "/price/amount"]);
    let answer = app.put("/v1/products/a%20b", &product("Jumper", "1")).await;
    assert_eq!(answer.violations(), ["id"]);
    for (amount, currency, pointer) in [
        ("-1", "GBP", "/price/amount"),
        ("", "GBP", "/price/amount"),
        ("1e3", "GBP", "/price/amount"),
        ("1", "gbp", "/price/currency"),
        ("1", "XYZ", "/price/currency"),
        ("0.5", "JPY", "/price/amount"),
        ("1000000000000000", "GBP", "/price/amount"),
    ] {
        let body = json!({"name": "n", "price": {"amount": amount, "currency": currency}});
        let answer = app.put("/v1/products/jumper", &body).await;
        assert_eq!(answer.violations(), [pointer], "{body}");
    }
    assert_eq!(app.requests_written().await, 0);
}

#[tokio::test]
async fn the_catalogue_is_read_page_by_page_in_order_of_id() {
    let app = TestApp::start_alone().await;
    for id in ["b", "a", "c:2", "c", "a-1"] {
        app.put(&format!("/v1/products/{id}"), &product(id, "1")).await.expect(201);
    }
    let mut pages = Vec::new();
    let mut path = "/v1/products?limit=2".to_owned();
    loop {
        let page = app.get(&path).await.expect(200);
        let names = |page: &Value| -> Vec<String> {
            let products = page["products"].as_array().unwrap();
            products.iter().map(|product| product["name"].as_str().unwrap().to_owned()).collect()
        };
        pages.push(names(&page));
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        path = format!("/v1/products?limit=2&cursor={cursor}");
    }

    assert_eq!(pages, [vec!["a", "a-1"], vec!["b", "c"], vec!["c:2"]]);
    assert_eq!(app.get("/v1/products").await.expect(200)["products"].as_array().unwrap().len(), 5);
    for query in ["limit=0", "limit=201", "limit=x", "cursor=a%20b", "page=2"] {
        let name = query.split('=').next().unwrap();
        let answer = app.get(&format!("/v1/products?{query}")).await;
        assert_eq!(answer.violations(), [name], "{query}");
    }
}

#[tokio::test]
async fn stock_comes_and_goes_by_adjustments_each_of_which_counts_once() {
    let app = TestApp::start().await;
    app.put("/v1/products/jumper", &product("Jumper", "1")).await.expect(201);
    let delivery = json!({"id": "a-1", "delta": 10});

    let level = adjust(&app, "jumper", delivery.clone()).await.expect(201);
    let expected = json!({"productId": "jumper", "onHand": 10, "reserved": 0, "available": 10});
    assert_eq!(level, expected);
    assert_eq!(adjust(&app, "jumper", delivery).await.expect(200), expected);
    let other = adjust(&app, "jumper", json!({"id": "a-1", "delta": 9})).await;
    assert_eq!(other.problem(409), "ADJUSTMENT_ID_TAKEN");

    assert_eq!(adjust(&app, "jumper", json!({"delta": -4})).await.expect(201)["onHand"], 6);
    assert_eq!(adjust(&app, "jumper", json!({"delta": -4})).await.expect(201)["onHand"], 2);
    let level = app.get("/v1/products/jumper/stock").await.expect(200);
    assert_eq!(level, json!({"productId": "jumper", "onHand": 2, "reserved": 0, "available": 2}));
}

#[tokio::test]
async fn an_adjustment_that_cannot_be_made_changes_and_writes_nothing() {
    let app = TestApp::start().await;
    app.stock("jumper", "1.00", 5).await;
    app.credit("c-1", "100.00").await;
    app.settle("o-1", "c-1", "jumper", 3).await;
    let before = app.requests_written().await;

    let below = adjust(&app, "jumper", json!({"delta": -3})).await;
    assert_eq!(below.problem(409), "BELOW_RESERVED");
    let too_many = adjust(&app, "jumper", json!({"delta": i64::MAX})).await;
    assert_eq!(too_many.problem(409), "TOO_MUCH_STOCK");
    assert_eq!(adjust(&app, "sock", json!({"delta": 1})).await.problem(404), "NOT_FOUND");
    assert_eq!(adjust(&app, "a%20b", json!({"delta": 1})).await.problem(404), "NOT_FOUND");
    for (body, place) in [
        (json!({"id": "a b", "delta": 1}), "/id"),
        (json!({"delta": 1.5}), "/delta"),
        (json!({"delta": "1"}), "/delta"),
        (json!({"delta": 1e30}), "/delta"),
        (json!({}), ""),
    ] {
        assert_eq!(adjust(&app, "jumper", body.clone()).await.violations(), [place], "{body}");
    }

    assert_eq!(app.requests_written().await, before);
    let level = app.get("/v1/products/jumper/stock").await.expect(200);
    assert_eq!(level, json!({"productId": "jumper", "onHand": 5, "reserved": 3, "available": 2}));
}
