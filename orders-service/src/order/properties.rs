//! What holds of an order whatever happens to it, in whatever order.

use events::order::{CheckState, Order, OrderEvent, OrderState, Reason, Version};
use events::order_request::PlaceOrder;
use events::payment::PaymentEvent;
use events::stock::OrderLineEvent;
use events::validation::OrderValidation;
use proptest::collection::vec;
use proptest::prelude::*;

use super::cancel::cancel;
use super::effects::effects;
use super::evolve::evolve;
use super::expire::expire;
use super::fixtures::*;
use super::pay::take_payment;
use super::place::{Details, PricedLines, create};
use super::ship::ship;
use super::state::OrderRecord;
use super::validate::decide;
use super::{Outcome, Refusal};

const TIMEOUTS: Timeouts = Timeouts { validation_ticks: 3, payment_ticks: 2 };

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    Place { request: PlaceOrder, details: Details },
    Verdict(OrderValidation),
    Payment(PaymentEvent),
    Cancel,
    Ship,
    Tick,
}

fn any_step() -> impl Strategy<Value = Step> {
    let request = place(&[("jumper", 2, None), ("mug", 1, None)]);
    let priced = || PricedLines { lines: created().lines, total: created().total };
    let failures = details_failed()[1].order().failures.clone();
    let placed = |details| Just(Step::Place { request: request.clone(), details });
    let verdicts =
        [reserved("jumper"), reserved("mug"), unsuspicious(), sold_out("mug"), suspicious()];
    let payments = [
        authorised(),
        declined(),
        PaymentEvent::Captured(authorised().payment().clone()),
        PaymentEvent::Released(authorised().payment().clone()),
    ];
    prop_oneof![
        6 => placed(Details::Passed(priced())),
        1 => placed(Details::Failed(priced(), failures)),
        // Far more passes than failures: else few orders would get far.
        9 => prop::sample::select(verdicts[..3].to_vec()).prop_map(Step::Verdict),
        1 => prop::sample::select(verdicts.to_vec()).prop_map(Step::Verdict),
        4 => prop::sample::select(payments.to_vec()).prop_map(Step::Payment),
        1 => Just(Step::Cancel),
        2 => Just(Step::Ship),
        2 => Just(Step::Tick),
    ]
}

/// The service as its topology runs the rules, for one order.
#[derive(Default)]
struct Service {
    record: Option<OrderRecord>,
    pending: Option<Pending>,
    ticks: u64,
    events: Vec<OrderEvent>,
    lines: Vec<OrderLineEvent>,
}

impl Service {
    fn after(steps: &[Step]) -> Self {
        let mut service = Service::default();
        steps.iter().for_each(|step| service.take(step));
        service
    }

    fn order(&self) -> Option<&Order> {
        self.record.as_ref().map(|record| &record.order)
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Place { request, details } if self.record.is_none() => {
                for event in create(request, details.clone(), NOW) {
                    self.apply(event, Some(request));
                }
            }
            Step::Place { .. } => {}
            Step::Verdict(validation) => self.take_verdict(validation),
            Step::Payment(event) => {
                let event = self.order().and_then(|order| take_payment(order, event, LATER));
                self.apply_some(event);
            }
            Step::Cancel => self.take_outcome(cancel(self.order(), LATER)),
            Step::Ship => self.take_outcome(ship(self.order(), LATER)),
            Step::Tick => {
                self.ticks += 1;
                let Some(pending) = self.pending.clone() else { return };
                let order = self.order().unwrap();
                self.apply_some(expire(order, &pending, Tick(self.ticks), LATER));
            }
        }
    }

    fn take_verdict(&mut self, validation: &OrderValidation) {
        let Some(pending) = self.pending.clone() else { return };
        match collect(&pending, validation) {
            Collected::Ignored => {}
            Collected::Waiting(pending) => self.pending = Some(pending),
            Collected::Decided(decision) => {
                let event = decide(self.order().unwrap(), decision, LATER);
                assert!(event.is_some(), "what is pending belongs to an order that waits for it");
                self.apply_some(event);
            }
        }
    }

    fn take_outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Changed(event) => self.apply(event, None),
            Outcome::Repeated => assert!(self.order().unwrap().state.is_final()),
            Outcome::Refused(Refusal::UnknownOrder) => assert!(self.record.is_none()),
            Outcome::Refused(_) => assert!(self.record.is_some()),
        }
    }

    fn apply_some(&mut self, event: Option<OrderEvent>) {
        if let Some(event) = event {
            self.apply(event, None);
        }
    }

    fn apply(&mut self, event: OrderEvent, request: Option<&PlaceOrder>) {
        let order = evolve(self.order(), &event).unwrap();
        self.pending = Pending::of(&order, Tick(self.ticks), TIMEOUTS);
        self.lines.extend(effects(&event).lines);
        self.record = match (self.record.take(), request) {
            (Some(record), _) => Some(OrderRecord { order, ..record }),
            (None, request) => Some(OrderRecord::new(order, request.unwrap())),
        };
        self.events.push(event);
    }
}

/// INV-5: one `OrderCreated`, versions 1..n, no transition outside the picture.
fn assert_history(events: &[OrderEvent]) {
    let is_next = |from: OrderState, to: OrderState| match from {
        OrderState::Created => to != OrderState::Paid && to != OrderState::Shipped,
        OrderState::Validated => to != OrderState::Validated && to != OrderState::Shipped,
        OrderState::Paid => matches!(to, OrderState::Shipped | OrderState::Cancelled),
        OrderState::Shipped | OrderState::Failed | OrderState::Cancelled => false,
    };
    for (at, event) in (0_u32..).zip(events) {
        assert_eq!(event.order().version, Version(at + 1));
        assert_eq!(matches!(event, OrderEvent::Created(_)), at == 0, "{event:?}");
    }
    for pair in events.windows(2) {
        let (from, to) = (pair[0].state(), pair[1].state());
        assert!(is_next(from, to), "{from} to {to}");
        assert!(pair[0].order().updated_at <= pair[1].order().updated_at);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn an_order_has_one_beginning_and_no_gap_whatever_happens(steps in vec(any_step(), 0..30)) {
        assert_history(&Service::after(&steps).events);
    }

    #[test]
    fn every_line_placed_is_released_or_shipped_once_and_only_at_the_end(
        steps in vec(any_step(), 0..30),
    ) {
        let service = Service::after(&steps);
        let count = |is: fn(&OrderLineEvent) -> bool| {
            service.lines.iter().filter(|line| is(line)).count()
        };
        let placed = count(|line| matches!(line, OrderLineEvent::Placed(_)));
        let released = count(|line| matches!(line, OrderLineEvent::Released(_)));
        let shipped = count(|line| matches!(line, OrderLineEvent::Shipped(_)));

        let Some(order) = service.order() else {
            prop_assert!(service.lines.is_empty());
            return Ok(());
        };
        let passed = order.checks.order_details == CheckState::Pass;
        let lines_where = |holds: bool| if holds { order.lines.len() } else { 0 };
        let is_shipped = order.state == OrderState::Shipped;
        prop_assert_eq!(placed, lines_where(passed));
        prop_assert_eq!(shipped, lines_where(is_shipped));
        prop_assert_eq!(released, lines_where(passed && order.state.is_final() && !is_shipped));
    }

    #[test]
    fn every_order_settles_in_its_timeouts_and_two_ticks_each(steps in vec(any_step(), 0..30)) {
        let mut service = Service::after(&steps);
        let ticks = TIMEOUTS.validation_ticks + TIMEOUTS.payment_ticks + 4;
        (0..ticks).for_each(|_| service.take(&Step::Tick));

        if let Some(order) = service.order() {
            prop_assert!(order.state.is_settled(), "{}", order.state);
            prop_assert_eq!(&service.pending, &None);
        }
        assert_history(&service.events);
    }

    #[test]
    fn a_failed_order_says_why_and_no_other_does(steps in vec(any_step(), 0..30)) {
        for event in Service::after(&steps).events {
            let order = event.order();
            let reasons: Vec<Reason> = order.failures.iter().map(|it| it.reason).collect();
            prop_assert_eq!(reasons.is_empty(), order.state != OrderState::Failed);
        }
    }

    #[test]
    fn repeating_every_step_changes_nothing(steps in vec(any_step(), 0..30)) {
        let once: Vec<Step> = steps;
        let is_idempotent = |step: &&Step| !matches!(step, Step::Tick);
        let twice: Vec<Step> = once
            .iter()
            .flat_map(|step| [step, step].into_iter().take(1 + usize::from(is_idempotent(&step))))
            .cloned()
            .collect();

        prop_assert_eq!(Service::after(&once).events, Service::after(&twice).events);
    }
}
