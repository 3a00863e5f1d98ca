//! INV-2: nothing is overspent. INV-6: what is authorised or captured is owed for an order.

use std::collections::{BTreeMap, BTreeSet};

use events::ids::{CustomerId, DepositId, OrderId};
use events::money::{self, Amount};
use events::order::{Order, OrderState};
use events::payment::{Account, CustomerRequest, Payment, PaymentEvent};

use super::orders::Orders;
use super::{Invariant, Violation};

/// The accounts and payments on the log.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    accounts: BTreeMap<CustomerId, Account>,
    payments: BTreeMap<OrderId, PaymentEvent>,
    deposits: BTreeMap<CustomerId, BTreeMap<DepositId, Amount>>,
}

impl Accounts {
    /// Takes a record of the requests.
    pub fn request(&mut self, request: &CustomerRequest) {
        if let CustomerRequest::Deposit(request) = request {
            let of_customer = self.deposits.entry(request.customer_id.clone()).or_default();
            // The first under an id is the one that counts.
            of_customer.entry(request.deposit_id.clone()).or_insert(request.amount);
        }
    }

    /// Takes the next state of an account.
    ///
    /// # Errors
    /// [`Invariant::NeverOverspent`] where more is taken from it than it covers.
    pub fn account(&mut self, account: Account) -> Result<(), Violation> {
        let Account { customer_id, limit, deposits, authorised, captured, .. } = &account;
        let covered = authorised
            .plus(*captured)
            .and_then(|taken| Ok(taken <= limit.plus(*deposits)?))
            .unwrap_or(false);
        let detail = format!(
            "account {customer_id}: {authorised} authorised and {captured} captured \
             of a limit of {limit} and {deposits} paid in"
        );
        self.accounts.insert(customer_id.clone(), account);
        if covered { Ok(()) } else { Err(Violation::new(Invariant::NeverOverspent, detail)) }
    }

    /// Takes the next event of a payment.
    ///
    /// # Errors
    /// [`Invariant::PaidForOrders`] where it cannot follow the one before: a payment is authorised
    /// or declined once, and an authorised one is captured or released once.
    pub fn payment(&mut self, event: &PaymentEvent) -> Result<(), Violation> {
        let Payment { order_id, .. } = event.payment();
        let before = self.payments.insert(order_id.clone(), event.clone());
        let follows = match (&before, event) {
            (None, PaymentEvent::Authorised(_) | PaymentEvent::Declined(_)) => true,
            (
                Some(PaymentEvent::Authorised(before)),
                PaymentEvent::Captured(after) | PaymentEvent::Released(after),
            ) => before == after,
            _ => false,
        };
        let detail = || format!("payment of order {order_id}: {event:?} follows {before:?}");
        if follows { Ok(()) } else { Err(Violation::new(Invariant::PaidForOrders, detail())) }
    }

    /// Accounts whose sums are not those of the orders on the log, and payments that do not stand
    /// as their orders do.
    pub fn at_rest(&self, orders: &Orders) -> Vec<Violation> {
        let mut violations: Vec<Violation> = orders
            .iter()
            .filter_map(|history| {
                payment_at_rest(&history.order, self.payments.get(&history.order.id))
            })
            .chain(self.without_order(orders))
            .map(|detail| Violation::new(Invariant::PaidForOrders, detail))
            .collect();
        let paid = sums(orders, OrderState::Paid);
        let shipped = sums(orders, OrderState::Shipped);
        for account in self.accounts.values() {
            let customer = &account.customer_id;
            for (name, has, owed) in [
                ("authorised", account.authorised, paid.get(customer)),
                ("captured", account.captured, shipped.get(customer)),
            ] {
                let owed = owed.cloned().unwrap_or(Ok(Amount::zero(account.currency)));
                if owed.as_ref() != Ok(&has) {
                    let detail =
                        format!("account {customer}: {has} {name}, its orders come to {owed:?}");
                    violations.push(Violation::new(Invariant::PaidForOrders, detail));
                }
            }
        }
        violations.extend(self.unknown(&paid, &shipped));
        violations
    }

    fn without_order<'a>(&'a self, orders: &'a Orders) -> impl Iterator<Item = String> + 'a {
        let without = self.payments.keys().filter(|id| orders.get(id).is_none());
        without.map(|id| format!("there is a payment of order {id}, and no such order"))
    }

    fn unknown(&self, paid: &Sums, shipped: &Sums) -> Vec<Violation> {
        let payers: BTreeSet<&CustomerId> = paid.keys().chain(shipped.keys()).collect();
        let unknown = payers.into_iter().filter(|payer| !self.accounts.contains_key(*payer));
        let detail = |payer: &CustomerId| format!("{payer} paid for orders and has no account");
        unknown.map(|payer| Violation::new(Invariant::PaidForOrders, detail(payer))).collect()
    }

    /// Accounts to which not all deposits were paid in, or some twice, where every deposit on the
    /// log was one that could be made.
    pub fn unaccounted(&self) -> Vec<Violation> {
        let violation = |account: &Account| {
            let customer = &account.customer_id;
            let deposits = self.deposits.get(customer).into_iter().flat_map(BTreeMap::values);
            let paid_in = deposits
                .copied()
                .try_fold(Amount::zero(account.currency), |sum, amount| sum.plus(amount));
            let has = account.deposits;
            let detail = format!("account {customer}: {has} of deposits, {paid_in:?} was paid in");
            (paid_in != Ok(has)).then(|| Violation::new(Invariant::NeverLost, detail))
        };
        self.accounts.values().filter_map(violation).collect()
    }

    /// Whether the log has this deposit.
    pub fn has_deposit(&self, customer: &CustomerId, deposit: &DepositId) -> bool {
        self.deposits.get(customer).is_some_and(|made| made.contains_key(deposit))
    }
}

type Sums = BTreeMap<CustomerId, Result<Amount, money::Error>>;

/// What each customer's orders in one state come to.
fn sums(orders: &Orders, state: OrderState) -> Sums {
    let mut sums = Sums::new();
    for history in orders.iter().filter(|history| history.order.state == state) {
        let Order { customer_id, currency, total, .. } = &history.order;
        let zero = Amount::zero(*currency);
        let sum = sums.entry(customer_id.clone()).or_insert(Ok(zero));
        let total = total.unwrap_or(zero);
        *sum = sum.clone().and_then(|sum| sum.plus(total));
    }
    sums
}

/// What is wrong with the payment of an order at rest.
fn payment_at_rest(order: &Order, payment: Option<&PaymentEvent>) -> Option<String> {
    let matches = match (order.state, payment) {
        // An order that came to an end before it was valid has no payment.
        (OrderState::Created | OrderState::Failed | OrderState::Cancelled, None)
        | (OrderState::Validated, _)
        | (OrderState::Failed | OrderState::Cancelled, Some(PaymentEvent::Declined(_))) => true,
        (OrderState::Paid, Some(PaymentEvent::Authorised(payment)))
        | (OrderState::Shipped, Some(PaymentEvent::Captured(payment)))
        | (OrderState::Failed | OrderState::Cancelled, Some(PaymentEvent::Released(payment))) => {
            Some(payment.amount.amount()) == order.total
                && payment.amount.currency() == order.currency
                && payment.customer_id == order.customer_id
        }
        _ => false,
    };
    let Order { id, state, .. } = order;
    (!matches).then(|| format!("order {id} is {state} and its payment {payment:?}"))
}

#[cfg(test)]
mod tests {
    use events::order::OrderState::{Cancelled, Created, Failed, Paid, Shipped, Validated};

    use super::*;
    use crate::fixtures::*;

    const LIFE_TO_PAID: &[OrderState] = &[Created, Validated, Paid];
    const LIFE_TO_SHIPPED: &[OrderState] = &[Created, Validated, Paid, Shipped];
    const LIFE_TO_CANCELLED: &[OrderState] = &[Created, Validated, Paid, Cancelled];

    fn with_order(states: &[OrderState]) -> Orders {
        let mut orders = Orders::default();
        for (version, state) in (1..).zip(states) {
            orders.event(&event("o-1", version, *state)).unwrap();
        }
        orders
    }

    fn with(account: Account, payments: &[PaymentEvent]) -> Accounts {
        let mut accounts = Accounts::default();
        accounts.account(account).unwrap();
        for event in payments {
            accounts.payment(event).unwrap();
        }
        accounts
    }

    fn captured(id: &str) -> PaymentEvent {
        PaymentEvent::Captured(payment(id))
    }

    fn released(id: &str) -> PaymentEvent {
        PaymentEvent::Released(payment(id))
    }

    #[test]
    fn more_taken_than_covered_breaks_inv_2() {
        assert!(Accounts::default().account(account("30", "20", "10")).is_ok());
        let paid_in = Account { deposits: amount("1"), ..account("30", "20", "11") };
        assert!(Accounts::default().account(paid_in).is_ok());

        let violation = Accounts::default().account(account("30", "20", "10.01")).unwrap_err();

        assert_eq!(violation.invariant, Invariant::NeverOverspent);
    }

    #[test]
    fn a_payment_is_decided_once_and_ends_once() {
        let legal = |events: &[&PaymentEvent]| {
            let mut accounts = Accounts::default();
            events.iter().all(|event| accounts.payment(event).is_ok())
        };
        let (authorised, captured, released) =
            (&authorised("o-1"), &captured("o-1"), &released("o-1"));

        assert!(legal(&[authorised, captured]));
        assert!(legal(&[authorised, released]));
        assert!(!legal(&[authorised, authorised]));
        assert!(!legal(&[captured]));
        assert!(!legal(&[authorised, captured, released]));
        let other = Payment { customer_id: "bob".parse().unwrap(), ..payment("o-1") };
        assert!(!legal(&[authorised, &PaymentEvent::Captured(other)]));
    }

    #[test]
    fn sums_are_those_of_the_orders_at_rest() {
        for (life, account, payments) in [
            (LIFE_TO_PAID, account("100", TOTAL, "0"), &[authorised("o-1")][..]),
            (LIFE_TO_SHIPPED, account("100", "0", TOTAL), &[authorised("o-1"), captured("o-1")]),
            (LIFE_TO_CANCELLED, account("100", "0", "0"), &[authorised("o-1"), released("o-1")]),
            (&[Created, Failed], account("100", "0", "0"), &[]),
        ] {
            assert_eq!(with(account, payments).at_rest(&with_order(life)), [], "{life:?}");
        }
    }

    #[test]
    fn a_sum_or_payment_that_is_no_order_s_breaks_inv_6() {
        let unknown = Accounts::default();
        let held = &[authorised("o-1")];
        let ended = &[authorised("o-1"), captured("o-1")];
        for (what, accounts, life) in [
            ("authorised twice", with(account("100", "48", "0"), held), LIFE_TO_PAID),
            ("never authorised", with(account("100", "0", "0"), held), LIFE_TO_PAID),
            ("never captured", with(account("100", TOTAL, "0"), held), LIFE_TO_SHIPPED),
            ("captured twice", with(account("100", "0", "48"), ended), LIFE_TO_SHIPPED),
            ("never released", with(account("100", TOTAL, "0"), held), LIFE_TO_CANCELLED),
            ("no payment", with(account("100", TOTAL, "0"), &[]), LIFE_TO_PAID),
            ("no order", with(account("100", "0", "0"), held), &[]),
            ("no account", unknown, LIFE_TO_PAID),
        ] {
            let violations = accounts.at_rest(&with_order(life));
            let all = violations.iter().all(|it| it.invariant == Invariant::PaidForOrders);
            assert!(all && !violations.is_empty(), "{what}: {violations:?}");
        }
    }

    #[test]
    fn a_payment_of_another_sum_than_its_order_s_breaks_inv_6() {
        let mut other = payment("o-1");
        other.amount = money::Money::new(amount("1.00"), currency()).unwrap();
        let accounts = with(account("100", TOTAL, "0"), &[PaymentEvent::Authorised(other)]);

        let violations = accounts.at_rest(&with_order(LIFE_TO_PAID));

        assert_eq!(violations.len(), 1, "{violations:?}");
    }

    #[test]
    fn each_deposit_is_paid_in_once() {
        for (deposits, sound) in [("15", true), ("10", false), ("25", false)] {
            let account = Account { deposits: amount(deposits), ..account("0", "0", "0") };
            let mut accounts = with(account, &[]);
            accounts.request(&deposit("d-1", "10.00"));
            // Asked for twice, made once.
            accounts.request(&deposit("d-2", "5.00"));
            accounts.request(&deposit("d-2", "5.00"));
            assert_eq!(accounts.unaccounted().is_empty(), sound, "{deposits}");
        }
    }

    #[test]
    fn a_deposit_is_known_by_customer_and_id() {
        let mut accounts = Accounts::default();
        accounts.request(&deposit("d-1", "10.00"));

        let has = |id| accounts.has_deposit(&customer_id(), &DepositId::parse(id).unwrap());
        assert!(has("d-1") && !has("d-2"));
    }
}
