//! One value for each recording, as it was meant when it was recorded.

use std::fmt::Debug;

use events::money::{Amount, Currency, Money};
use events::order::{
    Check, CheckState, Checks, Failure, Line, Order, OrderEvent, OrderState, Reason, Version,
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

/// Values with the names of their recordings.
pub(crate) type Samples<T> = Vec<(&'static str, T)>;

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

pub(crate) fn order_events() -> Samples<OrderEvent> {
    use CheckState::{Fail, Pass, Pending};
    let mut rejected = order(2, OrderState::Failed, Fail);
    let detail = "2 asked for, 1 available".to_owned();
    rejected.failures = vec![Failure {
        check: Check::Inventory,
        product_id: Some(parsed("jumper")),
        reason: Reason::InsufficientStock,
        detail,
    }];
    vec![
        ("OrderCreated", OrderEvent::Created(order(1, OrderState::Created, Pending))),
        ("OrderValidated", OrderEvent::Validated(order(2, OrderState::Validated, Pass))),
        ("OrderPaid", OrderEvent::Paid(order(3, OrderState::Paid, Pass))),
        ("OrderShipped", OrderEvent::Shipped(order(4, OrderState::Shipped, Pass))),
        ("OrderFailed", OrderEvent::Failed(failed_order())),
        ("OrderFailed.by-a-check", OrderEvent::Failed(rejected)),
        ("OrderCancelled", OrderEvent::Cancelled(order(2, OrderState::Cancelled, Pending))),
        ("OrderCancelled.when-paid", OrderEvent::Cancelled(order(4, OrderState::Cancelled, Pass))),
    ]
}

pub(crate) fn order_requests() -> Samples<OrderRequest> {
    let line = |product: &str, count: u64, unit_price: Option<Amount>| RequestedLine {
        product_id: parsed(product),
        quantity: pieces(count),
        unit_price,
    };
    let place = |order_id: &str, currency: &str, lines: Vec<RequestedLine>| {
        let order = RequestedOrder::new(parsed("c-1"), parsed(currency), lines).unwrap();
        OrderRequest::Place(PlaceOrder::new(REQUEST, parsed(order_id), order))
    };
    let lines = vec![line("jumper", 2, Some(parsed("12.99"))), line("mug", 1, None)];
    let dear = vec![line("castle", 1_000_000, Some(parsed("999999999")))];
    vec![
        ("PlaceOrder", place("o-1", "GBP", lines)),
        ("PlaceOrder.without-decimals", place("2026._:-", "JPY", dear)),
        (
            "CancelOrder",
            OrderRequest::Cancel(CancelOrder { request_id: REQUEST, order_id: parsed("o-1") }),
        ),
        (
            "ShipOrder",
            OrderRequest::Ship(ShipOrder { request_id: REQUEST, order_id: parsed("o-1") }),
        ),
    ]
}

pub(crate) fn order_line_events() -> Samples<OrderLineEvent> {
    let line = |version: u32| OrderLine {
        order_id: parsed("o-1"),
        version: Version(version),
        product_id: parsed("jumper"),
        quantity: pieces(2),
    };
    vec![
        ("OrderLinePlaced", OrderLineEvent::Placed(line(1))),
        ("OrderLineReleased", OrderLineEvent::Released(line(2))),
        ("OrderLineShipped", OrderLineEvent::Shipped(line(4))),
    ]
}

pub(crate) fn product_requests() -> Samples<ProductRequest> {
    let adjust = |adjustment: &str, delta: i64| {
        ProductRequest::AdjustStock(AdjustStock {
            request_id: REQUEST,
            product_id: parsed("jumper"),
            adjustment_id: parsed(adjustment),
            delta,
        })
    };
    vec![
        (
            "PutProduct",
            ProductRequest::Put(PutProduct {
                request_id: REQUEST,
                product_id: parsed("jumper"),
                name: "Jumper".to_owned(),
                price: pounds("12.99"),
            }),
        ),
        ("AdjustStock", adjust("a-1", -10)),
        ("AdjustStock.more", adjust("a-2", i64::MAX)),
    ]
}

pub(crate) fn order_validations() -> Samples<OrderValidation> {
    let fail = |reason, detail: &str| Verdict::Fail { reason, detail: detail.to_owned() };
    let inventory = |verdict| {
        OrderValidation::Inventory(InventoryCheck {
            order_id: parsed("o-1"),
            product_id: parsed("jumper"),
            verdict,
        })
    };
    let fraud = |verdict| OrderValidation::Fraud(FraudCheck { order_id: parsed("o-1"), verdict });
    vec![
        (
            "InventoryChecked",
            inventory(fail(Reason::InsufficientStock, "2 asked for, 1 available")),
        ),
        ("InventoryChecked.passed", inventory(Verdict::Pass)),
        ("FraudChecked", fraud(Verdict::Pass)),
        ("FraudChecked.failed", fraud(fail(Reason::SpendingLimit, "2100.00 in an hour"))),
    ]
}

pub(crate) fn payment_events() -> Samples<PaymentEvent> {
    let payment =
        || Payment { order_id: parsed("o-1"), customer_id: parsed("c-1"), amount: pounds("33.98") };
    let declined = |reason, detail: &str| {
        let detail = detail.to_owned();
        PaymentEvent::Declined(DeclinedPayment { payment: payment(), reason, detail })
    };
    let funds = "33.98 asked for, 10.00 available";
    vec![
        ("PaymentAuthorised", PaymentEvent::Authorised(payment())),
        ("PaymentDeclined", declined(DeclineReason::InsufficientFunds, funds)),
        (
            "PaymentDeclined.unknown-customer",
            declined(DeclineReason::UnknownCustomer, "there is no customer c-1"),
        ),
        (
            "PaymentDeclined.other-currency",
            declined(DeclineReason::CurrencyMismatch, "the account is in EUR"),
        ),
        ("PaymentCaptured", PaymentEvent::Captured(payment())),
        ("PaymentReleased", PaymentEvent::Released(payment())),
    ]
}

pub(crate) fn customer_requests() -> Samples<CustomerRequest> {
    let put = |level, credit_limit| {
        CustomerRequest::Put(PutCustomer {
            request_id: REQUEST,
            customer_id: parsed("c-1"),
            first_name: "František".to_owned(),
            last_name: "Wichterlová".to_owned(),
            email: "frantisekw@example.com".to_owned(),
            address: "Klanova 9/506, Prague".to_owned(),
            level,
            credit_limit,
        })
    };
    let dinars = Money::new(parsed("500.125"), parsed("KWD")).unwrap();
    vec![
        ("PutCustomer", put(Level::Gold, pounds("500"))),
        ("PutCustomer.three-decimals", put(Level::Bronze, dinars)),
        (
            "Deposit",
            CustomerRequest::Deposit(Deposit {
                request_id: REQUEST,
                customer_id: parsed("c-1"),
                deposit_id: parsed("d-1"),
                amount: parsed("10.00"),
            }),
        ),
    ]
}

pub(crate) fn products() -> Samples<Product> {
    let product_id = parsed("jumper");
    vec![("Product", Product { product_id, name: "Jumper".to_owned(), price: pounds("12.99") })]
}

pub(crate) fn stock_levels() -> Samples<StockLevel> {
    vec![("StockLevel", StockLevel { product_id: parsed("jumper"), on_hand: 10, reserved: 2 })]
}

pub(crate) fn customers() -> Samples<Customer> {
    let customer = |level| Customer {
        customer_id: parsed("c-1"),
        first_name: "František".to_owned(),
        last_name: "Wichterlová".to_owned(),
        email: "frantisekw@example.com".to_owned(),
        address: "Klanova 9/506, Prague".to_owned(),
        level,
        currency: parsed("GBP"),
    };
    vec![
        ("Customer", customer(Level::Gold)),
        ("Customer.bronze", customer(Level::Bronze)),
        ("Customer.silver", customer(Level::Silver)),
        ("Customer.platinum", customer(Level::Platinum)),
    ]
}

pub(crate) fn accounts() -> Samples<Account> {
    let account = Account {
        customer_id: parsed("c-1"),
        currency: parsed("GBP"),
        limit: parsed("500.00"),
        deposits: parsed("10.00"),
        authorised: parsed("33.98"),
        captured: parsed("0.00"),
        used: true,
    };
    let unused = Account {
        deposits: parsed("0.00"),
        authorised: parsed("0.00"),
        used: false,
        ..account.clone()
    };
    vec![("Account", account), ("Account.unused", unused)]
}
