//! Customers, their accounts, and payments.

use crate::test_app::{Answer, TestApp, customer_body};
use serde_json::{Value, json};

async fn deposit(app: &TestApp, customer: &str, body: Value) -> Answer {
    app.post(&format!("/v1/customers/{customer}/deposits"), &body).await
}

/// A customer with a limit of 100 and a paid order of 60.
async fn customer_with_order() -> TestApp {
    let app = TestApp::start().await;
    app.stock("jumper", "20.00", 10).await;
    app.credit("c-1", "100.00").await;
    assert_eq!(app.settle("o-1", "c-1", "jumper", 3).await["state"], "PAID");
    app
}

#[tokio::test]
async fn a_customer_is_created_replaced_and_read() {
    let app = TestApp::start().await;

    app.put("/v1/customers/c-1", &customer_body("100")).await.expect(201);
    let mut body = customer_body("50.5");
    body["lastName"] = json!("Šimůnková");
    body["level"] = json!("SILVER");
    let customer = app.put("/v1/customers/c-1", &body).await.expect(200);

    assert_eq!(
        customer,
        json!({
            "customerId": "c-1", "firstName": "Ada", "lastName": "Šimůnková",
            "email": "ada@example.com", "address": "12 St James's Square\nLondon",
            "level": "SILVER", "currency": "GBP",
        })
    );
    assert_eq!(app.get("/v1/customers/c-1").await.expect(200), customer);
    let account = app.get("/v1/customers/c-1/account").await.expect(200);
    assert_eq!(account["limit"], "50.50");
    for path in ["/v1/customers/c-2", "/v1/customers/c-2/account", "/v1/payments/o-1"] {
        assert_eq!(app.get(path).await.problem(404), "NOT_FOUND", "{path}");
    }
}

#[tokio::test]
async fn customers_are_listed() {
    let app = TestApp::start_alone().await;
    app.credit("c-1", "100").await;

    let list = app.get("/v1/customers?limit=1").await.expect(200);

    let customer = app.get("/v1/customers/c-1").await.expect(200);
    assert_eq!(list, json!({"customers": [customer]}));
}

#[tokio::test]
async fn a_customer_with_faults_is_told_all_of_them() {
    let app = TestApp::start().await;
    let body = json!({
        "firstName": "", "lastName": "a\nb", "email": "nowhere", "address": " ", "level": "GREAT",
        "creditLimit": {"amount": "x", "currency": "YYY"},
    });

    let answer = app.put("/v1/customers/c-1", &body).await;

    let pointers = ["/firstName", "/lastName", "/email", "/address", "/level"];
    let limit = ["/creditLimit/amount", "/creditLimit/currency"];
    assert_eq!(answer.violations(), [&pointers[..], &limit[..]].concat());
    let mut number = customer_body("1");
    number["creditLimit"]["amount"] = json!(1);
    let answer = app.put("/v1/customers/c-1", &number).await;
    assert_eq!(answer.violations(), ["/creditLimit/amount"]);
    let answer = app.put("/v1/customers/a%20b", &customer_body("1")).await;
    assert_eq!(answer.violations(), ["id"]);
    assert_eq!(app.requests_written().await, 0);
}

#[tokio::test]
async fn a_limit_below_what_orders_took_and_another_currency_are_refused() {
    let app = customer_with_order().await;
    let before = app.requests_written().await;
    let mut other_currency = customer_body("100");
    other_currency["creditLimit"]["currency"] = json!("EUR");

    let too_low = app.put("/v1/customers/c-1", &customer_body("59.99")).await;
    assert_eq!(too_low.problem(409), "LIMIT_TOO_LOW");
    let fixed = app.put("/v1/customers/c-1", &other_currency).await;
    assert_eq!(fixed.problem(409), "CURRENCY_FIXED");

    assert_eq!(app.requests_written().await, before);
    app.put("/v1/customers/c-1", &customer_body("60.00")).await.expect(200);
    let unused = app.put("/v1/customers/c-2", &customer_body("1")).await;
    unused.expect(201);
    app.put("/v1/customers/c-2", &other_currency).await.expect(200);
}

#[tokio::test]
async fn an_account_shows_what_orders_took_and_deposits_gave() {
    let app = customer_with_order().await;
    let account = async || app.get("/v1/customers/c-1/account").await.expect(200);
    let sums = |deposits: &str, authorised: &str, captured: &str, available: &str| {
        json!({
            "customerId": "c-1", "currency": "GBP", "limit": "100.00", "deposits": deposits,
            "authorised": authorised, "captured": captured, "available": available,
        })
    };
    assert_eq!(account().await, sums("0.00", "60.00", "0.00", "40.00"));
    let payment = |state: &str| {
        let amount = json!({"amount": "60.00", "currency": "GBP"});
        json!({"orderId": "o-1", "customerId": "c-1", "amount": amount, "state": state})
    };
    assert_eq!(app.get("/v1/payments/o-1").await.expect(200), payment("AUTHORISED"));

    let deposited = deposit(&app, "c-1", json!({"amount": "0.5"})).await;
    assert_eq!(deposited.expect(201), sums("0.50", "60.00", "0.00", "40.50"));
    app.post("/v1/orders/o-1/ship", &json!({})).await.expect(200);

    // Another service's view follows: it is read until it has.
    while account().await != sums("0.50", "0.00", "60.00", "40.50") {}
    while app.get("/v1/payments/o-1").await.expect(200) != payment("CAPTURED") {}
}

#[tokio::test]
async fn a_deposit_counts_once() {
    let app = TestApp::start().await;
    app.credit("c-1", "100.00").await;
    let body = json!({"id": "d-1", "amount": "10.00"});

    assert_eq!(deposit(&app, "c-1", body.clone()).await.expect(201)["deposits"], "10.00");
    assert_eq!(deposit(&app, "c-1", body).await.expect(200)["deposits"], "10.00");
    let same = deposit(&app, "c-1", json!({"id": "d-1", "amount": "10"})).await;
    assert_eq!(same.expect(200)["deposits"], "10.00");
    let other = deposit(&app, "c-1", json!({"id": "d-1", "amount": "10.01"})).await;
    assert_eq!(other.problem(409), "DEPOSIT_ID_TAKEN");
    let without_id = deposit(&app, "c-1", json!({"amount": "1"})).await;
    assert_eq!(without_id.expect(201)["deposits"], "11.00");
}

#[tokio::test]
async fn a_deposit_that_cannot_be_made_changes_and_writes_nothing() {
    let app = TestApp::start().await;
    app.credit("c-1", "100.00").await;
    let before = app.requests_written().await;

    for (body, place) in [
        (json!({"amount": "0"}), "/amount"),
        (json!({"amount": "0.001"}), "/amount"),
        (json!({"amount": "-1"}), "/amount"),
        (json!({"amount": 1}), "/amount"),
        (json!({"id": "", "amount": "1"}), "/id"),
        (json!({"amount": "1", "currency": "GBP"}), "/currency"),
    ] {
        assert_eq!(deposit(&app, "c-1", body.clone()).await.violations(), [place], "{body}");
    }
    let too_much = deposit(&app, "c-1", json!({"amount": "999999999999999.99"})).await;
    assert_eq!(too_much.problem(409), "TOO_MUCH_MONEY");
    assert_eq!(deposit(&app, "c-9", json!({"amount": "1"})).await.problem(404), "NOT_FOUND");
    assert_eq!(app.requests_written().await, before);
}
