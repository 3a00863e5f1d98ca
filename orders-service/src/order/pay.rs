//! The result of an order's payment.

use events::Timestamp;
use events::order::{Check, Failure, Order, OrderEvent, OrderState, Reason};
use events::payment::{DeclinedPayment, PaymentEvent};

/// Marks a validated order as paid, or fails it; `None` where the order does not wait for a
/// payment any more, or where this says nothing new.
pub fn take_payment(order: &Order, event: &PaymentEvent, now: Timestamp) -> Option<OrderEvent> {
    if order.state != OrderState::Validated {
        return None;
    }
    match event {
        PaymentEvent::Authorised(_) => {
            super::change(order, OrderState::Paid, now).map(OrderEvent::Paid)
        }
        PaymentEvent::Declined(declined) => {
            let mut order = super::change(order, OrderState::Failed, now)?;
            order.failures = vec![failure(declined)];
            Some(OrderEvent::Failed(order))
        }
        // Both answer a change of the order, so they come after it.
        PaymentEvent::Captured(_) | PaymentEvent::Released(_) => None,
    }
}

fn failure(declined: &DeclinedPayment) -> Failure {
    Failure {
        check: Check::Payment,
        product_id: None,
        reason: Reason::PaymentDeclined,
        detail: declined.detail.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::fixtures::*;

    #[test]
    fn a_validated_order_is_paid_when_its_payment_is_authorised() {
        let event = take_payment(&validated(), &authorised(), LATER);

        assert_eq!(event, Some(OrderEvent::Paid(Order { updated_at: LATER, ..paid() })));
    }

    #[test]
    fn a_validated_order_fails_when_its_payment_is_declined() {
        let event = take_payment(&validated(), &declined(), LATER).unwrap();

        let OrderEvent::Failed(order) = event else { panic!("{event:?}") };
        assert_eq!((order.version, order.state), (Version(3), OrderState::Failed));
        assert_eq!(order.failures.len(), 1);
        assert_eq!(order.failures[0].check, Check::Payment);
        assert_eq!(order.failures[0].reason, Reason::PaymentDeclined);
        assert_eq!(order.failures[0].detail, "33.98 asked for, 10.00 available");
        assert_eq!(order.checks, validated().checks);
    }

    #[test]
    fn a_payment_result_after_the_order_has_gone_on_changes_nothing() {
        for order in [created(), paid(), shipped(), failed(), cancelled()] {
            assert_eq!(take_payment(&order, &authorised(), LATER), None, "{}", order.state);
            assert_eq!(take_payment(&order, &declined(), LATER), None, "{}", order.state);
        }
    }

    #[test]
    fn what_becomes_of_a_payment_later_changes_no_order() {
        let payment = authorised().payment().clone();
        for event in [PaymentEvent::Captured(payment.clone()), PaymentEvent::Released(payment)] {
            assert_eq!(take_payment(&validated(), &event, LATER), None);
        }
    }
}
