//! INV-1: whatever happens in whatever order, `0 <= reserved <= on hand`.

use std::collections::BTreeMap;

use events::ids::{AdjustmentId, OrderId};
use events::order::Version;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Something that happens to the one product. Orders and adjustments are named by numbers.
#[derive(Clone, Debug)]
enum Step {
    Put,
    Adjust { adjustment: u8, delta: i64 },
    Placed { order: u8, quantity: u64 },
    Released { order: u8 },
    Shipped { order: u8 },
}

fn any_step() -> impl Strategy<Value = Step> {
    let delta = prop_oneof![8 => -20..40_i64, 1 => any::<i64>()];
    let order = 0..8_u8;
    prop_oneof![
        1 => Just(Step::Put),
        3 => (0..20_u8, delta).prop_map(|(adjustment, delta)| Step::Adjust { adjustment, delta }),
        6 => (order.clone(), 1..15_u64)
            .prop_map(|(order, quantity)| Step::Placed { order, quantity }),
        2 => order.clone().prop_map(|order| Step::Released { order }),
        2 => order.prop_map(|order| Step::Shipped { order }),
    ]
}

/// The service as its topology runs the rules, for one product.
#[derive(Default)]
struct Service {
    product: Option<Product>,
    level: Option<StockLevel>,
    adjustments: BTreeMap<AdjustmentId, Adjustment>,
    reservations: BTreeMap<OrderId, Reservation>,
    shipped: u64,
}

impl Service {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Put => {
                let request = PutProduct {
                    request_id: RequestId::from_u128(1),
                    product_id: "jumper".parse().unwrap(),
                    name: "Jumper".to_owned(),
                    price: serde_json::from_str(r#"{"amount":"1","currency":"GBP"}"#).unwrap(),
                };
                match put_product(self.product.as_ref(), &request) {
                    Put::Created(product, level) => {
                        self.product = Some(product);
                        self.level = Some(level);
                    }
                    Put::Replaced(product) => self.product = Some(product),
                }
            }
            Step::Adjust { adjustment, delta } => self.adjust(*adjustment, *delta),
            Step::Placed { order, quantity } => {
                self.take_line(OrderLineEvent::Placed, *order, *quantity);
            }
            Step::Released { order } => self.take_line(OrderLineEvent::Released, *order, 1),
            Step::Shipped { order } => self.take_line(OrderLineEvent::Shipped, *order, 1),
        }
    }

    fn adjust(&mut self, adjustment: u8, delta: i64) {
        let request = AdjustStock {
            request_id: RequestId::from_u128(2),
            product_id: "jumper".parse().unwrap(),
            adjustment_id: format!("a-{adjustment}").parse().unwrap(),
            delta,
        };
        let made = self.adjustments.get(&request.adjustment_id);
        if let Adjusted::Applied(level, kept) = adjust(self.level.as_ref(), made, &request) {
            self.level = Some(level);
            let earlier = self.adjustments.insert(request.adjustment_id, kept);
            assert_eq!(earlier, None, "an adjustment is made once");
        }
    }

    fn take_line(&mut self, event: fn(OrderLine) -> OrderLineEvent, order: u8, quantity: u64) {
        let order_id: OrderId = format!("o-{order}").parse().unwrap();
        let event = event(OrderLine {
            order_id: order_id.clone(),
            version: Version::FIRST,
            product_id: "jumper".parse().unwrap(),
            quantity: Quantity::new(quantity).unwrap(),
        });
        let on_hand = self.level.as_ref().map(|level| level.on_hand);
        match take_line(self.level.as_ref(), self.reservations.get(&order_id), &event) {
            LineOutcome::Reserved(level, reservation, _) => {
                self.level = Some(level);
                self.reservations.insert(order_id, reservation);
            }
            LineOutcome::Ended(level) => {
                self.shipped += on_hand.unwrap() - level.on_hand;
                self.level = Some(level);
                self.reservations.remove(&order_id);
            }
            LineOutcome::Rejected(_) | LineOutcome::Unchanged => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_product_is_never_oversold(steps in vec(any_step(), 0..60)) {
        let mut service = Service::default();
        service.take(&Step::Put);
        for step in &steps {
            service.take(step);

            let level = service.level.as_ref().unwrap();
            prop_assert!(level.reserved <= level.on_hand, "{:?} after {:?}", level, step);
            let reserved: u64 = service.reservations.values().map(|it| pieces(it.quantity)).sum();
            prop_assert_eq!(level.reserved, reserved);
            let adjusted: i64 = service.adjustments.values().map(|it| it.delta).sum();
            let left = i128::from(adjusted) - i128::from(service.shipped);
            prop_assert_eq!(i128::from(level.on_hand), left);
        }
    }

    #[test]
    fn nothing_is_promised_of_a_product_that_was_never_put(steps in vec(any_step(), 0..60)) {
        let mut service = Service::default();
        for step in steps.iter().filter(|step| !matches!(step, Step::Put)) {
            service.take(step);
        }

        prop_assert_eq!(service.level, None);
        prop_assert!(service.reservations.is_empty() && service.adjustments.is_empty());
    }
}
