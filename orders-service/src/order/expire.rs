//! Answers that did not come in time.

use events::Timestamp;
use events::ids::ProductId;
use events::order::{Check, Failure, Order, OrderEvent, OrderState, Reason};

use super::state::{Awaited, OpenChecks, Pending, Tick};
use super::validate::{self, Decision};

/// Fails an order whose time is up after `tick` ticks, with one failure for each answer that is
/// missing; `None` while it has time, and where it does not wait for what is pending.
pub fn expire(order: &Order, pending: &Pending, tick: Tick, now: Timestamp) -> Option<OrderEvent> {
    if !pending.is_expired(tick) {
        return None;
    }
    match &pending.awaits {
        Awaited::Checks(checks) => {
            let decision = Decision::new(checks, missing(checks));
            validate::decide(order, decision, now)
        }
        Awaited::Payment if order.state == OrderState::Validated => {
            let mut order = super::change(order, OrderState::Failed, now)?;
            order.failures = vec![timeout(Check::Payment, None, "the payment has no result")];
            Some(OrderEvent::Failed(order))
        }
        Awaited::Payment => None,
    }
}

fn missing(checks: &OpenChecks) -> Vec<Failure> {
    let line = |product: &ProductId| {
        timeout(Check::Inventory, Some(product.clone()), "the line has no verdict")
    };
    let fraud = (!checks.fraud_passed).then(|| timeout(Check::Fraud, None, "no verdict"));
    checks.unreserved.iter().map(line).chain(fraud).collect()
}

fn timeout(check: Check, product_id: Option<ProductId>, missing: &str) -> Failure {
    let detail = format!("{missing} in the time it had");
    Failure { check, product_id, reason: Reason::Timeout, detail }
}

#[cfg(test)]
mod tests {
    use events::order::CheckState;

    use super::*;
    use crate::order::fixtures::*;

    const TIMEOUTS: Timeouts = Timeouts { validation_ticks: 300, payment_ticks: 60 };

    fn expired(order: &Order, pending: &Pending) -> Option<OrderEvent> {
        expire(order, pending, Tick(1_000), LATER)
    }

    #[test]
    fn an_order_has_its_whole_timeout() {
        let checks = Pending::of(&created(), Tick(10), TIMEOUTS).unwrap();
        assert_eq!(expire(&created(), &checks, Tick(310), LATER), None);
        assert!(expire(&created(), &checks, Tick(311), LATER).is_some());

        let payment = Pending::of(&validated(), Tick(10), TIMEOUTS).unwrap();
        assert_eq!(expire(&validated(), &payment, Tick(70), LATER), None);
        assert!(expire(&validated(), &payment, Tick(71), LATER).is_some());
    }

    #[test]
    fn every_check_without_a_verdict_is_named() {
        let Collected::Waiting(pending) = collect(&pending_checks(&created()), &reserved("mug"))
        else {
            panic!("one verdict of three")
        };

        let OrderEvent::Failed(order) = expired(&created(), &pending).unwrap() else { panic!() };

        let missing: Vec<_> = order
            .failures
            .iter()
            .map(|failure| (failure.check, failure.product_id.as_ref().map(ProductId::as_str)))
            .collect();
        assert_eq!(missing, [(Check::Inventory, Some("jumper")), (Check::Fraud, None)]);
        assert!(order.failures.iter().all(|failure| failure.reason == Reason::Timeout));
        let known = checks(CheckState::Pass, CheckState::Pending, CheckState::Pending);
        assert_eq!((order.checks, order.version), (known, Version(2)));
    }

    #[test]
    fn a_check_that_has_passed_is_not_named() {
        let Collected::Waiting(pending) = collect(&pending_checks(&created()), &unsuspicious())
        else {
            panic!("one verdict of three")
        };

        let order = expired(&created(), &pending).unwrap().into_order();

        assert!(order.failures.iter().all(|failure| failure.check == Check::Inventory));
        assert_eq!(order.failures.len(), 2);
        assert_eq!(order.checks.fraud, CheckState::Pass);
    }

    #[test]
    fn an_order_whose_payment_never_answers_fails() {
        let payment = Pending::of(&validated(), Tick(0), TIMEOUTS).unwrap();

        let OrderEvent::Failed(order) = expired(&validated(), &payment).unwrap() else { panic!() };

        assert_eq!(order.failures[0].check, Check::Payment);
        assert_eq!(order.failures[0].reason, Reason::Timeout);
        assert_eq!(order.version, Version(3));
    }

    #[test]
    fn an_order_that_has_gone_on_does_not_expire() {
        let checks = pending_checks(&created());
        let payment = Pending::of(&validated(), Tick(0), TIMEOUTS).unwrap();
        for order in [paid(), shipped(), failed(), cancelled()] {
            assert_eq!(expired(&order, &checks), None, "{}", order.state);
            assert_eq!(expired(&order, &payment), None, "{}", order.state);
        }
        assert_eq!(expired(&validated(), &checks), None);
        assert_eq!(expired(&created(), &payment), None);
    }
}
