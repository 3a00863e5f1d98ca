//! INV-3: every accepted order settles. INV-5: the history of an order is a legal one.

use std::collections::{BTreeMap, BTreeSet};

use events::ids::OrderId;
use events::order::{Order, OrderEvent, OrderState, Version};
use events::order_request::OrderRequest;

use super::{Invariant, Violation};

/// The orders on the log.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    accepted: BTreeSet<OrderId>,
    orders: BTreeMap<OrderId, History>,
}

/// An order, and how it came there.
#[derive(Clone, Debug)]
pub struct History {
    /// The order after its latest event.
    pub order: Order,
    /// Its states, oldest first: that of version 1 and so on.
    pub states: Vec<OrderState>,
}

impl History {
    /// The state that the order had at this version, if it came so far.
    pub fn state_at(&self, version: Version) -> Option<OrderState> {
        let at = usize::try_from(version.0).ok()?.checked_sub(1)?;
        self.states.get(at).copied()
    }
}

impl Orders {
    /// Takes a record of the requests.
    pub fn request(&mut self, request: &OrderRequest) {
        if let OrderRequest::Place(place) = request {
            self.accepted.insert(place.order_id.clone());
        }
    }

    /// Takes the next event of an order.
    ///
    /// # Errors
    /// [`Invariant::LegalHistory`] where it cannot follow those before it.
    pub fn event(&mut self, event: &OrderEvent) -> Result<(), Violation> {
        let order = event.order();
        let before = self.orders.get(&order.id);
        let legal = legal(before.map(|history| &history.order), event);
        let mut states = before.map(|history| history.states.clone()).unwrap_or_default();
        states.push(order.state);
        self.orders.insert(order.id.clone(), History { order: order.clone(), states });
        legal.map_err(|detail| {
            Violation::new(Invariant::LegalHistory, format!("order {}: {detail}", order.id))
        })
    }

    /// Accepted orders that have not settled.
    pub fn at_rest(&self) -> Vec<Violation> {
        let unmade = self.accepted.iter().filter(|id| !self.orders.contains_key(*id));
        let unmade = unmade.map(|id| format!("order {id} was accepted and never made"));
        let open = self.orders.values().map(|history| &history.order);
        let open = open.filter(|order| !order.state.is_settled()).map(|order| {
            let Order { id, version, state, .. } = order;
            format!("order {id} rests in version {version}, {state}")
        });
        unmade.chain(open).map(|detail| Violation::new(Invariant::Settled, detail)).collect()
    }

    /// The order of this id.
    pub fn get(&self, id: &OrderId) -> Option<&History> {
        self.orders.get(id)
    }

    /// All orders, by id.
    pub fn iter(&self) -> impl Iterator<Item = &History> {
        self.orders.values()
    }
}

/// Why the event cannot follow the order as it was before.
fn legal(before: Option<&Order>, event: &OrderEvent) -> Result<(), String> {
    let after = event.order();
    if event.state() != after.state {
        return Err(format!("the event that leads to {} shows {}", event.state(), after.state));
    }
    let (version, state) = (after.version, after.state);
    let Some(before) = before else {
        return if (version, state) == (Version::FIRST, OrderState::Created) {
            Ok(())
        } else {
            Err(format!("it begins with version {version}, {state}"))
        };
    };
    if version != before.version.next() || !before.state.may_become(state) {
        return Err(format!(
            "version {version}, {state} follows version {}, {}",
            before.version, before.state
        ));
    }
    let (same_lines, same_customer) =
        (after.lines == before.lines, after.customer_id == before.customer_id);
    if !same_lines || !same_customer || after.total != before.total {
        return Err(format!("version {version} is of another content than the one before"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use events::order::OrderState::{Cancelled, Created, Failed, Paid, Shipped, Validated};

    use super::*;
    use crate::fixtures::*;

    /// Whether an order may have these events one after another.
    fn is_legal(events: &[(u32, OrderState)]) -> bool {
        let mut orders = Orders::default();
        events.iter().all(|(version, state)| orders.event(&event("o-1", *version, *state)).is_ok())
    }

    #[test]
    fn an_order_lives_as_the_picture_says() {
        for life in [
            &[(1, Created), (2, Validated), (3, Paid), (4, Shipped)][..],
            &[(1, Created), (2, Failed)],
            &[(1, Created), (2, Validated), (3, Failed)],
            &[(1, Created), (2, Cancelled)],
            &[(1, Created), (2, Validated), (3, Paid), (4, Cancelled)],
        ] {
            assert!(is_legal(life), "{life:?}");
        }
    }

    #[test]
    fn any_other_life_breaks_inv_5() {
        for life in [
            // Created twice, or not at first.
            &[(1, Created), (1, Created)][..],
            &[(1, Created), (2, Created)],
            &[(2, Created)],
            &[(1, Validated)],
            // A version repeated, left out, or going back.
            &[(1, Created), (2, Validated), (2, Validated)],
            &[(1, Created), (2, Validated), (2, Paid)],
            &[(1, Created), (3, Validated)],
            &[(1, Created), (2, Validated), (1, Paid)],
            // Steps outside the picture.
            &[(1, Created), (2, Paid)],
            &[(1, Created), (2, Failed), (3, Validated)],
            &[(1, Created), (2, Validated), (3, Paid), (4, Shipped), (5, Cancelled)],
        ] {
            assert!(!is_legal(life), "{life:?}");
        }
    }

    #[test]
    fn an_event_shows_the_state_that_it_leads_to() {
        let mut orders = Orders::default();
        let event = OrderEvent::Created(order("o-1", 1, Failed));

        let violation = orders.event(&event).unwrap_err();

        assert_eq!(violation.invariant, Invariant::LegalHistory);
        assert!(violation.detail.contains("leads to CREATED shows FAILED"), "{violation}");
    }

    #[test]
    fn an_order_keeps_what_it_is_about() {
        let changes: [fn(&mut Order); 3] = [
            |order| order.lines.clear(),
            |order| order.total = None,
            |order| order.customer_id = "bob".parse().unwrap(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut orders = Orders::default();
            orders.event(&event("o-1", 1, Created)).unwrap();
            let mut after = order("o-1", 2, Validated);
            change(&mut after);
            assert!(orders.event(&OrderEvent::Validated(after)).is_err(), "change {number}");
        }
    }

    #[test]
    fn an_order_that_rests_unsettled_breaks_inv_3() {
        for (states, settled) in [
            (&[Created][..], false),
            (&[Created, Validated], false),
            (&[Created, Validated, Paid], true),
            (&[Created, Failed], true),
            (&[Created, Cancelled], true),
            (&[Created, Validated, Paid, Shipped], true),
        ] {
            let mut orders = Orders::default();
            orders.request(&place("o-1"));
            for (version, state) in (1..).zip(states) {
                orders.event(&event("o-1", version, *state)).unwrap();
            }
            let found: Vec<_> = orders.at_rest().iter().map(|it| it.invariant).collect();
            let expected = if settled { vec![] } else { vec![Invariant::Settled] };
            assert_eq!(found, expected, "{states:?}");
        }
    }

    #[test]
    fn an_accepted_order_that_was_never_made_breaks_inv_3() {
        let mut orders = Orders::default();
        orders.request(&place("o-1"));

        assert_eq!(orders.at_rest()[0].invariant, Invariant::Settled);
    }

    #[test]
    fn a_history_knows_the_state_at_each_version() {
        let mut orders = Orders::default();
        orders.event(&event("o-1", 1, Created)).unwrap();
        orders.event(&event("o-1", 2, Failed)).unwrap();

        let history = orders.get(&order_id("o-1")).unwrap();
        let states = [0, 1, 2, 3].map(|version| history.state_at(Version(version)));
        assert_eq!(states, [None, Some(Created), Some(Failed), None]);
    }
}
