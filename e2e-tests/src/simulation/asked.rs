//! What clients have asked, and what each answer must be like.

use bytes::Bytes;
use events::ids::{AdjustmentId, CustomerId, DepositId, OrderId, ProductId};
use events::order::{Order, Reason};
use events::order_request::PlaceOrder;
use orders_service::order::state::{Existing, OrderRecord};
use sim::CallOutcome;

use super::{Shop, decode, lost};
use invariants::Violation;
use invariants::answers::Floor;

/// A question, with what was known when it was asked.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    Product(ProductId),
    Customer(CustomerId),
    Adjustment(ProductId, AdjustmentId),
    Deposit(CustomerId, DepositId),
    Place {
        request: Box<PlaceOrder>,
        floor: Floor,
        /// Its products and its customer were all known to be there.
        all_known: bool,
    },
    Order {
        id: OrderId,
        floor: Floor,
    },
}

impl Shop {
    /// Checks an answer against what was asked, and remembers what it tells.
    pub(super) fn check_answer(
        &mut self,
        asked: Asked,
        outcome: &CallOutcome,
    ) -> Result<(), Violation> {
        match (asked, outcome) {
            (Asked::Place { request, .. }, CallOutcome::Accepted) => {
                self.answers.accepted(&request.order_id);
                Ok(())
            }
            (asked, CallOutcome::Found(entries) | CallOutcome::TimedOut(entries)) => {
                self.check_entries(asked, entries)
            }
            _ => Ok(()),
        }
    }

    fn check_entries(&mut self, asked: Asked, entries: &[Option<Bytes>]) -> Result<(), Violation> {
        let first = entries.first().and_then(Option::as_ref);
        let is_there = first.is_some();
        match asked {
            Asked::Product(product) if is_there => {
                self.known_products.insert(product);
            }
            Asked::Product(product) => {
                return Err(lost(format!("product {product} was put and is not there")));
            }
            Asked::Customer(customer) if is_there => {
                self.known_customers.insert(customer);
            }
            Asked::Customer(customer) => {
                return Err(lost(format!("customer {customer} was put and is not there")));
            }
            Asked::Adjustment(product, adjustment) if is_there => {
                self.answers.adjusted(product, adjustment);
            }
            Asked::Deposit(customer, deposit) if is_there => {
                self.answers.deposited(customer, deposit);
            }
            Asked::Adjustment(..) | Asked::Deposit(..) => {
                if entries.iter().all(Option::is_none) {
                    return Err(lost(format!("{asked:?} was taken and not decided")));
                }
            }
            Asked::Place { request, floor, all_known } => {
                let record = order_of(first)?;
                let Some(record) = record else {
                    let id = &request.order_id;
                    return Err(lost(format!("order {id} was taken and is not there")));
                };
                self.check_placed(&request, &record, floor)?;
                if all_known && record.request_id == request.request_id {
                    check_known(&record)?;
                }
            }
            Asked::Order { id, floor } => match order_of(first)? {
                None => self.answers.missing(&id, floor)?,
                Some(OrderRecord { order: Order { version, state, .. }, .. }) => {
                    self.answers.shown(&id, floor, version, state)?;
                }
            },
        }
        Ok(())
    }

    fn check_placed(
        &mut self,
        request: &PlaceOrder,
        record: &OrderRecord,
        floor: Floor,
    ) -> Result<(), Violation> {
        let id = &request.order_id;
        match record.compare(request.request_id, request.fingerprint) {
            Existing::SameRequest => self.answers.created(id)?,
            Existing::SameContent => {}
            // The answer is 409 and shows nothing of the order.
            Existing::OtherContent => return Ok(()),
        }
        let Order { version, state, .. } = &record.order;
        self.answers.shown(id, floor, *version, *state)
    }
}

/// An order must not fail for want of something that clients were told to be there.
fn check_known(record: &OrderRecord) -> Result<(), Violation> {
    let unknown =
        record.order.failures.iter().find(|failure| {
            matches!(failure.reason, Reason::UnknownCustomer | Reason::UnknownProduct)
        });
    match unknown {
        Some(failure) => Err(lost(format!(
            "order {} failed with {failure:?}, which was answered before",
            record.order.id
        ))),
        None => Ok(()),
    }
}

fn order_of(entry: Option<&Bytes>) -> Result<Option<OrderRecord>, Violation> {
    entry
        .map(|bytes| decode(bytes).ok_or_else(|| lost(format!("an order reads {bytes:?}"))))
        .transpose()
}
