//! Payments through the topology: what accounts hold for orders, and who hears of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use events::Timestamp;
use events::ids::{CustomerId, OrderId, RequestId};
use events::money::Money;
use events::order::{CheckState, Checks, Order, OrderEvent, OrderState, Version};
use events::payment::{Account, CustomerRequest, Deposit, Level, PaymentEvent, PutCustomer};
use events::topics::{
    ACCOUNTS as ACCOUNT_TABLE, CUSTOMER_REQUESTS, CUSTOMERS as CUSTOMER_TABLE, DEAD_LETTERS,
    ORDERS_BY_CUSTOMER, PAYMENTS as PAYMENT_EVENTS,
};
use payments_service::payment::Refusal;
use payments_service::payment::order::PaymentState;
use payments_service::topology;
use payments_service::topology::{ACCOUNTS, CUSTOMERS, DEPOSITS, PAYMENTS_BY_ORDER, REFUSALS};
use streams::testing::TopologyDriver;
use streams::{Headers, Partition, ProducedRecord, TopicPartition, cloud_event, dead_letter};

const PARTITIONS: u32 = 3;
const OPENED: Timestamp = Timestamp::from_millis(1_767_323_045_678);

struct Bank {
    driver: TopologyDriver,
    now: Timestamp,
    /// Whether each record is a batch of its own.
    commit_each: bool,
}

fn customer(id: &str) -> CustomerId {
    id.parse().unwrap()
}

fn order(id: &str, customer_id: &str, total: &str, state: OrderState) -> Order {
    let pass = CheckState::Pass;
    Order {
        id: id.parse().unwrap(),
        version: Version(2),
        state,
        customer_id: customer(customer_id),
        currency: "GBP".parse().unwrap(),
        lines: vec![],
        total: Some(total.parse().unwrap()),
        checks: Checks { order_details: pass, inventory: pass, fraud: pass },
        failures: vec![],
        placed_at: OPENED,
        updated_at: OPENED,
    }
}

impl Bank {
    fn empty() -> Self {
        let driver = TopologyDriver::new(topology().unwrap(), PARTITIONS).unwrap();
        Bank { driver, now: OPENED, commit_each: false }
    }

    /// Customer `c-1` with this limit in pounds; what that wrote is read.
    fn with_limit(limit: &str) -> Self {
        let mut bank = Bank::empty();
        bank.put("c-1", limit, "GBP");
        bank.driver.commit().unwrap();
        bank.driver.read_raw_output(ACCOUNT_TABLE.name());
        bank
    }

    fn pass_time(&mut self) {
        self.now = self.now + 1;
        if self.commit_each {
            self.driver.commit().unwrap();
        }
    }

    fn request_id(&self) -> RequestId {
        RequestId::from_u128(self.now.as_millis().unsigned_abs().into())
    }

    fn request(&mut self, request: &CustomerRequest) -> RequestId {
        self.driver.pipe_input(&CUSTOMER_REQUESTS, request.customer_id(), request, self.now);
        self.pass_time();
        request.request_id()
    }

    fn put(&mut self, id: &str, limit: &str, currency: &str) -> RequestId {
        let limit = Money::new(limit.parse().unwrap(), currency.parse().unwrap()).unwrap();
        let put = PutCustomer {
            request_id: self.request_id(),
            customer_id: customer(id),
            first_name: "Grace".to_owned(),
            last_name: "Hopper".to_owned(),
            email: "grace@example.com".to_owned(),
            address: "1 Navy Yard".to_owned(),
            level: Level::Gold,
            credit_limit: limit,
        };
        self.request(&CustomerRequest::Put(put))
    }

    fn deposit(&mut self, id: &str, amount: &str) -> RequestId {
        let deposit = Deposit {
            request_id: self.request_id(),
            customer_id: customer("c-1"),
            deposit_id: id.parse().unwrap(),
            amount: amount.parse().unwrap(),
        };
        self.request(&CustomerRequest::Deposit(deposit))
    }

    fn take(&mut self, event: &OrderEvent) {
        let customer = &event.order().customer_id;
        self.driver.pipe_input(&ORDERS_BY_CUSTOMER, customer, event, self.now);
        self.pass_time();
    }

    fn validated(&mut self, id: &str, total: &str) {
        self.take(&OrderEvent::Validated(order(id, "c-1", total, OrderState::Validated)));
    }

    fn shipped(&mut self, id: &str, total: &str) {
        self.take(&OrderEvent::Shipped(order(id, "c-1", total, OrderState::Shipped)));
    }

    fn cancelled(&mut self, id: &str, total: &str) {
        self.take(&OrderEvent::Cancelled(order(id, "c-1", total, OrderState::Cancelled)));
    }

    /// Order and word of each new payment event.
    fn payments(&mut self) -> Vec<String> {
        self.driver.commit().unwrap();
        let payments = self.driver.read_output(&PAYMENT_EVENTS).unwrap();
        let told = |(order, event): (OrderId, PaymentEvent)| {
            assert_eq!(order, event.payment().order_id);
            let word = match event {
                PaymentEvent::Authorised(_) => "authorised",
                PaymentEvent::Declined(_) => "declined",
                PaymentEvent::Captured(_) => "captured",
                PaymentEvent::Released(_) => "released",
            };
            format!("{order} {word}")
        };
        payments.into_iter().map(told).collect()
    }

    /// Limit, deposits, authorised and captured of `c-1`.
    fn account(&self) -> String {
        let customer = customer("c-1");
        told(&self.driver.get(&ACCOUNTS, &customer, &customer).unwrap().unwrap())
    }

    /// The same of each new entry in `accounts`.
    fn accounts(&mut self) -> Vec<String> {
        let entries = self.driver.read_output(&ACCOUNT_TABLE).unwrap();
        entries.iter().map(|(_, account)| told(account)).collect()
    }

    fn refusal(&self, request: RequestId) -> Option<Refusal> {
        self.driver.get(&REFUSALS, &customer("c-1"), &request).unwrap()
    }

    /// How far the payment of an order came, as whoever asks by the order's id finds it.
    fn state(&self, id: &str) -> Option<PaymentState> {
        let order: OrderId = id.parse().unwrap();
        let record = self.driver.get(&PAYMENTS_BY_ORDER, &order, &order).unwrap();
        record.map(|record| record.state)
    }
}

fn told(account: &Account) -> String {
    let Account { limit, deposits, authorised, captured, .. } = account;
    format!("{limit} {deposits} {authorised} {captured}")
}

#[test]
fn a_validated_order_is_authorised_and_a_shipped_one_captured() {
    let mut bank = Bank::with_limit("100.00");
    bank.validated("o-1", "60.00");
    assert_eq!(bank.payments(), ["o-1 authorised"]);
    assert_eq!(bank.account(), "100.00 0.00 60.00 0.00");
    assert_eq!(bank.state("o-1"), Some(PaymentState::Authorised));

    bank.shipped("o-1", "60.00");
    bank.shipped("o-1", "60.00");

    assert_eq!(bank.payments(), ["o-1 captured"]);
    assert_eq!(bank.account(), "100.00 0.00 0.00 60.00");
    assert_eq!(bank.accounts(), ["100.00 0.00 60.00 0.00", "100.00 0.00 0.00 60.00"]);
    assert_eq!(bank.state("o-1"), Some(PaymentState::Captured));
}

#[test]
fn payments_in_flight_count_so_an_account_is_never_overspent() {
    let mut bank = Bank::with_limit("100.00");
    for id in ["o-1", "o-2", "o-3"] {
        bank.validated(id, "40.00");
    }
    let mut payments = bank.payments();
    payments.sort();

    assert_eq!(payments, ["o-1 authorised", "o-2 authorised", "o-3 declined"]);
    assert_eq!(bank.account(), "100.00 0.00 80.00 0.00");
    assert_eq!(bank.state("o-3"), Some(PaymentState::Declined));
}

#[test]
fn an_order_that_ends_gives_back_what_was_held_once() {
    let mut bank = Bank::with_limit("100.00");
    bank.validated("o-1", "100.00");
    bank.cancelled("o-1", "100.00");
    bank.cancelled("o-1", "100.00");
    bank.shipped("o-1", "100.00");
    bank.validated("o-2", "100.00");
    let mut payments = bank.payments();
    payments.sort();

    assert_eq!(payments, ["o-1 authorised", "o-1 released", "o-2 authorised"]);
    assert_eq!(bank.account(), "100.00 0.00 100.00 0.00");
    assert_eq!(bank.state("o-1"), Some(PaymentState::Released));
}

/// As when a record that could not be read was put back.
#[test]
fn an_authorisation_that_is_heard_of_late_is_not_shown_over_what_came_after_it() {
    let mut bank = Bank::with_limit("100.00");
    bank.validated("o-1", "100.00");
    bank.cancelled("o-1", "100.00");
    bank.payments();
    let order: OrderId = "o-1".parse().unwrap();
    let shown = bank.driver.get(&PAYMENTS_BY_ORDER, &order, &order).unwrap().unwrap();

    let late = PaymentEvent::Authorised(shown.payment);
    bank.driver.pipe_input(&PAYMENT_EVENTS, &order, &late, bank.now);
    bank.driver.commit().unwrap();

    assert_eq!(bank.state("o-1"), Some(PaymentState::Released));
}

#[test]
fn an_order_that_ends_without_a_payment_changes_no_account() {
    let mut bank = Bank::with_limit("100.00");
    bank.cancelled("o-1", "60.00");
    bank.validated("o-2", "100.01");
    bank.cancelled("o-2", "100.01");

    assert_eq!(bank.payments(), ["o-2 declined"]);
    assert_eq!(bank.accounts(), [""; 0]);
    assert_eq!(bank.state("o-1"), None);
}

#[test]
fn an_order_is_authorised_once() {
    let mut bank = Bank::with_limit("100.00");
    bank.validated("o-1", "60.00");
    bank.validated("o-1", "60.00");

    assert_eq!(bank.payments(), ["o-1 authorised"]);
    assert_eq!(bank.account(), "100.00 0.00 60.00 0.00");
}

#[test]
fn a_deposit_is_made_once() {
    let mut bank = Bank::with_limit("100.00");
    bank.deposit("d-1", "10.00");
    let again = bank.deposit("d-1", "10.0");
    let other = bank.deposit("d-1", "11.00");
    bank.driver.commit().unwrap();

    assert_eq!(bank.account(), "100.00 10.00 0.00 0.00");
    assert_eq!(bank.accounts(), ["100.00 10.00 0.00 0.00"]);
    assert_eq!(bank.refusal(again), None);
    let made = "10.00".parse().unwrap();
    assert_eq!(bank.refusal(other), Some(Refusal::OtherAmount { made }));
    assert_eq!(bank.driver.entries(&DEPOSITS).unwrap().len(), 1);
}

#[test]
fn a_deposit_pays_for_what_the_limit_does_not() {
    let mut bank = Bank::with_limit("100.00");
    bank.deposit("d-1", "10.00");
    bank.validated("o-1", "110.00");
    bank.validated("o-2", "0.01");
    let mut payments = bank.payments();
    payments.sort();

    assert_eq!(payments, ["o-1 authorised", "o-2 declined"]);
}

#[test]
fn a_limit_stays_above_what_is_held_and_a_currency_with_a_used_account() {
    let mut bank = Bank::with_limit("100.00");
    bank.validated("o-1", "60.00");
    let too_low = bank.put("c-1", "59.99", "GBP");
    let in_euros = bank.put("c-1", "500.00", "EUR");
    bank.put("c-1", "60.00", "GBP");
    bank.driver.commit().unwrap();

    let lowest = "60.00".parse().unwrap();
    assert_eq!(bank.refusal(too_low), Some(Refusal::LimitTooLow { lowest }));
    let currency = "GBP".parse().unwrap();
    assert_eq!(bank.refusal(in_euros), Some(Refusal::CurrencyFixed { currency }));
    assert_eq!(bank.account(), "60.00 0.00 60.00 0.00");
    let customers = bank.driver.read_output(&CUSTOMER_TABLE).unwrap();
    assert_eq!(customers.len(), 2, "a refused request writes no customer");
}

#[test]
fn customers_of_all_partitions_have_accounts_of_their_own() {
    let mut bank = Bank::empty();
    let ids: Vec<String> = (0..10).map(|number| format!("c-{number}")).collect();
    for id in &ids {
        bank.put(id, "100.00", "GBP");
        let order = order(&format!("o-{id}"), id, "100.00", OrderState::Validated);
        bank.take(&OrderEvent::Validated(order));
    }
    assert_eq!(bank.payments().len(), 10);
    for id in &ids {
        assert_eq!(bank.state(&format!("o-{id}")), Some(PaymentState::Authorised), "{id}");
    }
    assert_eq!(bank.driver.entries(&CUSTOMERS).unwrap().len(), 10);
}

#[test]
fn an_aborted_batch_leaves_nothing_and_is_taken_again() {
    let mut bank = Bank::with_limit("100.00");
    bank.validated("o-1", "60.00");
    bank.driver.abort().unwrap();
    assert_eq!(bank.account(), "100.00 0.00 0.00 0.00");
    assert_eq!(bank.driver.read_output(&PAYMENT_EVENTS).unwrap(), []);
    assert_eq!(bank.state("o-1"), None);

    assert_eq!(bank.payments(), ["o-1 authorised"]);
    assert_eq!(bank.account(), "100.00 0.00 60.00 0.00");
}

#[test]
fn the_same_inputs_give_the_same_bytes_however_they_are_cut() {
    let run = |commit_each: bool| {
        let mut bank = Bank::with_limit("100.00");
        bank.commit_each = commit_each;
        for id in ["o-1", "o-2", "o-3"] {
            bank.validated(id, "40.00");
        }
        bank.deposit("d-1", "20.00");
        bank.cancelled("o-1", "40.00");
        bank.validated("o-4", "80.00");
        bank.shipped("o-2", "40.00");
        bank.put("c-1", "1.00", "GBP");
        bank.driver.commit().unwrap();
        let payments: Vec<_> = bank
            .driver
            .read_raw_output(PAYMENT_EVENTS.name())
            .into_iter()
            .map(|record| (record.source, record.key, record.value, record.headers))
            .collect();
        let driver = &bank.driver;
        (payments, driver.entries(&ACCOUNTS).unwrap(), driver.entries(&REFUSALS).unwrap())
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn an_undecodable_request_becomes_a_dead_letter_and_accounts_go_on() {
    let mut bank = Bank::with_limit("100.00");
    let mut headers = Headers::default();
    headers.add(cloud_event::TYPE, "Deposit");
    bank.driver.pipe(ProducedRecord {
        destination: TopicPartition::new(CUSTOMER_REQUESTS.name(), Partition(1)),
        timestamp: bank.now,
        key: Some(Bytes::from_static(b"c-1")),
        value: Some(Bytes::from_static(b"{\"amount\":10}")),
        headers,
    });
    bank.deposit("d-1", "10.00");
    bank.driver.commit().unwrap();

    let letters = bank.driver.read_raw_output(DEAD_LETTERS);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].headers.get_str(dead_letter::TOPIC), Some("customer-requests"));
    assert_eq!(bank.account(), "100.00 10.00 0.00 0.00");
}

#[test]
fn the_topology_describes_itself() {
    assert_eq!(
        topology().unwrap().describe(),
        "Topology: payments-service
  table customers
  stream orders-by-customer -> take-order
    stores: accounts, payments
    to: payments, accounts
  requests customer-requests -> take-request
    stores: customers, accounts, deposits, refusals
    to: customers, accounts
  stream payments -> index-payment
    stores: payments-by-order
"
    );
}
