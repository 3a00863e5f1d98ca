//! Whatever an event says, its reader reads just that.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use events::Timestamp;
use events::ids::{CustomerId, OrderId, ProductId, RequestId};
use events::money::{Amount, Currency};
use events::order::{
    Check, CheckState, Checks, Failure, Line, Order, OrderEvent, OrderState, Reason, Version,
};
use events::order_request::{OrderRequest, PlaceOrder, RequestedLine, RequestedOrder};
use events::quantity::Quantity;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use streams::Event;

fn any_id() -> impl Strategy<Value = String> {
    "[A-Za-z0-9._:-]{0,63}[A-Za-z0-9]"
}

fn any_amount() -> impl Strategy<Value = Amount> {
    "[0-9]{1,12}([.][0-9]{1,2})?".prop_map(|text| text.parse().unwrap())
}

fn any_currency() -> impl Strategy<Value = Currency> {
    prop_oneof!["GBP", "EUR", "KWD", "CLF"].prop_map(|code| code.parse().unwrap())
}

fn any_quantity() -> impl Strategy<Value = Quantity> {
    (1..=u64::from(Quantity::MAX)).prop_map(|pieces| Quantity::new(pieces).unwrap())
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    (-62_167_219_200_000_i64..=253_402_300_799_999).prop_map(Timestamp::from_millis)
}

fn any_line() -> impl Strategy<Value = Line> {
    (any_id(), any_quantity(), of(any_amount())).prop_map(|(product, quantity, unit_price)| Line {
        product_id: ProductId::parse(&product).unwrap(),
        quantity,
        unit_price,
    })
}

fn any_checks() -> impl Strategy<Value = Checks> {
    let state = || prop::sample::select(&[CheckState::Pending, CheckState::Pass, CheckState::Fail]);
    (state(), state(), state()).prop_map(|(order_details, inventory, fraud)| Checks {
        order_details,
        inventory,
        fraud,
    })
}

fn any_failure() -> impl Strategy<Value = Failure> {
    let check = prop::sample::select(&[Check::OrderDetails, Check::Inventory, Check::Payment]);
    let reason = prop::sample::select(&[Reason::PriceChanged, Reason::Timeout]);
    (check, of(any_id()), reason, ".*").prop_map(|(check, product, reason, detail)| Failure {
        check,
        product_id: product.map(|product| ProductId::parse(&product).unwrap()),
        reason,
        detail,
    })
}

prop_compose! {
    fn any_order()(
        (id, customer) in (any_id(), any_id()),
        version: u32,
        state in prop::sample::select(&OrderState::ALL),
        currency in any_currency(),
        lines in vec(any_line(), 1..4),
        total in of(any_amount()),
        checks in any_checks(),
        failures in vec(any_failure(), 0..3),
        (placed_at, updated_at) in (any_time(), any_time()),
    ) -> Order {
        Order {
            id: OrderId::parse(&id).unwrap(),
            version: Version(version),
            state,
            customer_id: CustomerId::parse(&customer).unwrap(),
            currency,
            lines,
            total,
            checks,
            failures,
            placed_at,
            updated_at,
        }
    }
}

fn any_order_event() -> impl Strategy<Value = OrderEvent> {
    let kinds = [
        OrderEvent::Created,
        OrderEvent::Validated,
        OrderEvent::Paid,
        OrderEvent::Shipped,
        OrderEvent::Failed,
        OrderEvent::Cancelled,
    ];
    (prop::sample::select(kinds.to_vec()), any_order()).prop_map(|(kind, order)| kind(order))
}

prop_compose! {
    fn any_place_order()(
        request: u128,
        (id, customer) in (any_id(), any_id()),
        currency in any_currency(),
        lines in vec((any_quantity(), of("[0-9]{1,6}([.][0-9]{1,2})?")), 1..5),
    ) -> PlaceOrder {
        let line = |(at, (quantity, price)): (usize, (Quantity, Option<String>))| RequestedLine {
            product_id: ProductId::parse(&format!("p-{at}")).unwrap(),
            quantity,
            unit_price: price.map(|price| price.parse().unwrap()),
        };
        let lines = lines.into_iter().enumerate().map(line).collect();
        let customer_id = CustomerId::parse(&customer).unwrap();
        let order = RequestedOrder::new(customer_id, currency, lines).unwrap();
        PlaceOrder::new(RequestId::from_u128(request), OrderId::parse(&id).unwrap(), order)
    }
}

fn read_back<T: Event>(event: &T) -> T {
    T::from_json(event.event_type(), &event.to_json()).unwrap()
}

proptest! {
    #[test]
    fn events_of_orders_read_back_byte_for_byte(event in any_order_event()) {
        let read = read_back(&event);
        prop_assert_eq!(read.to_json(), event.to_json());
        prop_assert_eq!(read, event);
    }

    #[test]
    fn requests_for_orders_read_back_byte_for_byte(request in any_place_order()) {
        let request = OrderRequest::Place(request);
        let read = read_back(&request);
        prop_assert_eq!(read.to_json(), request.to_json());
        prop_assert_eq!(read, request);
    }
}
