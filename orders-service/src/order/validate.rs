//! The verdicts of the checks, collected until they decide.

use events::Timestamp;
use events::order::{Check, CheckState, Failure, Order, OrderEvent, OrderState, Reason};
use events::validation::{OrderValidation, Verdict};

use super::state::{Awaited, OpenChecks, Pending};

/// What a verdict does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Collected {
    /// Nothing: it came too late, came before, or is about no line of the order.
    Ignored,
    /// The order waits for fewer verdicts.
    Waiting(Pending),
    /// The order is decided.
    Decided(Decision),
}

/// What the checks come to, with what is known of each of them now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    inventory: CheckState,
    fraud: CheckState,
    /// Empty where every check passed.
    failures: Vec<Failure>,
}

impl Decision {
    /// These failures, or none, with what these checks show so far.
    pub(super) const fn new(checks: &OpenChecks, failures: Vec<Failure>) -> Self {
        Decision {
            inventory: pass_or_pending(checks.unreserved.is_empty()),
            fraud: pass_or_pending(checks.fraud_passed),
            failures,
        }
    }
}

/// Adds a verdict to those an order has. The first verdict of a check counts, for each line and
/// for fraud; a failed one decides at once.
pub fn collect(pending: &Pending, validation: &OrderValidation) -> Collected {
    let Awaited::Checks(checks) = &pending.awaits else { return Collected::Ignored };
    let Some(left) = without(checks, validation) else { return Collected::Ignored };
    match validation.verdict() {
        Verdict::Fail { reason, detail } => {
            let detail = detail.clone();
            Collected::Decided(failed_by(validation, checks, *reason, detail))
        }
        Verdict::Pass if left.unreserved.is_empty() && left.fraud_passed => {
            Collected::Decided(Decision::new(&left, vec![]))
        }
        Verdict::Pass => {
            let awaits = Awaited::Checks(left);
            Collected::Waiting(Pending { awaits, deadline: pending.deadline })
        }
    }
}

fn failed_by(
    validation: &OrderValidation,
    checks: &OpenChecks,
    reason: Reason,
    detail: String,
) -> Decision {
    let failure = |check, product_id| Failure { check, product_id, reason, detail };
    match validation {
        OrderValidation::Inventory(line) => {
            let failure = failure(Check::Inventory, Some(line.product_id.clone()));
            let decision = Decision::new(checks, vec![failure]);
            Decision { inventory: CheckState::Fail, ..decision }
        }
        OrderValidation::Fraud(_) => {
            let decision = Decision::new(checks, vec![failure(Check::Fraud, None)]);
            Decision { fraud: CheckState::Fail, ..decision }
        }
    }
}

/// What is left to wait for after this verdict; `None` where it was not waited for.
fn without(checks: &OpenChecks, validation: &OrderValidation) -> Option<OpenChecks> {
    let mut left = checks.clone();
    match validation {
        OrderValidation::Inventory(line) => {
            let at = left.unreserved.iter().position(|id| *id == line.product_id)?;
            left.unreserved.remove(at);
        }
        OrderValidation::Fraud(_) if left.fraud_passed => return None,
        OrderValidation::Fraud(_) => left.fraud_passed = true,
    }
    Some(left)
}

/// Validates or fails the order as its checks decide; `None` where it waits for no checks.
pub fn decide(order: &Order, decision: Decision, now: Timestamp) -> Option<OrderEvent> {
    if order.state != OrderState::Created {
        return None;
    }
    let passed = decision.failures.is_empty();
    let state = if passed { OrderState::Validated } else { OrderState::Failed };
    let mut order = super::change(order, state, now)?;
    order.checks.inventory = decision.inventory;
    order.checks.fraud = decision.fraud;
    order.failures = decision.failures;
    Some(if passed { OrderEvent::Validated(order) } else { OrderEvent::Failed(order) })
}

const fn pass_or_pending(passed: bool) -> CheckState {
    if passed { CheckState::Pass } else { CheckState::Pending }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::fixtures::*;

    /// What is pending after these verdicts, none of which decides.
    fn pending_after(validations: &[OrderValidation]) -> Pending {
        validations.iter().fold(pending_checks(&created()), |pending, validation| {
            match collect(&pending, validation) {
                Collected::Waiting(pending) => pending,
                other => panic!("{validation:?}: {other:?}"),
            }
        })
    }

    /// The event that the last of these verdicts makes; those before it decide nothing.
    fn decided_by(validations: &[OrderValidation]) -> OrderEvent {
        let (last, before) = validations.split_last().unwrap();
        match collect(&pending_after(before), last) {
            Collected::Decided(decision) => decide(&created(), decision, LATER).unwrap(),
            other => panic!("{last:?}: {other:?}"),
        }
    }

    #[test]
    fn an_order_is_validated_when_every_line_and_fraud_have_passed_in_any_order() {
        let verdicts = [reserved("jumper"), reserved("mug"), unsuspicious()];
        for [first, second, third] in [[0, 1, 2], [0, 2, 1], [2, 1, 0], [1, 2, 0]] {
            let verdicts = [first, second, third].map(|at: usize| verdicts[at].clone());

            let OrderEvent::Validated(order) = decided_by(&verdicts) else {
                panic!("{verdicts:?}")
            };

            assert_eq!(order, Order { updated_at: LATER, ..validated() });
            assert_eq!(order.checks, checks(CheckState::Pass, CheckState::Pass, CheckState::Pass));
        }
    }

    #[test]
    fn a_line_that_is_not_reserved_fails_the_order_at_once() {
        let OrderEvent::Failed(order) = decided_by(&[sold_out("mug")]) else { panic!() };

        assert_eq!(order.failures.len(), 1);
        assert_eq!(order.failures[0].check, Check::Inventory);
        assert_eq!(order.failures[0].reason, Reason::InsufficientStock);
        assert_eq!(order.failures[0].product_id.as_ref().unwrap().as_str(), "mug");
        let known = checks(CheckState::Pass, CheckState::Fail, CheckState::Pending);
        assert_eq!((order.checks, order.version), (known, Version(2)));
    }

    #[test]
    fn what_is_known_of_the_other_checks_is_shown_when_one_fails() {
        let by_stock = decided_by(&[unsuspicious(), reserved("jumper"), sold_out("mug")]);
        let known = checks(CheckState::Pass, CheckState::Fail, CheckState::Pass);
        assert_eq!(by_stock.order().checks, known);

        let by_fraud = decided_by(&[reserved("mug"), reserved("jumper"), suspicious()]);
        let known = checks(CheckState::Pass, CheckState::Pass, CheckState::Fail);
        assert_eq!(by_fraud.order().checks, known);
        assert_eq!(by_fraud.order().failures[0].reason, Reason::SpendingLimit);

        let in_part = decided_by(&[reserved("mug"), suspicious()]);
        let known = checks(CheckState::Pass, CheckState::Pending, CheckState::Fail);
        assert_eq!(in_part.order().checks, known);
    }

    #[test]
    fn a_check_counts_once_and_its_first_verdict_holds() {
        let pending = pending_after(&[reserved("jumper"), unsuspicious()]);

        for again in [reserved("jumper"), sold_out("jumper"), unsuspicious(), suspicious()] {
            assert_eq!(collect(&pending, &again), Collected::Ignored, "{again:?}");
        }
    }

    #[test]
    fn a_verdict_on_a_product_that_is_not_ordered_is_ignored() {
        let pending = pending_checks(&created());

        assert_eq!(collect(&pending, &reserved("scarf")), Collected::Ignored);
        assert_eq!(collect(&pending, &sold_out("scarf")), Collected::Ignored);
    }

    #[test]
    fn a_verdict_after_the_decision_changes_nothing() {
        let pending = Pending::of(&validated(), Tick(0), Timeouts::DEFAULT).unwrap();
        assert_eq!(collect(&pending, &sold_out("mug")), Collected::Ignored);

        for order in [validated(), paid(), shipped(), failed(), cancelled()] {
            let decision = Decision::new(&open_checks(&created()), vec![]);
            assert_eq!(decide(&order, decision, LATER), None, "{}", order.state);
        }
    }
}
