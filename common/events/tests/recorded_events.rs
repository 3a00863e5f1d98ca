//! The form of events on the log: one recorded file for each type of event and each table.
//!
//! A file that was recorded stays as it is and stays readable. A field that is added later goes
//! into a further file of the same type, and the sample here gets it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use events::money::{Amount, Currency, Money};
use events::order::{
    Check, CheckState, Checks, Failure, Line, Order, OrderEvent, OrderState, OrderTotal, Reason,
    Version,
};
use events::order_request::{
    CancelOrder, OrderRequest, PlaceOrder, RequestedLine, RequestedOrder, ShipOrder,
};
use events::payment::{
    Account, Customer, CustomerRequest, DeclineReason, DeclinedPayment, Deposit, Level, Payment,
    PaymentEvent, PutCustomer,
};
use events::quantity::Quantity;
use events::stock::{
    AdjustStock, OrderLine, OrderLineEvent, Product, ProductRequest, PutProduct, StockLevel,
};
use events::validation::{FraudCheck, InventoryCheck, OrderValidation, Verdict};
use events::{Timestamp, ids::RequestId, rfc3339};
use serde_json::Value;
use streams::{CloudEvents, Codec, DecodeError, Event, Json};

const REQUEST: RequestId = RequestId::from_u128(0x01937c5e_7a2b_7c3d_8e4f_5a6b7c8d9e0f);

fn parsed<T: std::str::FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn pieces(count: u64) -> Quantity {
    Quantity::new(count).unwrap()
}

fn pounds(amount: &str) -> Money {
    Money::new(parsed(amount), parsed("GBP")).unwrap()
}

fn time(text: &str) -> Timestamp {
    rfc3339::parse(text).unwrap()
}

fn order(version: u32, state: OrderState, verdict: CheckState) -> Order {
    let line = |product: &str, count: u64, price: &str| Line {
        product_id: parsed(product),
        quantity: pieces(count),
        unit_price: Some(parsed(price)),
    };
    Order {
        id: parsed("o-1"),
        version: Version(version),
        state,
        customer_id: parsed("c-1"),
        currency: parsed::<Currency>("GBP"),
        lines: vec![line("jumper", 2, "12.99"), line("mug", 1, "8.00")],
        total: Some(parsed::<Amount>("33.98")),
        checks: Checks { order_details: CheckState::Pass, inventory: verdict, fraud: verdict },
        failures: vec![],
        placed_at: time("2026-01-02T03:04:05.678Z"),
        updated_at: time("2026-01-02T03:04:05.690Z"),
    }
}

/// An order with everything that an order may lack, and every kind of failure.
fn failed_order() -> Order {
    let mut order = order(2, OrderState::Failed, CheckState::Pending);
    order.checks.order_details = CheckState::Fail;
    order.lines[1].unit_price = None;
    order.total = None;
    let failure = |product: Option<&str>, check, reason| Failure {
        check,
        product_id: product.map(parsed),
        reason,
        detail: "what people read".to_owned(),
    };
    order.failures = vec![
        failure(None, Check::OrderDetails, Reason::UnknownCustomer),
        failure(None, Check::OrderDetails, Reason::CurrencyMismatch),
        failure(None, Check::OrderDetails, Reason::TotalTooLarge),
        failure(Some("jumper"), Check::OrderDetails, Reason::PriceChanged),
        failure(Some("mug"), Check::OrderDetails, Reason::UnknownProduct),
        failure(Some("mug"), Check::Inventory, Reason::InsufficientStock),
        failure(None, Check::Fraud, Reason::SpendingLimit),
        failure(None, Check::Payment, Reason::PaymentDeclined),
        failure(None, Check::Payment, Reason::Timeout),
    ];
    order
}

fn order_events() -> Vec<OrderEvent> {
    use CheckState::{Pass, Pending};
    vec![
        OrderEvent::Created(order(1, OrderState::Created, Pending)),
        OrderEvent::Validated(order(2, OrderState::Validated, Pass)),
        OrderEvent::Paid(order(3, OrderState::Paid, Pass)),
        OrderEvent::Shipped(order(4, OrderState::Shipped, Pass)),
        OrderEvent::Failed(failed_order()),
        OrderEvent::Cancelled(order(2, OrderState::Cancelled, Pending)),
    ]
}

fn order_requests() -> Vec<OrderRequest> {
    let line = |product: &str, count: u64, unit_price: Option<Amount>| RequestedLine {
        product_id: parsed(product),
        quantity: pieces(count),
        unit_price,
    };
    let lines = vec![line("jumper", 2, Some(parsed("12.99"))), line("mug", 1, None)];
    let order = RequestedOrder::new(parsed("c-1"), parsed("GBP"), lines).unwrap();
    vec![
        OrderRequest::Place(PlaceOrder::new(REQUEST, parsed("o-1"), order)),
        OrderRequest::Cancel(CancelOrder { request_id: REQUEST, order_id: parsed("o-1") }),
        OrderRequest::Ship(ShipOrder { request_id: REQUEST, order_id: parsed("o-1") }),
    ]
}

fn order_line_events() -> Vec<OrderLineEvent> {
    let line = |version: u32| OrderLine {
        order_id: parsed("o-1"),
        version: Version(version),
        product_id: parsed("jumper"),
        quantity: pieces(2),
    };
    vec![
        OrderLineEvent::Placed(line(1)),
        OrderLineEvent::Released(line(2)),
        OrderLineEvent::Shipped(line(4)),
    ]
}

fn product_requests() -> Vec<ProductRequest> {
    vec![
        ProductRequest::Put(PutProduct {
            request_id: REQUEST,
            product_id: parsed("jumper"),
            name: "Jumper".to_owned(),
            price: pounds("12.99"),
        }),
        ProductRequest::AdjustStock(AdjustStock {
            request_id: REQUEST,
            product_id: parsed("jumper"),
            adjustment_id: parsed("a-1"),
            delta: -10,
        }),
    ]
}

fn order_validations() -> Vec<OrderValidation> {
    let detail = "2 asked for, 1 available".to_owned();
    vec![
        OrderValidation::Inventory(InventoryCheck {
            order_id: parsed("o-1"),
            product_id: parsed("jumper"),
            verdict: Verdict::Fail { reason: Reason::InsufficientStock, detail },
        }),
        OrderValidation::Fraud(FraudCheck { order_id: parsed("o-1"), verdict: Verdict::Pass }),
    ]
}

fn payment_events() -> Vec<PaymentEvent> {
    let payment =
        || Payment { order_id: parsed("o-1"), customer_id: parsed("c-1"), amount: pounds("33.98") };
    vec![
        PaymentEvent::Authorised(payment()),
        PaymentEvent::Declined(DeclinedPayment {
            payment: payment(),
            reason: DeclineReason::InsufficientFunds,
            detail: "33.98 asked for, 10.00 available".to_owned(),
        }),
        PaymentEvent::Captured(payment()),
        PaymentEvent::Released(payment()),
    ]
}

fn customer_requests() -> Vec<CustomerRequest> {
    vec![
        CustomerRequest::Put(PutCustomer {
            request_id: REQUEST,
            customer_id: parsed("c-1"),
            first_name: "František".to_owned(),
            last_name: "Wichterlová".to_owned(),
            email: "frantisekw@example.com".to_owned(),
            address: "Klanova 9/506, Prague".to_owned(),
            level: Level::Gold,
            credit_limit: pounds("500"),
        }),
        CustomerRequest::Deposit(Deposit {
            request_id: REQUEST,
            customer_id: parsed("c-1"),
            deposit_id: parsed("d-1"),
            amount: parsed("10.00"),
        }),
    ]
}

fn product() -> Product {
    let product_id = parsed("jumper");
    Product { product_id, name: "Jumper".to_owned(), price: pounds("12.99") }
}

fn stock_level() -> StockLevel {
    StockLevel { product_id: parsed("jumper"), on_hand: 10, reserved: 2 }
}

fn customer() -> Customer {
    Customer {
        customer_id: parsed("c-1"),
        first_name: "František".to_owned(),
        last_name: "Wichterlová".to_owned(),
        email: "frantisekw@example.com".to_owned(),
        address: "Klanova 9/506, Prague".to_owned(),
        level: Level::Gold,
        currency: parsed("GBP"),
    }
}

fn account() -> Account {
    Account {
        customer_id: parsed("c-1"),
        currency: parsed("GBP"),
        limit: parsed("500.00"),
        deposits: parsed("10.00"),
        authorised: parsed("33.98"),
        captured: parsed("0.00"),
        used: true,
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The recorded body of a type of event, or of a table's value.
fn recorded(name: &str) -> Value {
    let path = folder().join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let mut file: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(file["ce_type"].as_str().unwrap_or(name), name);
    file["body"].take()
}

/// The same with a field that nobody knows in every object.
fn from_a_newer_writer(body: Value) -> Value {
    match body {
        Value::Object(fields) => {
            let newer = |(name, value)| (name, from_a_newer_writer(value));
            let unknown = ("addedLater".to_owned(), serde_json::json!({ "deep": [1, null] }));
            Value::Object(fields.into_iter().map(newer).chain([unknown]).collect())
        }
        Value::Array(items) => items.into_iter().map(from_a_newer_writer).collect(),
        value => value,
    }
}

/// Checks what is written today, and what can be read, against the record of that name.
fn assert_as_recorded<C: Codec<T>, T: PartialEq + Debug>(name: &str, sample: &T) {
    let body = recorded(name);
    let encoded = C::encode(sample);
    let written: Value = serde_json::from_slice(&encoded.bytes).unwrap();
    assert_eq!(written, body, "what is written for {name} is not as recorded");

    let read = |body: Value| C::decode(encoded.event_type, body.to_string().as_bytes());
    assert_eq!(read(body.clone()).as_ref(), Ok(sample), "the record of {name} reads differently");
    assert_eq!(read(from_a_newer_writer(body)).as_ref(), Ok(sample), "{name} of a newer writer");
    assert!(matches!(read(Value::from(7)), Err(DecodeError::Malformed(_))), "{name}");
}

fn assert_all_as_recorded<T: Event + PartialEq + Debug>(types: &[&str], samples: &[T]) {
    let sampled: Vec<&str> = samples.iter().map(T::event_type).collect();
    assert_eq!(sampled, types, "one sample for each type of event");
    for sample in samples {
        assert_as_recorded::<CloudEvents, T>(sample.event_type(), sample);
    }
    let unknown = T::from_json("AddedLater", b"{}");
    assert_eq!(unknown, Err(DecodeError::UnknownType("AddedLater".to_owned())));
}

#[test]
fn events_of_orders_are_as_recorded() {
    assert_all_as_recorded(OrderEvent::TYPES, &order_events());
    assert_all_as_recorded(OrderRequest::TYPES, &order_requests());
    assert_all_as_recorded(OrderLineEvent::TYPES, &order_line_events());
    assert_all_as_recorded(OrderValidation::TYPES, &order_validations());
}

#[test]
fn what_an_order_comes_to_is_read_of_the_whole_order() {
    for event in order_events() {
        let bytes = event.to_json();
        let read = OrderEvent::<OrderTotal>::from_json(event.event_type(), &bytes).unwrap();

        assert_eq!(read.state(), event.state());
        let Order { id, customer_id, currency, total, .. } = event.into_order();
        assert_eq!(read.into_order(), OrderTotal { id, customer_id, currency, total });
    }
}

#[test]
fn events_of_products_payments_and_customers_are_as_recorded() {
    assert_all_as_recorded(ProductRequest::TYPES, &product_requests());
    assert_all_as_recorded(PaymentEvent::TYPES, &payment_events());
    assert_all_as_recorded(CustomerRequest::TYPES, &customer_requests());
}

#[test]
fn values_of_tables_are_as_recorded() {
    assert_as_recorded::<Json, _>("Product", &product());
    assert_as_recorded::<Json, _>("StockLevel", &stock_level());
    assert_as_recorded::<Json, _>("Customer", &customer());
    assert_as_recorded::<Json, _>("Account", &account());
}
