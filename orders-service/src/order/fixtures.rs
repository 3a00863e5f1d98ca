//! Orders in every state, and what can happen to them, for the tests of the rules.

use events::ids::RequestId;
use events::money::Currency;
use events::order::{Check, CheckState, Checks, Failure, Line, Order, Reason};
use events::order_request::{PlaceOrder, RequestedLine, RequestedOrder};
use events::payment::{Customer, DeclineReason, DeclinedPayment, Level, Payment, PaymentEvent};
use events::quantity::Quantity;
use events::validation::{FraudCheck, InventoryCheck, OrderValidation, Verdict};

pub(super) use super::state::{Awaited, Pending, Tick, Timeouts};
pub(super) use super::validate::{Collected, collect};
pub(super) use events::Timestamp;
pub(super) use events::money::{Amount, Money};
pub(super) use events::order::{OrderEvent, OrderState, Version};

use super::place::{Details, PricedLines, create};
use super::state::OpenChecks;

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_767_323_045_678);
pub(super) const LATER: Timestamp = Timestamp::from_millis(1_767_323_046_000);

pub(super) fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

pub(super) fn money(amount: &str, currency: &str) -> Money {
    Money::new(amount.parse().unwrap(), currency.parse().unwrap()).unwrap()
}

pub(super) fn pounds(amount: &str) -> Money {
    money(amount, "GBP")
}

pub(super) fn customer() -> Customer {
    Customer {
        customer_id: "c-1".parse().unwrap(),
        first_name: "Grace".to_owned(),
        last_name: "Hopper".to_owned(),
        email: "grace@example.com".to_owned(),
        address: "1 Navy Yard".to_owned(),
        level: Level::Gold,
        currency: "GBP".parse().unwrap(),
    }
}

/// An order of these products: id, quantity, and price where one is named.
pub(super) fn requested_in(currency: &str, lines: &[(&str, u64, Option<&str>)]) -> RequestedOrder {
    let line = |(product, quantity, price): &(&str, u64, Option<&str>)| RequestedLine {
        product_id: product.parse().unwrap(),
        quantity: Quantity::new(*quantity).unwrap(),
        unit_price: price.map(amount),
    };
    let currency: Currency = currency.parse().unwrap();
    let lines = lines.iter().map(line).collect();
    RequestedOrder::new("c-1".parse().unwrap(), currency, lines).unwrap()
}

pub(super) fn requested(lines: &[(&str, u64, Option<&str>)]) -> RequestedOrder {
    requested_in("GBP", lines)
}

pub(super) fn place(lines: &[(&str, u64, Option<&str>)]) -> PlaceOrder {
    PlaceOrder::new(RequestId::from_u128(1), "o-1".parse().unwrap(), requested(lines))
}

pub(super) fn checks(
    order_details: CheckState,
    inventory: CheckState,
    fraud: CheckState,
) -> Checks {
    Checks { order_details, inventory, fraud }
}

/// Two jumpers and a mug, just created.
pub(super) fn created() -> Order {
    let line = |product: &str, quantity: u64, price: &str| Line {
        product_id: product.parse().unwrap(),
        quantity: Quantity::new(quantity).unwrap(),
        unit_price: Some(amount(price)),
    };
    Order {
        id: "o-1".parse().unwrap(),
        version: Version::FIRST,
        state: OrderState::Created,
        customer_id: "c-1".parse().unwrap(),
        currency: "GBP".parse().unwrap(),
        lines: vec![line("jumper", 2, "12.99"), line("mug", 1, "8.00")],
        total: Some(amount("33.98")),
        checks: checks(CheckState::Pass, CheckState::Pending, CheckState::Pending),
        failures: vec![],
        placed_at: NOW,
        updated_at: NOW,
    }
}

fn later(version: u32, state: OrderState) -> Order {
    let passed = checks(CheckState::Pass, CheckState::Pass, CheckState::Pass);
    Order { version: Version(version), state, checks: passed, ..created() }
}

pub(super) fn validated() -> Order {
    later(2, OrderState::Validated)
}

pub(super) fn paid() -> Order {
    later(3, OrderState::Paid)
}

pub(super) fn shipped() -> Order {
    later(4, OrderState::Shipped)
}

pub(super) fn failed() -> Order {
    later(3, OrderState::Failed)
}

pub(super) fn cancelled() -> Order {
    later(3, OrderState::Cancelled)
}

/// The events of an order whose details failed.
pub(super) fn details_failed() -> Vec<OrderEvent> {
    let failure = Failure {
        check: Check::OrderDetails,
        product_id: None,
        reason: Reason::UnknownCustomer,
        detail: "customer c-1 is not known".to_owned(),
    };
    let priced = PricedLines { lines: created().lines, total: created().total };
    create(&place(&[("jumper", 2, None)]), Details::Failed(priced, vec![failure]), NOW)
}

pub(super) fn pending_checks(order: &Order) -> Pending {
    let pending = Pending::of(order, Tick(0), Timeouts::DEFAULT).unwrap();
    assert!(matches!(pending.awaits, Awaited::Checks(_)));
    pending
}

pub(super) fn open_checks(order: &Order) -> OpenChecks {
    match pending_checks(order).awaits {
        Awaited::Checks(checks) => checks,
        Awaited::Payment => panic!("{}", order.state),
    }
}

fn fail(reason: Reason) -> Verdict {
    Verdict::Fail { reason, detail: "what people read".to_owned() }
}

fn inventory(product: &str, verdict: Verdict) -> OrderValidation {
    let (order_id, product_id) = ("o-1".parse().unwrap(), product.parse().unwrap());
    OrderValidation::Inventory(InventoryCheck { order_id, product_id, verdict })
}

pub(super) fn reserved(product: &str) -> OrderValidation {
    inventory(product, Verdict::Pass)
}

pub(super) fn sold_out(product: &str) -> OrderValidation {
    inventory(product, fail(Reason::InsufficientStock))
}

pub(super) fn unsuspicious() -> OrderValidation {
    let order_id = "o-1".parse().unwrap();
    OrderValidation::Fraud(FraudCheck { order_id, verdict: Verdict::Pass })
}

pub(super) fn suspicious() -> OrderValidation {
    let order_id = "o-1".parse().unwrap();
    OrderValidation::Fraud(FraudCheck { order_id, verdict: fail(Reason::SpendingLimit) })
}

fn payment() -> Payment {
    let (order_id, customer_id) = ("o-1".parse().unwrap(), "c-1".parse().unwrap());
    Payment { order_id, customer_id, amount: pounds("33.98") }
}

pub(super) fn authorised() -> PaymentEvent {
    PaymentEvent::Authorised(payment())
}

pub(super) fn declined() -> PaymentEvent {
    PaymentEvent::Declined(DeclinedPayment {
        payment: payment(),
        reason: DeclineReason::InsufficientFunds,
        detail: "33.98 asked for, 10.00 available".to_owned(),
    })
}
