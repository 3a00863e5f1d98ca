//! The rules of spending: from what a customer ordered of late, and one more order, to a verdict.
//!
//! Each function takes facts and returns a decision; none reads a clock or a store. Which orders
//! make up a session is the topology's to say.

use std::collections::BTreeMap;

use events::money::{Amount, Currency};
use events::order::{OrderTotal, Reason};
use events::validation::{FraudCheck, OrderValidation, Verdict};

/// The total of a session that is out of the ordinary, in the currency of the customer's account.
pub const SPENDING_LIMIT: Amount = Amount::whole(2_000);

/// The totals of the orders in one session of one customer, by currency. There is but one, unless
/// the account was given another currency in between.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Session(BTreeMap<Currency, Amount>);

impl Session {
    /// What was ordered in a currency.
    pub fn total(&self, currency: Currency) -> Amount {
        self.0.get(&currency).copied().unwrap_or_else(|| Amount::zero(currency))
    }

    /// Both sessions as one, when an order falls between them.
    pub fn merge(mut self, other: &Session) -> Session {
        for (currency, amount) in &other.0 {
            self.add(*currency, *amount);
        }
        self
    }

    fn add(&mut self, currency: Currency, amount: Amount) {
        let total = self.total(currency);
        // A sum too large for an amount has a part that is far over the limit by itself.
        let sum = total.plus(amount).unwrap_or_else(|_| total.max(amount));
        self.0.insert(currency, sum);
    }
}

/// A session after one more order, and the verdict on that order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The session with the order in it, whatever the verdict.
    pub session: Session,
    /// The verdict.
    pub validation: OrderValidation,
}

/// Checks a new order against the session it falls into. Every new order counts, whatever becomes
/// of it.
pub fn check(session: &Session, order: &OrderTotal) -> Checked {
    let mut session = session.clone();
    let verdict = match order.total {
        Some(total) => {
            session.add(order.currency, total);
            verdict_on(session.total(order.currency), order.currency)
        }
        None => fail("the order has no total".to_owned()),
    };
    Checked { session, validation: validation(order, verdict) }
}

fn verdict_on(total: Amount, currency: Currency) -> Verdict {
    if total < SPENDING_LIMIT {
        return Verdict::Pass;
    }
    fail(format!("orders of a short time come to {total} {currency}, not below {SPENDING_LIMIT}"))
}

fn fail(detail: String) -> Verdict {
    Verdict::Fail { reason: Reason::SpendingLimit, detail }
}

fn validation(order: &OrderTotal, verdict: Verdict) -> OrderValidation {
    OrderValidation::Fraud(FraudCheck { order_id: order.id.clone(), verdict })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(total: Option<&str>, currency: &str) -> OrderTotal {
        OrderTotal {
            id: "o-1".parse().unwrap(),
            customer_id: "c-1".parse().unwrap(),
            currency: currency.parse().unwrap(),
            total: total.map(|total| total.parse().unwrap()),
        }
    }

    fn checked_in(currency: &str, session: &Session, total: &str) -> Checked {
        check(session, &order(Some(total), currency))
    }

    /// The session after orders in pounds with these totals.
    fn session_of(totals: &[&str]) -> Session {
        totals
            .iter()
            .fold(Session::default(), |session, total| checked_in("GBP", &session, total).session)
    }

    fn passes(session: &Session, total: &str) -> bool {
        match checked_in("GBP", session, total).validation.verdict() {
            Verdict::Pass => true,
            Verdict::Fail { reason, .. } => {
                assert_eq!(*reason, Reason::SpendingLimit);
                false
            }
        }
    }

    #[test]
    fn an_order_below_the_limit_passes() {
        let checked = checked_in("GBP", &Session::default(), "1999.99");

        assert_eq!(checked.validation.order_id().as_str(), "o-1");
        assert_eq!(checked.validation.verdict(), &Verdict::Pass);
        assert_eq!(checked.session, session_of(&["1999.99"]));
    }

    #[test]
    fn the_order_that_brings_the_session_to_the_limit_fails() {
        let session = session_of(&["1500.00", "400.00"]);

        assert!(passes(&session, "99.99"));
        assert!(!passes(&session, "100.00"));
        assert!(!passes(&session, "100.01"));
        assert!(!passes(&Session::default(), "2000.00"));
    }

    #[test]
    fn a_failed_order_counts_and_fails_those_after_it() {
        let session = session_of(&["2000.00"]);

        assert!(!passes(&session, "0.01"));
        assert!(!passes(&session, "0.00"));
    }

    #[test]
    fn the_detail_says_total_and_limit() {
        let Checked { validation, .. } = checked_in("GBP", &session_of(&["1500.00"]), "600.00");

        let Verdict::Fail { detail, .. } = validation.verdict() else { panic!("{validation:?}") };
        assert_eq!(detail, "orders of a short time come to 2100.00 GBP, not below 2000");
    }

    #[test]
    fn each_currency_has_its_own_total() {
        let in_pounds = session_of(&["1999.00"]);

        let checked = checked_in("EUR", &in_pounds, "1.00");

        assert_eq!(checked.validation.verdict(), &Verdict::Pass);
        assert!(!passes(&checked.session, "1.00"));
    }

    #[test]
    fn merged_sessions_hold_the_orders_of_both() {
        let in_euros = checked_in("EUR", &session_of(&["900.00"]), "5.00").session;

        let merged = session_of(&["1000.00"]).merge(&in_euros);

        assert_eq!(merged.total("GBP".parse().unwrap()).to_string(), "1900.00");
        assert_eq!(merged.total("EUR".parse().unwrap()).to_string(), "5.00");
        assert_eq!(Session::default().merge(&merged), merged);
    }

    #[test]
    fn sums_that_are_no_amount_stay_over_the_limit() {
        let largest = "999999999999999.99";
        for totals in [["0.01", largest, largest], [largest, largest, "0.01"]] {
            assert!(!passes(&session_of(&totals), "0.00"), "{totals:?}");
        }
    }

    #[test]
    fn an_order_without_a_total_fails() {
        let checked = check(&Session::default(), &order(None, "GBP"));

        assert!(matches!(checked.validation.verdict(), Verdict::Fail { .. }));
        assert_eq!(checked.session, Session::default());
    }

    #[test]
    fn a_session_reads_back() {
        let session = checked_in("EUR", &session_of(&["900.00"]), "5.00").session;

        let json = serde_json::to_string(&session).unwrap();

        assert_eq!(json, r#"{"EUR":"5.00","GBP":"900.00"}"#);
        assert_eq!(serde_json::from_str::<Session>(&json).unwrap(), session);
    }
}
