//! The fold over an order's events, as whoever reads them does it: what the rules are held against.

use events::ids::OrderId;
use events::order::{Order, OrderEvent, OrderState, Version};

/// An event that cannot follow what the order is: it was made by no rule of this service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    /// The first event of an order is another than its creation.
    #[error("order {order_id} begins with {state} at version {version}")]
    NotCreated {
        /// The order.
        order_id: OrderId,
        /// The state the event leads to.
        state: OrderState,
        /// The version it carries.
        version: Version,
    },
    /// There is no way from the order's state to the event's.
    #[error("order {order_id} cannot go from {from} to {to}")]
    Transition {
        /// The order.
        order_id: OrderId,
        /// The order's state.
        from: OrderState,
        /// The state the event leads to.
        to: OrderState,
    },
    /// A version is left out or repeated.
    #[error("order {order_id} is at version {before} and cannot go to {after}")]
    Version {
        /// The order.
        order_id: OrderId,
        /// The order's version.
        before: Version,
        /// The version the event carries.
        after: Version,
    },
    /// The event's type says one state, the order it carries another.
    #[error("an event that leads to {state} carries order {order_id} as {carried}")]
    State {
        /// The order.
        order_id: OrderId,
        /// The state of the event's type.
        state: OrderState,
        /// The state in its body.
        carried: OrderState,
    },
    /// The event carries another order, or changes what an order keeps.
    #[error("an event of order {order_id} changes what the order is made of")]
    Content {
        /// The order.
        order_id: OrderId,
    },
}

/// The order after the event. `order` is the order before it, `None` before its first.
///
/// # Errors
/// [`Error`] where the event cannot follow; then the order is as before.
pub(super) fn evolve(order: Option<&Order>, event: &OrderEvent) -> Result<Order, Error> {
    let (state, after) = (event.state(), event.order());
    let order_id = || after.id.clone();
    if after.state != state {
        return Err(Error::State { order_id: order_id(), state, carried: after.state });
    }
    let Some(before) = order else {
        return if state == OrderState::Created && after.version == Version::FIRST {
            Ok(after.clone())
        } else {
            Err(Error::NotCreated { order_id: order_id(), state, version: after.version })
        };
    };
    if !keeps_content(before, after) {
        return Err(Error::Content { order_id: before.id.clone() });
    }
    if !before.state.may_become(state) {
        return Err(Error::Transition { order_id: order_id(), from: before.state, to: state });
    }
    if after.version != before.version.next() {
        let (before, after) = (before.version, after.version);
        return Err(Error::Version { order_id: order_id(), before, after });
    }
    Ok(after.clone())
}

fn keeps_content(before: &Order, after: &Order) -> bool {
    before.id == after.id
        && before.customer_id == after.customer_id
        && before.currency == after.currency
        && before.lines == after.lines
        && before.total == after.total
        && before.placed_at == after.placed_at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::fixtures::*;

    #[test]
    fn the_events_of_a_life_fold_into_the_order_at_its_end() {
        let life = [created(), validated(), paid(), shipped()].map(OrderEvent::that_led_to);

        let order = life
            .iter()
            .try_fold(None, |order: Option<Order>, event| evolve(order.as_ref(), event).map(Some));

        assert_eq!(order, Ok(Some(shipped())));
    }

    #[test]
    fn an_order_begins_with_its_creation_and_is_created_once() {
        let order_id = created().id;
        for order in [validated(), failed(), cancelled()] {
            let (state, version) = (order.state, order.version);
            let error = Error::NotCreated { order_id: order_id.clone(), state, version };
            assert_eq!(evolve(None, &OrderEvent::that_led_to(order)), Err(error));
        }
        let from_version_2 = OrderEvent::Created(Order { version: Version(2), ..created() });
        assert!(matches!(evolve(None, &from_version_2), Err(Error::NotCreated { .. })));
        let again = OrderEvent::Created(Order { version: Version(2), ..created() });
        assert!(matches!(evolve(Some(&created()), &again), Err(Error::Transition { .. })));
    }

    #[test]
    fn only_the_transitions_of_the_picture_are_taken() {
        for before in [created(), validated(), paid(), shipped(), failed(), cancelled()] {
            for after in OrderState::ALL {
                let version = before.version.next();
                let event =
                    OrderEvent::that_led_to(Order { state: after, version, ..before.clone() });
                let taken = evolve(Some(&before), &event).is_ok();
                assert_eq!(taken, before.state.may_become(after), "{} to {after}", before.state);
            }
        }
    }

    #[test]
    fn no_version_is_left_out_or_repeated() {
        for version in [0, 1, 3] {
            let event = OrderEvent::Validated(Order { version: Version(version), ..validated() });
            assert!(matches!(evolve(Some(&created()), &event), Err(Error::Version { .. })));
        }
    }

    #[test]
    fn an_event_says_one_state_only() {
        let event = OrderEvent::Validated(Order { state: OrderState::Paid, ..validated() });

        assert!(matches!(evolve(Some(&created()), &event), Err(Error::State { .. })));
    }

    #[test]
    fn an_order_stays_what_was_ordered() {
        let event = OrderEvent::Validated(Order { total: Some(amount("1.00")), ..validated() });
        assert!(matches!(evolve(Some(&created()), &event), Err(Error::Content { .. })));

        let other = OrderId::parse("o-2").unwrap();
        let event = OrderEvent::Validated(Order { id: other, ..validated() });
        assert!(matches!(evolve(Some(&created()), &event), Err(Error::Content { .. })));
    }
}
