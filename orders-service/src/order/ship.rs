//! Sending an order on its way.

use events::Timestamp;
use events::order::{Order, OrderEvent, OrderState};

use super::{Outcome, Refusal};

/// Sends an order on its way that is paid.
pub fn ship(order: Option<&Order>, now: Timestamp) -> Outcome {
    let Some(order) = order else { return Outcome::Refused(Refusal::UnknownOrder) };
    if order.state == OrderState::Shipped {
        return Outcome::Repeated;
    }
    super::change(order, OrderState::Shipped, now).map_or_else(
        || Outcome::Refused(Refusal::NotShippable { state: order.state }),
        |order| Outcome::Changed(OrderEvent::Shipped(order)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::fixtures::*;

    #[test]
    fn a_paid_order_is_shipped() {
        let Outcome::Changed(OrderEvent::Shipped(order)) = ship(Some(&paid()), LATER) else {
            panic!("it is paid")
        };

        assert_eq!(order, Order { updated_at: LATER, ..shipped() });
    }

    #[test]
    fn shipping_again_changes_nothing() {
        assert_eq!(ship(Some(&shipped()), LATER), Outcome::Repeated);
    }

    #[test]
    fn an_order_that_is_not_paid_is_not_shipped() {
        for order in [created(), validated(), failed(), cancelled()] {
            let refusal = Refusal::NotShippable { state: order.state };
            assert_eq!(ship(Some(&order), LATER), Outcome::Refused(refusal));
        }
    }

    #[test]
    fn an_unknown_order_is_not_shipped() {
        assert_eq!(ship(None, LATER), Outcome::Refused(Refusal::UnknownOrder));
    }
}
