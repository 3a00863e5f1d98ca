//! What other services hear of an order's events.

use events::order::{CheckState, Line, Order, OrderEvent};
use events::stock::{OrderLine, OrderLineEvent};

/// The records that an event makes beside the one in the orders' own topic, where every event
/// goes. They are written in one transaction with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Whether the event also goes to the topic that is keyed by customer.
    pub by_customer: bool,
    /// What it means for the stock of each of its products.
    pub lines: Vec<OrderLineEvent>,
}

/// What others hear of an event. Nothing of an order whose details did not pass: there is nothing
/// to reserve, to count or to pay.
pub fn effects(event: &OrderEvent) -> Effects {
    if event.order().checks.order_details != CheckState::Pass {
        return Effects::default();
    }
    let lines = match event {
        OrderEvent::Created(order) => lines(order, OrderLineEvent::Placed),
        OrderEvent::Failed(order) | OrderEvent::Cancelled(order) => {
            lines(order, OrderLineEvent::Released)
        }
        OrderEvent::Shipped(order) => lines(order, OrderLineEvent::Shipped),
        OrderEvent::Validated(_) | OrderEvent::Paid(_) => vec![],
    };
    Effects { by_customer: true, lines }
}

fn lines(order: &Order, event: fn(OrderLine) -> OrderLineEvent) -> Vec<OrderLineEvent> {
    let line = |line: &Line| OrderLine {
        order_id: order.id.clone(),
        version: order.version,
        product_id: line.product_id.clone(),
        quantity: line.quantity,
    };
    order.lines.iter().map(line).map(event).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::fixtures::*;

    /// Event type and product of each line event.
    fn lines_of(order: Order) -> Vec<(&'static str, String)> {
        let effects = effects(&OrderEvent::that_led_to(order));
        assert!(effects.by_customer);
        let word = |line: &OrderLineEvent| match line {
            OrderLineEvent::Placed(_) => "placed",
            OrderLineEvent::Released(_) => "released",
            OrderLineEvent::Shipped(_) => "shipped",
        };
        let product = |line: &OrderLineEvent| line.line().product_id.to_string();
        effects.lines.iter().map(|line| (word(line), product(line))).collect()
    }

    fn each(word: &'static str) -> Vec<(&'static str, String)> {
        ["jumper", "mug"].map(|product| (word, product.to_owned())).to_vec()
    }

    #[test]
    fn every_line_is_placed_once_and_released_or_shipped_at_the_end() {
        assert_eq!(lines_of(created()), each("placed"));
        assert_eq!(lines_of(validated()), []);
        assert_eq!(lines_of(paid()), []);
        assert_eq!(lines_of(shipped()), each("shipped"));
        assert_eq!(lines_of(failed()), each("released"));
        assert_eq!(lines_of(cancelled()), each("released"));
    }

    #[test]
    fn a_line_says_order_version_and_quantity() {
        let effects = effects(&OrderEvent::that_led_to(shipped()));

        let line = effects.lines[0].line();
        assert_eq!((&line.order_id, line.version), (&shipped().id, Version(4)));
        assert_eq!(line.quantity, shipped().lines[0].quantity);
    }

    #[test]
    fn nobody_hears_of_an_order_whose_details_failed() {
        for event in details_failed() {
            assert_eq!(effects(&event), Effects::default(), "{event:?}");
        }
    }
}
