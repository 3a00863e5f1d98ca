//! The payment of an order: authorised when the order is valid, captured when it is shipped,
//! released when it fails or is called off.

use events::money::Money;
use events::order::{OrderEvent, OrderTotal};
use events::payment::{Account, DeclineReason, DeclinedPayment, Payment, PaymentEvent};

use super::available;

/// The payment of an order, kept by order.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRecord {
    /// Who pays, and how much.
    pub payment: Payment,
    /// How far it came.
    pub state: PaymentState,
}

/// How far a payment came.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PaymentState {
    /// The account keeps its amount ready.
    Authorised,
    /// The account does not take it. Final.
    Declined,
    /// It is paid. Final.
    Captured,
    /// Its amount is free again. Final.
    Released,
}

/// What an order's event does to its payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentOutcome {
    /// The account's sums and the payment are others, and the event goes to the order.
    Changed(Account, PaymentRecord, PaymentEvent),
    /// The payment is declined, and the event goes to the order; the account is as before.
    Declined(PaymentRecord, PaymentEvent),
    /// Nothing changes.
    Unchanged,
}

/// Whether an event of this kind ever changes the order's payment.
pub const fn concerns_payment(event: &OrderEvent<OrderTotal>) -> bool {
    !matches!(event, OrderEvent::Created(_) | OrderEvent::Paid(_))
}

/// Authorises, captures or releases the payment of an order. `account` is the customer's, and
/// `record` the order's payment, if it has one.
pub fn take_order(
    account: Option<&Account>,
    record: Option<&PaymentRecord>,
    event: &OrderEvent<OrderTotal>,
) -> PaymentOutcome {
    let held = record.filter(|record| record.state == PaymentState::Authorised);
    match (event, account, held) {
        (OrderEvent::Validated(order), account, _) if record.is_none() => authorise(account, order),
        (OrderEvent::Shipped(_), Some(account), Some(held)) => capture(account, held),
        (OrderEvent::Failed(_) | OrderEvent::Cancelled(_), Some(account), Some(held)) => {
            release(account, held)
        }
        _ => PaymentOutcome::Unchanged,
    }
}

fn authorise(account: Option<&Account>, order: &OrderTotal) -> PaymentOutcome {
    // A validated order passed details, so it has a total; without one there is nothing to pay.
    let total = order.total.and_then(|total| Money::new(total, order.currency).ok());
    let Some(total) = total else { return PaymentOutcome::Unchanged };
    let payment = Payment {
        order_id: order.id.clone(),
        customer_id: order.customer_id.clone(),
        amount: total,
    };
    match hold(account, total) {
        Ok(account) => {
            changed(account, payment, PaymentState::Authorised, PaymentEvent::Authorised)
        }
        Err((reason, detail)) => {
            let declined = DeclinedPayment { payment: payment.clone(), reason, detail };
            let record = PaymentRecord { payment, state: PaymentState::Declined };
            PaymentOutcome::Declined(record, PaymentEvent::Declined(declined))
        }
    }
}

/// The account with so much more kept ready.
fn hold(account: Option<&Account>, total: Money) -> Result<Account, (DeclineReason, String)> {
    let Some(account) = account else {
        let detail = "the customer has no account".to_owned();
        return Err((DeclineReason::UnknownCustomer, detail));
    };
    if account.currency != total.currency() {
        let detail = format!("the account is in {}, the order comes to {total}", account.currency);
        return Err((DeclineReason::CurrencyMismatch, detail));
    }
    let available = available(account);
    let authorised = account.authorised.plus(total.amount());
    match authorised {
        Ok(authorised) if total.amount() <= available => {
            Ok(Account { authorised, used: true, ..account.clone() })
        }
        _ => {
            let detail = format!("{total} asked for, {available} available");
            Err((DeclineReason::InsufficientFunds, detail))
        }
    }
}

fn capture(account: &Account, held: &PaymentRecord) -> PaymentOutcome {
    let amount = held.payment.amount.amount();
    match (account.authorised.minus(amount), account.captured.plus(amount)) {
        (Ok(authorised), Ok(captured)) => {
            let account = Account { authorised, captured, ..account.clone() };
            changed(account, held.payment.clone(), PaymentState::Captured, PaymentEvent::Captured)
        }
        // What is held is part of what is authorised, so no decision here leads to this.
        _ => PaymentOutcome::Unchanged,
    }
}

fn release(account: &Account, held: &PaymentRecord) -> PaymentOutcome {
    match account.authorised.minus(held.payment.amount.amount()) {
        Ok(authorised) => {
            let account = Account { authorised, ..account.clone() };
            changed(account, held.payment.clone(), PaymentState::Released, PaymentEvent::Released)
        }
        // As above.
        Err(_) => PaymentOutcome::Unchanged,
    }
}

fn changed(
    account: Account,
    payment: Payment,
    state: PaymentState,
    event: fn(Payment) -> PaymentEvent,
) -> PaymentOutcome {
    let event = event(payment.clone());
    PaymentOutcome::Changed(account, PaymentRecord { payment, state }, event)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payment::fixtures::*;

    /// Account and record after an order's event, which must change both.
    fn after(
        account: &Account,
        record: Option<&PaymentRecord>,
        event: &OrderEvent<OrderTotal>,
    ) -> Changed {
        assert!(concerns_payment(event));
        match take_order(Some(account), record, event) {
            PaymentOutcome::Changed(account, record, event) => Changed { account, record, event },
            other => panic!("{other:?}"),
        }
    }

    struct Changed {
        account: Account,
        record: PaymentRecord,
        event: PaymentEvent,
    }

    fn declined(account: Option<&Account>, order: OrderTotal) -> DeclinedPayment {
        let event = OrderEvent::Validated(order);
        assert!(concerns_payment(&event));
        match take_order(account, None, &event) {
            PaymentOutcome::Declined(record, PaymentEvent::Declined(declined)) => {
                assert_eq!(record.state, PaymentState::Declined);
                assert_eq!(record.payment, declined.payment);
                declined
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_validated_order_is_authorised_where_its_total_is_available() {
        let order = order_of("500.00");

        let changed = after(&unused_account(), None, &OrderEvent::Validated(order));

        let authorised = amount("500.00");
        assert_eq!(changed.account, Account { authorised, used: true, ..unused_account() });
        assert_eq!(changed.record.state, PaymentState::Authorised);
        assert_eq!(changed.record.payment.amount.to_string(), "500.00 GBP");
        assert_eq!(changed.event, PaymentEvent::Authorised(changed.record.payment));
        assert!(available(&changed.account).is_zero());
    }

    #[test]
    fn an_order_above_what_is_available_is_declined() {
        let order = order_of("500.01");

        let declined = declined(Some(&unused_account()), order);

        assert_eq!(declined.reason, DeclineReason::InsufficientFunds);
        assert_eq!(declined.detail, "500.01 GBP asked for, 500.00 available");
    }

    #[test]
    fn what_others_have_authorised_and_captured_is_not_available() {
        assert_eq!(available(&used_account()), amount("210.00"));

        let event = OrderEvent::Validated(order_of("210.00"));
        assert!(available(&after(&used_account(), None, &event).account).is_zero());
        declined(Some(&used_account()), order_of("210.01"));
    }

    #[test]
    fn an_order_without_an_account_or_in_another_currency_is_declined() {
        let unknown = declined(None, order_of("1.00"));
        assert_eq!(unknown.reason, DeclineReason::UnknownCustomer);

        let currency = "EUR".parse().unwrap();
        let in_euros = OrderTotal { currency, ..order_of("1.00") };
        let declined = declined(Some(&unused_account()), in_euros);
        assert_eq!(declined.reason, DeclineReason::CurrencyMismatch);
    }

    #[test]
    fn an_order_for_nothing_is_authorised_by_an_empty_account() {
        let empty = Account { limit: amount("0.00"), ..unused_account() };

        let event = OrderEvent::Validated(order_of("0.00"));

        assert!(after(&empty, None, &event).account.used);
    }

    #[test]
    fn a_shipped_order_is_captured() {
        let held = held("90.00");
        let event = OrderEvent::Shipped(order_of("90.00"));

        let changed = after(&used_account(), Some(&held), &event);

        let (authorised, captured) = (amount("10.00"), amount("290.00"));
        assert_eq!(changed.account, Account { authorised, captured, ..used_account() });
        assert_eq!(changed.record.state, PaymentState::Captured);
        assert_eq!(changed.event, PaymentEvent::Captured(held.payment));
    }

    #[test]
    fn an_order_that_fails_or_is_cancelled_is_released() {
        let held = held("90.00");
        let order = order_of("90.00");
        for event in [OrderEvent::Failed(order.clone()), OrderEvent::Cancelled(order)] {
            let changed = after(&used_account(), Some(&held), &event);

            assert_eq!(changed.account, Account { authorised: amount("10.00"), ..used_account() });
            assert_eq!(changed.record.state, PaymentState::Released);
            assert_eq!(changed.event, PaymentEvent::Released(held.payment.clone()));
        }
    }

    #[test]
    fn an_order_is_authorised_captured_and_released_once() {
        let validated = OrderEvent::Validated(order_of("90.00"));
        let shipped = OrderEvent::Shipped(order_of("90.00"));
        let failed = OrderEvent::Failed(order_of("90.00"));
        let in_state = |state| PaymentRecord { state, ..held("90.00") };
        let account = used_account();
        let unchanged = |record: Option<&PaymentRecord>, event| {
            let outcome = take_order(Some(&account), record, event);
            assert_eq!(outcome, PaymentOutcome::Unchanged, "{record:?} {event:?}");
        };

        unchanged(Some(&in_state(PaymentState::Authorised)), &validated);
        for state in [PaymentState::Declined, PaymentState::Captured, PaymentState::Released] {
            for event in [&validated, &shipped, &failed] {
                unchanged(Some(&in_state(state)), event);
            }
        }
        unchanged(None, &shipped);
        unchanged(None, &failed);
    }

    #[test]
    fn an_order_that_is_created_or_paid_changes_no_payment() {
        for event in [OrderEvent::Created(order_of("1.00")), OrderEvent::Paid(order_of("1.00"))] {
            assert!(!concerns_payment(&event));
            let outcome = take_order(Some(&used_account()), None, &event);
            assert_eq!(outcome, PaymentOutcome::Unchanged);
            let outcome = take_order(Some(&used_account()), Some(&held("1.00")), &event);
            assert_eq!(outcome, PaymentOutcome::Unchanged);
        }
    }

    #[test]
    fn a_payment_that_the_account_does_not_hold_changes_nothing() {
        let held = held("100.01");
        for event in
            [OrderEvent::Shipped(order_of("100.01")), OrderEvent::Failed(order_of("100.01"))]
        {
            let outcome = take_order(Some(&used_account()), Some(&held), &event);
            assert_eq!(outcome, PaymentOutcome::Unchanged);
        }
    }

    #[test]
    fn an_order_without_a_total_has_no_payment() {
        let order = OrderTotal { total: None, ..order_of("1.00") };

        let outcome = take_order(Some(&used_account()), None, &OrderEvent::Validated(order));

        assert_eq!(outcome, PaymentOutcome::Unchanged);
    }

    #[test]
    fn what_is_kept_reads_back() {
        let json = serde_json::to_string(&held("90.00")).unwrap();
        assert_eq!(serde_json::from_str::<PaymentRecord>(&json).unwrap(), held("90.00"));
    }
}
