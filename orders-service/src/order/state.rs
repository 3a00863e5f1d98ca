//! What the service keeps of an order beside the order itself.

use events::ids::{ProductId, RequestId};
use events::order::{CheckState, Order, OrderState};
use events::order_request::{Fingerprint, PlaceOrder};

/// An order, and the request that made it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderRecord {
    /// The order as it is.
    pub order: Order,
    /// The request that made it.
    pub request_id: RequestId,
    /// What that request asked for.
    pub fingerprint: Fingerprint,
}

impl OrderRecord {
    /// The record of an order that this request made.
    pub const fn new(order: Order, request: &PlaceOrder) -> Self {
        let (request_id, fingerprint) = (request.request_id, request.fingerprint);
        OrderRecord { order, request_id, fingerprint }
    }

    /// How a request to place an order under this id stands to what is there. Whatever the answer,
    /// the request changes nothing.
    pub fn compare(&self, request_id: RequestId, fingerprint: Fingerprint) -> Existing {
        if self.request_id == request_id {
            Existing::SameRequest
        } else if self.fingerprint == fingerprint {
            Existing::SameContent
        } else {
            Existing::OtherContent
        }
    }
}

/// How a request to place an order stands to the order that has the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// The request itself made the order.
    SameRequest,
    /// An earlier request asked for the same.
    SameContent,
    /// An earlier request asked for something else.
    OtherContent,
}

/// A number of ticks, counted by the task that takes them. Deadlines count ticks and not clock
/// time, so that an outage or a jump of the clock fails no order.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct Tick(pub u64);

/// How long others may take to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From an order's creation to the last verdict of its checks, in ticks.
    pub validation_ticks: u32,
    /// From an order's validation to the result of its payment, in ticks.
    pub payment_ticks: u32,
}

impl Timeouts {
    /// 5 minutes of one tick a second, for either.
    pub const DEFAULT: Timeouts = Timeouts { validation_ticks: 300, payment_ticks: 300 };
}

/// What an order waits for, and how long. Kept while it is CREATED or VALIDATED.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    /// The last tick at which the answer is still in time.
    pub deadline: Tick,
    /// What is waited for.
    pub awaits: Awaited,
}

/// What an order waits for.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Awaited {
    /// The verdicts of its checks. They are not shown before they decide, so they are kept here.
    Checks(OpenChecks),
    /// The result of its payment.
    Payment,
}

/// The verdicts that are still to come.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenChecks {
    /// The products of the lines that have not passed yet, in the order of the lines.
    pub unreserved: Vec<ProductId>,
    /// Whether the fraud check has passed.
    pub fraud_passed: bool,
}

impl Pending {
    /// What an order waits for when it has just come into its state; `None` where it waits for
    /// nothing. `now` is the number of ticks taken so far.
    pub fn of(order: &Order, now: Tick, timeouts: Timeouts) -> Option<Self> {
        let (awaits, ticks) = match order.state {
            OrderState::Created if order.checks.order_details == CheckState::Pass => {
                let unreserved = order.lines.iter().map(|line| line.product_id.clone()).collect();
                let checks = OpenChecks { unreserved, fraud_passed: false };
                (Awaited::Checks(checks), timeouts.validation_ticks)
            }
            OrderState::Validated => (Awaited::Payment, timeouts.payment_ticks),
            _ => return None,
        };
        Some(Pending { deadline: Tick(now.0.saturating_add(ticks.into())), awaits })
    }

    /// Whether the time is up after `now` ticks. The tick that ends the time it has comes after
    /// the deadline: a part of the first tick had passed when the order came.
    pub const fn is_expired(&self, now: Tick) -> bool {
        now.0 > self.deadline.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::fixtures::*;

    #[test]
    fn a_request_finds_its_own_order_the_same_order_or_another() {
        let request = place(&[("jumper", 2, None), ("mug", 1, None)]);
        let record = OrderRecord::new(created(), &request);
        let (other_id, other) = (RequestId::from_u128(2), place(&[("jumper", 3, None)]));

        let same = request.fingerprint;
        assert_eq!(record.compare(request.request_id, same), Existing::SameRequest);
        assert_eq!(record.compare(other_id, same), Existing::SameContent);
        assert_eq!(record.compare(other_id, other.fingerprint), Existing::OtherContent);
    }

    #[test]
    fn an_order_waits_for_its_checks_then_for_its_payment_then_for_nothing() {
        let now = Tick(7);
        let timeouts = Timeouts { validation_ticks: 300, payment_ticks: 60 };
        let awaited = |order: &Order| Pending::of(order, now, timeouts);

        let checks = awaited(&created()).unwrap();
        assert_eq!(checks.deadline, Tick(307));
        assert_eq!(checks.awaits, Awaited::Checks(open_checks(&created())));
        let payment = Pending { deadline: Tick(67), awaits: Awaited::Payment };
        assert_eq!(awaited(&validated()), Some(payment));
        for order in [paid(), shipped(), failed(), cancelled()] {
            assert_eq!(awaited(&order), None, "{}", order.state);
        }
    }

    #[test]
    fn an_order_whose_details_failed_waits_for_nothing() {
        for event in details_failed() {
            assert_eq!(Pending::of(event.order(), Tick(0), Timeouts::DEFAULT), None);
        }
    }

    #[test]
    fn what_is_kept_reads_back() {
        let record = OrderRecord::new(created(), &place(&[("jumper", 2, None)]));
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<OrderRecord>(&json).unwrap(), record);

        for pending in [created(), validated()].map(|order| awaited(&order)) {
            let json = serde_json::to_string(&pending).unwrap();
            assert_eq!(serde_json::from_str::<Pending>(&json).unwrap(), pending);
        }
    }

    fn awaited(order: &Order) -> Pending {
        Pending::of(order, Tick(0), Timeouts::DEFAULT).unwrap()
    }
}
