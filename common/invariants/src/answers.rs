//! INV-7: what was answered is never lost, and no client sees an order's version go back.

use std::collections::BTreeMap;

use events::ids::{AdjustmentId, CustomerId, DepositId, OrderId, ProductId};
use events::order::{OrderState, Version};

use super::{Invariant, Invariants, Violation};

/// What is known of an order before something is asked about it: no answer may show less, however
/// many clients ask through however many instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Floor(Option<Version>);

/// Accepted, and not seen yet: below every version.
const ACCEPTED: Version = Version(0);

/// What clients were answered, all of them together.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    orders: BTreeMap<OrderId, Heard>,
    adjustments: Vec<(ProductId, AdjustmentId)>,
    deposits: Vec<(CustomerId, DepositId)>,
}

#[derive(Clone, Debug, Default)]
struct Heard {
    created: bool,
    versions: BTreeMap<Version, OrderState>,
}

impl Answers {
    /// What an answer to a question that is asked from now on must show at least. To be taken
    /// before the question is sent.
    pub fn floor(&self, id: &OrderId) -> Floor {
        let version = |heard: &Heard| heard.versions.keys().next_back().copied();
        Floor(self.orders.get(id).map(|heard| version(heard).unwrap_or(ACCEPTED)))
    }

    /// A client was told that its request will make an order.
    pub fn accepted(&mut self, id: &OrderId) {
        self.orders.entry(id.clone()).or_default();
    }

    /// A client was told that its request has made an order.
    ///
    /// # Errors
    /// [`Invariant::LegalHistory`] where another request was told so before.
    pub fn created(&mut self, id: &OrderId) -> Result<(), Violation> {
        let heard = self.orders.entry(id.clone()).or_default();
        if std::mem::replace(&mut heard.created, true) {
            let detail = format!("two requests were told that they had made order {id}");
            return Err(Violation::new(Invariant::LegalHistory, detail));
        }
        Ok(())
    }

    /// A client was shown an order, by an answer to a question that was asked at `floor`.
    ///
    /// # Errors
    /// [`Invariant::NeverLost`] where the order was seen further, or otherwise, before.
    pub fn shown(
        &mut self,
        id: &OrderId,
        floor: Floor,
        version: Version,
        state: OrderState,
    ) -> Result<(), Violation> {
        let heard = self.orders.entry(id.clone()).or_default();
        let before = *heard.versions.entry(version).or_insert(state);
        if before != state {
            return Err(lost(format!("order {id} version {version} is {before} and {state}")));
        }
        match floor.0 {
            Some(seen) if version < seen => {
                Err(lost(format!("order {id} goes back from version {seen} to {version}")))
            }
            _ => Ok(()),
        }
    }

    /// A client was told that there is no such order.
    ///
    /// # Errors
    /// [`Invariant::NeverLost`] where there was one before.
    pub fn missing(&self, id: &OrderId, floor: Floor) -> Result<(), Violation> {
        match floor.0 {
            Some(seen) => Err(lost(format!("order {id} of version {seen} is not there any more"))),
            None => Ok(()),
        }
    }

    /// A client was told that the stock is adjusted.
    pub fn adjusted(&mut self, product: ProductId, adjustment: AdjustmentId) {
        self.adjustments.push((product, adjustment));
    }

    /// A client was told that a deposit is made.
    pub fn deposited(&mut self, customer: CustomerId, deposit: DepositId) {
        self.deposits.push((customer, deposit));
    }

    /// What was answered and is not on the log.
    pub fn not_on(&self, log: &Invariants) -> Vec<Violation> {
        let orders = self.orders.iter().filter_map(|(id, heard)| not_on(log, id, heard));
        let adjustments = self.adjustments.iter().filter_map(|(product, adjustment)| {
            let there = log.stock().has_adjustment(product, adjustment);
            (!there).then(|| format!("adjustment {adjustment} of product {product} is lost"))
        });
        let deposits = self.deposits.iter().filter_map(|(customer, deposit)| {
            let there = log.accounts().has_deposit(customer, deposit);
            (!there).then(|| format!("deposit {deposit} of customer {customer} is lost"))
        });
        orders.chain(adjustments).chain(deposits).map(lost).collect()
    }

    /// How many orders were answered.
    pub fn order_count(&self) -> usize {
        self.orders.len()
    }
}

fn not_on(log: &Invariants, id: &OrderId, heard: &Heard) -> Option<String> {
    let Some(history) = log.orders().get(id) else {
        return Some(format!("order {id} was answered and is lost"));
    };
    heard.versions.iter().find_map(|(version, state)| match history.state_at(*version) {
        Some(there) if there == *state => None,
        Some(there) => {
            Some(format!("order {id} version {version} was shown as {state} and is {there}"))
        }
        None => Some(format!("order {id} version {version}, {state}, was shown and is lost")),
    })
}

fn lost(detail: String) -> Violation {
    Violation::new(Invariant::NeverLost, detail)
}

#[cfg(test)]
mod tests {
    use events::order::OrderState::{Created, Failed, Validated};
    use events::stock::{AdjustStock, ProductRequest};

    use super::*;
    use crate::fixtures::*;

    const V1: Version = Version(1);
    const V2: Version = Version(2);

    /// Answers that have shown `o-1` in version 2.
    fn seen_validated() -> Answers {
        let mut answers = Answers::default();
        let id = order_id("o-1");
        let floor = answers.floor(&id);
        answers.shown(&id, floor, V1, Created).unwrap();
        answers.shown(&id, floor, V2, Validated).unwrap();
        answers
    }

    fn invariant(checked: Result<(), Violation>) -> Invariant {
        checked.unwrap_err().invariant
    }

    #[test]
    fn an_order_never_goes_back() {
        let (mut answers, id) = (seen_validated(), order_id("o-1"));
        let floor = answers.floor(&id);

        assert_eq!(answers.shown(&id, floor, V2, Validated), Ok(()));
        assert_eq!(invariant(answers.shown(&id, floor, V1, Created)), Invariant::NeverLost);
        assert_eq!(invariant(answers.missing(&id, floor)), Invariant::NeverLost);
    }

    #[test]
    fn an_answer_may_be_older_than_one_that_came_while_it_was_under_way() {
        let mut answers = Answers::default();
        let id = order_id("o-1");
        let asked_early = answers.floor(&id);
        let floor = answers.floor(&id);
        answers.shown(&id, floor, V2, Validated).unwrap();

        assert_eq!(answers.shown(&id, asked_early, V1, Created), Ok(()));
        assert_eq!(answers.missing(&id, asked_early), Ok(()));
        let floor = answers.floor(&id);
        assert!(answers.shown(&id, floor, V1, Created).is_err());
    }

    #[test]
    fn a_version_has_one_state() {
        let (mut answers, id) = (seen_validated(), order_id("o-1"));
        let floor = answers.floor(&id);

        assert_eq!(invariant(answers.shown(&id, floor, V2, Failed)), Invariant::NeverLost);
    }

    #[test]
    fn an_accepted_order_is_there_from_then_on() {
        let mut answers = Answers::default();
        let id = order_id("o-1");
        assert_eq!(answers.missing(&id, answers.floor(&id)), Ok(()));

        answers.accepted(&id);

        assert_eq!(invariant(answers.missing(&id, answers.floor(&id))), Invariant::NeverLost);
        let floor = answers.floor(&id);
        assert_eq!(answers.shown(&id, floor, V1, Created), Ok(()));
    }

    #[test]
    fn an_order_is_made_by_one_request() {
        let mut answers = Answers::default();

        assert_eq!(answers.created(&order_id("o-1")), Ok(()));
        assert_eq!(answers.created(&order_id("o-2")), Ok(()));
        assert_eq!(invariant(answers.created(&order_id("o-1"))), Invariant::LegalHistory);
    }

    #[test]
    fn what_was_answered_is_on_the_log() {
        let log = |states: &[OrderState]| {
            let mut log = Invariants::default();
            for (version, state) in (1..).zip(states) {
                log.orders.event(&event("o-1", version, *state)).unwrap();
            }
            log
        };
        let answers = seen_validated();
        assert_eq!(answers.not_on(&log(&[Created, Validated, Failed])), []);
        for states in [&[][..], &[Created], &[Created, Failed]] {
            let violations = answers.not_on(&log(states));
            assert_eq!(violations.len(), 1, "{states:?}");
            assert_eq!(violations[0].invariant, Invariant::NeverLost);
        }
    }

    #[test]
    fn adjustments_and_deposits_that_were_answered_are_on_the_log() {
        let mut answers = Answers::default();
        let adjustment_id = AdjustmentId::parse("a-1").unwrap();
        answers.adjusted(product_id(), adjustment_id.clone());
        answers.deposited(customer_id(), DepositId::parse("d-1").unwrap());
        let mut log = Invariants::default();
        assert_eq!(answers.not_on(&log).len(), 2);

        log.accounts.request(&deposit("d-1", "1.00"));
        assert_eq!(answers.not_on(&log).len(), 1);

        log.stock.request(&ProductRequest::AdjustStock(AdjustStock {
            request_id: events::ids::RequestId::from_u128(1),
            product_id: product_id(),
            adjustment_id,
            delta: 1,
        }));
        assert_eq!(answers.not_on(&log), []);
    }
}
