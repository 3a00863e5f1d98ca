//! Calling an order off.

use events::Timestamp;
use events::order::{Order, OrderEvent, OrderState};

use super::{Outcome, Refusal};

/// Calls an order off that is neither final nor called off before.
pub fn cancel(order: Option<&Order>, now: Timestamp) -> Outcome {
    let Some(order) = order else { return Outcome::Refused(Refusal::UnknownOrder) };
    if order.state == OrderState::Cancelled {
        return Outcome::Repeated;
    }
    super::change(order, OrderState::Cancelled, now).map_or_else(
        || Outcome::Refused(Refusal::NotCancellable { state: order.state }),
        |order| Outcome::Changed(OrderEvent::Cancelled(order)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::fixtures::*;

    #[test]
    fn an_order_can_be_cancelled_until_it_is_final() {
        for order in [created(), validated(), paid()] {
            let Outcome::Changed(OrderEvent::Cancelled(after)) = cancel(Some(&order), LATER) else {
                panic!("{}", order.state)
            };
            assert_eq!((after.version, after.state), (order.version.next(), OrderState::Cancelled));
            assert_eq!(after.checks, order.checks);
        }
    }

    #[test]
    fn cancelling_again_changes_nothing() {
        assert_eq!(cancel(Some(&cancelled()), LATER), Outcome::Repeated);
    }

    #[test]
    fn an_order_that_is_shipped_or_failed_is_not_cancelled() {
        for order in [shipped(), failed()] {
            let refusal = Refusal::NotCancellable { state: order.state };
            assert_eq!(cancel(Some(&order), LATER), Outcome::Refused(refusal));
        }
    }

    #[test]
    fn an_unknown_order_is_not_cancelled() {
        assert_eq!(cancel(None, LATER), Outcome::Refused(Refusal::UnknownOrder));
    }

    #[test]
    fn the_time_of_an_order_never_goes_back() {
        let Outcome::Changed(event) = cancel(Some(&created()), NOW - 5_000) else { panic!() };

        assert_eq!(event.order().updated_at, created().updated_at);
    }
}
