//! The rules of stock, case by case.

use events::money::Money;
use events::order::Version;

use super::*;

fn pounds(amount: &str) -> Money {
    Money::new(amount.parse().unwrap(), "GBP".parse().unwrap()).unwrap()
}

fn put(name: &str, price: &str) -> PutProduct {
    PutProduct {
        request_id: RequestId::from_u128(1),
        product_id: "jumper".parse().unwrap(),
        name: name.to_owned(),
        price: pounds(price),
    }
}

fn level(on_hand: u64, reserved: u64) -> StockLevel {
    StockLevel { product_id: "jumper".parse().unwrap(), on_hand, reserved }
}

fn adjustment(delta: i64) -> AdjustStock {
    AdjustStock {
        request_id: RequestId::from_u128(2),
        product_id: "jumper".parse().unwrap(),
        adjustment_id: "a-1".parse().unwrap(),
        delta,
    }
}

fn adjusted(before: &StockLevel, delta: i64) -> Result<StockLevel, Refusal> {
    match adjust(Some(before), None, &adjustment(delta)) {
        Adjusted::Applied(level, _) => Ok(level),
        Adjusted::Refused(refusal) => Err(refusal),
        Adjusted::Repeated => panic!("no adjustment was made before"),
    }
}

fn line(quantity: u64) -> OrderLine {
    OrderLine {
        order_id: "o-1".parse().unwrap(),
        version: Version::FIRST,
        product_id: "jumper".parse().unwrap(),
        quantity: Quantity::new(quantity).unwrap(),
    }
}

fn reservation(quantity: u64) -> Reservation {
    Reservation { quantity: Quantity::new(quantity).unwrap() }
}

fn verdict_of(outcome: &LineOutcome) -> &Verdict {
    match outcome {
        LineOutcome::Reserved(_, _, validation) | LineOutcome::Rejected(validation) => {
            assert_eq!(validation.order_id().as_str(), "o-1");
            validation.verdict()
        }
        other => panic!("no verdict: {other:?}"),
    }
}

#[test]
fn a_new_product_is_created_with_nothing_in_stock() {
    let Put::Created(product, level) = put_product(None, &put("Jumper", "12.99")) else {
        panic!("it is new")
    };

    assert_eq!((product.name.as_str(), product.price), ("Jumper", pounds("12.99")));
    assert_eq!((level.product_id, level.on_hand, level.reserved), (product.product_id, 0, 0));
}

#[test]
fn a_known_product_is_replaced_and_keeps_its_stock() {
    let Put::Created(before, _) = put_product(None, &put("Jumper", "12.99")) else { panic!() };

    let after = put_product(Some(&before), &put("Warm jumper", "14.00"));

    let Put::Replaced(product) = after else { panic!("{after:?}") };
    assert_eq!((product.name.as_str(), product.price), ("Warm jumper", pounds("14.00")));
}

#[test]
fn an_adjustment_changes_what_is_on_hand_alone() {
    assert_eq!(adjusted(&level(5, 2), 10), Ok(level(15, 2)));
    assert_eq!(adjusted(&level(5, 2), -3), Ok(level(2, 2)));
    assert_eq!(adjusted(&level(5, 2), 0), Ok(level(5, 2)));
}

#[test]
fn an_adjustment_is_kept_with_the_request_that_made_it() {
    let Adjusted::Applied(_, kept) = adjust(Some(&level(0, 0)), None, &adjustment(10)) else {
        panic!("it is new")
    };

    assert_eq!(kept, Adjustment { request_id: RequestId::from_u128(2), delta: 10 });
}

#[test]
fn an_adjustment_never_leaves_less_than_is_reserved() {
    let refusal = Refusal::BelowReserved { on_hand: 5, reserved: 2, delta: -4 };
    assert_eq!(adjusted(&level(5, 2), -4), Err(refusal));

    let refusal = Refusal::BelowReserved { on_hand: 5, reserved: 2, delta: i64::MIN };
    assert_eq!(adjusted(&level(5, 2), i64::MIN), Err(refusal));
}

#[test]
fn an_adjustment_never_leaves_more_than_can_be_counted() {
    assert_eq!(adjusted(&level(ON_HAND_MAX - 1, 0), 1), Ok(level(ON_HAND_MAX, 0)));
    for delta in [1, i64::MAX] {
        let refusal = Refusal::TooMany { on_hand: ON_HAND_MAX, delta };
        assert_eq!(adjusted(&level(ON_HAND_MAX, 0), delta), Err(refusal));
    }
}

#[test]
fn the_same_adjustment_again_changes_nothing() {
    let made = Adjustment { request_id: RequestId::from_u128(1), delta: 10 };

    let again = adjust(Some(&level(10, 0)), Some(&made), &adjustment(10));

    assert_eq!(again, Adjusted::Repeated);
}

#[test]
fn another_adjustment_under_the_same_id_is_refused() {
    let made = Adjustment { request_id: RequestId::from_u128(1), delta: 10 };

    let other = adjust(Some(&level(10, 0)), Some(&made), &adjustment(11));

    assert_eq!(other, Adjusted::Refused(Refusal::OtherDelta { made: 10 }));
}

#[test]
fn the_stock_of_an_unknown_product_is_not_adjusted() {
    let refused = adjust(None, None, &adjustment(10));

    assert_eq!(refused, Adjusted::Refused(Refusal::UnknownProduct));
}

#[test]
fn a_placed_line_reserves_what_is_available() {
    let outcome = take_line(Some(&level(5, 2)), None, &OrderLineEvent::Placed(line(3)));

    assert_eq!(verdict_of(&outcome), &Verdict::Pass);
    let LineOutcome::Reserved(after, kept, _) = outcome else { panic!("{outcome:?}") };
    assert_eq!((after, kept), (level(5, 5), reservation(3)));
}

#[test]
fn a_placed_line_that_asks_for_more_than_is_available_fails() {
    let outcome = take_line(Some(&level(5, 2)), None, &OrderLineEvent::Placed(line(4)));

    let detail = "4 asked for, 3 available".to_owned();
    let reason = Reason::InsufficientStock;
    assert_eq!(verdict_of(&outcome), &Verdict::Fail { reason, detail });
    assert!(matches!(outcome, LineOutcome::Rejected(_)));
}

#[test]
fn a_placed_line_of_an_unknown_product_fails() {
    let outcome = take_line(None, None, &OrderLineEvent::Placed(line(1)));

    let Verdict::Fail { reason, .. } = verdict_of(&outcome) else { panic!("{outcome:?}") };
    assert_eq!(*reason, Reason::UnknownProduct);
}

#[test]
fn a_line_placed_again_changes_nothing() {
    let again = OrderLineEvent::Placed(line(3));

    let outcome = take_line(Some(&level(9, 3)), Some(&reservation(3)), &again);

    assert_eq!(outcome, LineOutcome::Unchanged);
}

#[test]
fn a_released_line_gives_back_what_it_reserved() {
    let released = OrderLineEvent::Released(line(3));

    let outcome = take_line(Some(&level(9, 5)), Some(&reservation(3)), &released);

    assert_eq!(outcome, LineOutcome::Ended(level(9, 2)));
}

#[test]
fn a_shipped_line_takes_out_what_it_reserved() {
    let shipped = OrderLineEvent::Shipped(line(3));

    let outcome = take_line(Some(&level(9, 5)), Some(&reservation(3)), &shipped);

    assert_eq!(outcome, LineOutcome::Ended(level(6, 2)));
}

#[test]
fn a_line_without_a_reservation_gives_back_and_takes_out_nothing() {
    for event in [OrderLineEvent::Released(line(3)), OrderLineEvent::Shipped(line(3))] {
        assert_eq!(take_line(Some(&level(9, 5)), None, &event), LineOutcome::Unchanged);
        assert_eq!(take_line(None, None, &event), LineOutcome::Unchanged);
    }
}

#[test]
fn a_reservation_that_the_level_does_not_hold_changes_nothing() {
    for event in [OrderLineEvent::Released(line(3)), OrderLineEvent::Shipped(line(3))] {
        let outcome = take_line(Some(&level(9, 2)), Some(&reservation(3)), &event);
        assert_eq!(outcome, LineOutcome::Unchanged);
    }
}

#[test]
fn what_is_kept_reads_back() {
    let kept = Adjustment { request_id: RequestId::from_u128(1), delta: -3 };
    let json = serde_json::to_string(&kept).unwrap();
    assert_eq!(serde_json::from_str::<Adjustment>(&json).unwrap(), kept);

    let refusal = Refusal::BelowReserved { on_hand: 5, reserved: 2, delta: -4 };
    let json = serde_json::to_string(&refusal).unwrap();
    assert_eq!(json, r#"{"BELOW_RESERVED":{"onHand":5,"reserved":2,"delta":-4}}"#);
    assert_eq!(serde_json::from_str::<Refusal>(&json).unwrap(), refusal);
}
