//! Answers that come after an order is over: whatever they took for it is given back.
//!
//! In the course of things the order's last event has seen to that, and what is said here is said
//! for the second time and changes nothing. It has not where a service heard of the order only
//! after it was over, as when a record that it could not read was put back.

use events::order::{Order, OrderEvent, OrderState};
use events::payment::PaymentEvent;
use events::stock::OrderLineEvent;
use events::validation::{OrderValidation, Verdict};

use super::effects::effects;

/// What stock that was reserved for an order hears where the order wants it no more.
pub fn give_back_stock(order: &Order, validation: &OrderValidation) -> Option<OrderLineEvent> {
    let OrderValidation::Inventory(check) = validation else { return None };
    let is_reserved = matches!(check.verdict, Verdict::Pass);
    let last = last_event(order).filter(|_| is_reserved)?;
    let mut lines = effects(&last).lines.into_iter();
    lines.find(|line| line.line().product_id == check.product_id)
}

/// What a payment that was authorised for an order hears where the order wants it no more: its last
/// event once more.
pub fn give_back_money(order: &Order, payment: &PaymentEvent) -> Option<OrderEvent> {
    let is_held = matches!(payment, PaymentEvent::Authorised(_));
    last_event(order).filter(|_| is_held)
}

/// The event by which an order ended that gets nothing.
fn last_event(order: &Order) -> Option<OrderEvent> {
    let gets_nothing = matches!(order.state, OrderState::Failed | OrderState::Cancelled);
    gets_nothing.then(|| OrderEvent::that_led_to(order.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::fixtures::*;

    #[test]
    fn what_is_reserved_for_an_order_that_is_over_is_released() {
        for order in [failed(), cancelled()] {
            let line = give_back_stock(&order, &reserved("mug")).unwrap();

            let OrderLineEvent::Released(line) = line else { panic!("{line:?}") };
            assert_eq!((&line.order_id, line.version), (&order.id, order.version));
            assert_eq!(line.product_id.to_string(), "mug");
        }
    }

    #[test]
    fn what_is_authorised_for_an_order_that_is_over_is_released() {
        for order in [failed(), cancelled()] {
            let event = give_back_money(&order, &authorised());
            assert_eq!(event, Some(OrderEvent::that_led_to(order)));
        }
    }

    #[test]
    fn an_order_keeps_what_it_still_wants() {
        for order in [created(), validated(), paid(), shipped()] {
            assert_eq!(give_back_stock(&order, &reserved("mug")), None, "{}", order.state);
            assert_eq!(give_back_money(&order, &authorised()), None, "{}", order.state);
        }
    }

    #[test]
    fn an_answer_that_took_nothing_gives_nothing_back() {
        for validation in [sold_out("mug"), unsuspicious(), suspicious(), reserved("yacht")] {
            assert_eq!(give_back_stock(&failed(), &validation), None, "{validation:?}");
        }
        assert_eq!(give_back_money(&failed(), &declined()), None);
    }
}
