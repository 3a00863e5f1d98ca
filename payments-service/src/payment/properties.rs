//! INV-2: whatever happens in whatever order, `authorised + captured <= limit + deposits`.

use std::collections::BTreeMap;

use events::ids::{DepositId, OrderId};
use events::order::{OrderEvent, OrderTotal};
use events::payment::{Deposit, PaymentEvent};
use proptest::collection::vec;
use proptest::prelude::*;

use super::customer::{Put, put_customer};
use super::deposit::{DepositRecord, Deposited, deposit};
use super::fixtures::*;
use super::order::{PaymentOutcome, PaymentRecord, PaymentState, take_order};
use super::*;

/// Something that happens to the one account. Orders and deposits are named by numbers, and
/// amounts are in pence.
#[derive(Clone, Debug)]
enum Step {
    Put { limit: u64, currency: &'static str },
    Deposit { deposit: u8, pence: u64 },
    Order { order: u8, pence: u64, event: fn(OrderTotal) -> OrderEvent<OrderTotal> },
}

fn any_step() -> impl Strategy<Value = Step> {
    let pence = prop_oneof![8 => 0..30_000_u64, 1 => 0..100_000_000_000_000_000_u64];
    let currency = prop_oneof![9 => Just("GBP"), 1 => Just("EUR")];
    let event = prop::sample::select(vec![
        OrderEvent::Created as fn(OrderTotal) -> OrderEvent<OrderTotal>,
        OrderEvent::Validated,
        OrderEvent::Validated,
        OrderEvent::Validated,
        OrderEvent::Paid,
        OrderEvent::Shipped,
        OrderEvent::Failed,
        OrderEvent::Cancelled,
    ]);
    prop_oneof![
        2 => (pence.clone(), currency).prop_map(|(limit, currency)| Step::Put { limit, currency }),
        2 => (0..8_u8, pence.clone()).prop_map(|(deposit, pence)| Step::Deposit { deposit, pence }),
        8 => (0..10_u8, pence, event)
            .prop_map(|(order, pence, event)| Step::Order { order, pence, event }),
    ]
}

fn pounds(pence: u64) -> Amount {
    amount(&format!("{}.{:02}", pence / 100, pence % 100))
}

/// The service as its topology runs the rules, for one customer.
#[derive(Default)]
struct Service {
    account: Option<Account>,
    deposits: BTreeMap<DepositId, DepositRecord>,
    payments: BTreeMap<OrderId, PaymentRecord>,
    events: Vec<PaymentEvent>,
}

impl Service {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Put { limit, currency } => {
                let request = put(&pounds(*limit).to_string(), currency);
                match put_customer(self.account.as_ref(), &request) {
                    Put::Created(_, account) | Put::Replaced(_, account) => {
                        self.account = Some(account);
                    }
                    Put::Refused(_) => assert!(self.account.is_some()),
                }
            }
            Step::Deposit { deposit: number, pence } => {
                let deposit_id: DepositId = format!("d-{number}").parse().unwrap();
                let amount = pounds(*pence);
                let request = Deposit { deposit_id, amount, ..paid_in("1") };
                let made = self.deposits.get(&request.deposit_id);
                if let Deposited::Applied(account, record) =
                    deposit(self.account.as_ref(), made, &request)
                {
                    self.account = Some(account);
                    let earlier = self.deposits.insert(request.deposit_id, record);
                    assert_eq!(earlier, None, "a deposit is made once");
                }
            }
            Step::Order { order, pence, event } => {
                let order_id: OrderId = format!("o-{order}").parse().unwrap();
                let order = order_of(&pounds(*pence).to_string());
                self.take_order(&event(OrderTotal { id: order_id, ..order }));
            }
        }
    }

    fn take_order(&mut self, event: &OrderEvent<OrderTotal>) {
        let order_id = event.order().id.clone();
        match take_order(self.account.as_ref(), self.payments.get(&order_id), event) {
            PaymentOutcome::Changed(account, record, event) => {
                self.account = Some(account);
                self.payments.insert(order_id, record);
                self.events.push(event);
            }
            PaymentOutcome::Declined(record, event) => {
                self.payments.insert(order_id, record);
                self.events.push(event);
            }
            PaymentOutcome::Unchanged => {}
        }
    }

    fn sum_of(&self, state: PaymentState, zero: Amount) -> Amount {
        self.payments
            .values()
            .filter(|record| record.state == state)
            .try_fold(zero, |sum, record| sum.plus(record.payment.amount.amount()))
            .unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn an_account_is_never_overspent_and_its_sums_are_those_of_its_payments(
        steps in vec(any_step(), 0..60),
    ) {
        let mut service = Service::default();
        for step in &steps {
            service.take(step);

            let Some(account) = &service.account else { continue };
            let zero = Amount::zero(account.currency);
            let taken = account.authorised.plus(account.captured).unwrap();
            prop_assert!(taken <= covered(account).unwrap(), "{:?} after {:?}", account, step);
            prop_assert_eq!(account.authorised, service.sum_of(PaymentState::Authorised, zero));
            prop_assert_eq!(account.captured, service.sum_of(PaymentState::Captured, zero));
            let deposits = service.deposits.values().map(|record| record.amount);
            let deposits = deposits.fold(zero, |sum, amount| sum.plus(amount).unwrap());
            prop_assert_eq!(account.deposits, deposits);
            prop_assert_eq!(taken.plus(available(account)).unwrap(), covered(account).unwrap());
        }
    }

    #[test]
    fn every_order_is_answered_once_and_ended_at_most_once(steps in vec(any_step(), 0..60)) {
        let mut service = Service::default();
        steps.iter().for_each(|step| service.take(step));

        for (order_id, record) in &service.payments {
            let of_order = service.events.iter().filter(|event| {
                event.payment().order_id == *order_id
            });
            let states: Vec<PaymentState> = of_order
                .map(|event| match event {
                    PaymentEvent::Authorised(_) => PaymentState::Authorised,
                    PaymentEvent::Declined(_) => PaymentState::Declined,
                    PaymentEvent::Captured(_) => PaymentState::Captured,
                    PaymentEvent::Released(_) => PaymentState::Released,
                })
                .collect();
            let is_life = match record.state {
                PaymentState::Authorised | PaymentState::Declined => states == [record.state],
                ended => states == [PaymentState::Authorised, ended],
            };
            prop_assert!(is_life, "{order_id}: {states:?}");
        }
    }
}
