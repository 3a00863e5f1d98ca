//! What the tests of the invariants are about: one customer who orders one product.

use events::Timestamp;
use events::ids::{CustomerId, DepositId, OrderId, ProductId, RequestId};
use events::money::{Amount, Currency, Money};
use events::order::{CheckState, Checks, Line, Order, OrderEvent, OrderState, Version};
use events::order_request::{OrderRequest, PlaceOrder, RequestedLine, RequestedOrder};
use events::payment::{Account, CustomerRequest, Deposit, Payment, PaymentEvent};
use events::quantity::Quantity;
use events::stock::StockLevel;

/// How many pieces each order wants.
pub(super) const QUANTITY: u64 = 2;
/// What each order comes to.
pub(super) const TOTAL: &str = "24.00";
const PRICE: &str = "12.00";

pub(super) fn order_id(id: &str) -> OrderId {
    OrderId::parse(id).unwrap()
}

pub(super) fn product_id() -> ProductId {
    ProductId::parse("jumper").unwrap()
}

pub(super) fn customer_id() -> CustomerId {
    CustomerId::parse("ada").unwrap()
}

pub(super) fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

pub(super) fn currency() -> Currency {
    Currency::parse("GBP").unwrap()
}

pub(super) fn place(id: &str) -> OrderRequest {
    let line = RequestedLine {
        product_id: product_id(),
        quantity: Quantity::new(QUANTITY).unwrap(),
        unit_price: None,
    };
    let order = RequestedOrder::new(customer_id(), currency(), vec![line]).unwrap();
    OrderRequest::Place(PlaceOrder::new(RequestId::from_u128(1), order_id(id), order))
}

pub(super) fn order(id: &str, version: u32, state: OrderState) -> Order {
    let pass = CheckState::Pass;
    Order {
        id: order_id(id),
        version: Version(version),
        state,
        customer_id: customer_id(),
        currency: currency(),
        lines: vec![Line {
            product_id: product_id(),
            quantity: Quantity::new(QUANTITY).unwrap(),
            unit_price: Some(amount(PRICE)),
        }],
        total: Some(amount(TOTAL)),
        checks: Checks { order_details: pass, inventory: pass, fraud: pass },
        failures: vec![],
        placed_at: Timestamp::EPOCH,
        updated_at: Timestamp::EPOCH,
    }
}

/// The event that leads to this state.
pub(super) fn event(id: &str, version: u32, state: OrderState) -> OrderEvent {
    OrderEvent::that_led_to(order(id, version, state))
}

pub(super) fn payment(id: &str) -> Payment {
    let amount = Money::new(amount(TOTAL), currency()).unwrap();
    Payment { order_id: order_id(id), customer_id: customer_id(), amount }
}

pub(super) fn authorised(id: &str) -> PaymentEvent {
    PaymentEvent::Authorised(payment(id))
}

pub(super) fn level(on_hand: u64, reserved: u64) -> StockLevel {
    StockLevel { product_id: product_id(), on_hand, reserved }
}

/// An account with this limit, and nothing paid in.
pub(super) fn account(limit: &str, authorised: &str, captured: &str) -> Account {
    Account {
        customer_id: customer_id(),
        currency: currency(),
        limit: amount(limit),
        deposits: Amount::zero(currency()),
        authorised: amount(authorised),
        captured: amount(captured),
        used: true,
    }
}

pub(super) fn deposit(id: &str, of: &str) -> CustomerRequest {
    CustomerRequest::Deposit(Deposit {
        request_id: RequestId::from_u128(1),
        customer_id: customer_id(),
        deposit_id: DepositId::parse(id).unwrap(),
        amount: amount(of),
    })
}
