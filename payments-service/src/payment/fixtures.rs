//! Accounts, requests and orders for the tests of the rules.

use events::ids::RequestId;
use events::money::{Amount, Money};
use events::order::OrderTotal;
use events::payment::{Account, Deposit, Level, Payment, PutCustomer};

use super::order::{PaymentRecord, PaymentState};

pub(super) fn amount(text: &str) -> Amount {
    Amount::parse(text).unwrap()
}

fn money(amount: &str, currency: &str) -> Money {
    Money::new(amount.parse().unwrap(), currency.parse().unwrap()).unwrap()
}

pub(super) fn put(limit: &str, currency: &str) -> PutCustomer {
    PutCustomer {
        request_id: RequestId::from_u128(1),
        customer_id: "c-1".parse().unwrap(),
        first_name: "Grace".to_owned(),
        last_name: "Hopper".to_owned(),
        email: "grace@example.com".to_owned(),
        address: "1 Navy Yard".to_owned(),
        level: Level::Gold,
        credit_limit: money(limit, currency),
    }
}

pub(super) fn paid_in(amount: &str) -> Deposit {
    Deposit {
        request_id: RequestId::from_u128(2),
        customer_id: "c-1".parse().unwrap(),
        deposit_id: "d-1".parse().unwrap(),
        amount: amount.parse().unwrap(),
    }
}

/// A limit of 500 pounds, and nothing else yet.
pub(super) fn unused_account() -> Account {
    Account {
        customer_id: "c-1".parse().unwrap(),
        currency: "GBP".parse().unwrap(),
        limit: amount("500.00"),
        deposits: amount("0.00"),
        authorised: amount("0.00"),
        captured: amount("0.00"),
        used: false,
    }
}

/// A limit of 500 pounds and a deposit of 10, of which orders hold 100 and took 200.
pub(super) fn used_account() -> Account {
    Account {
        deposits: amount("10.00"),
        authorised: amount("100.00"),
        captured: amount("200.00"),
        used: true,
        ..unused_account()
    }
}

pub(super) fn order_of(total: &str) -> OrderTotal {
    OrderTotal {
        id: "o-1".parse().unwrap(),
        customer_id: "c-1".parse().unwrap(),
        currency: "GBP".parse().unwrap(),
        total: Some(amount(total)),
    }
}

/// The authorised payment of an order.
pub(super) fn held(total: &str) -> PaymentRecord {
    let payment = Payment {
        order_id: "o-1".parse().unwrap(),
        customer_id: "c-1".parse().unwrap(),
        amount: money(total, "GBP"),
    };
    PaymentRecord { payment, state: PaymentState::Authorised }
}
