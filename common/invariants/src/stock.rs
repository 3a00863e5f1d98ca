//! INV-1: nothing is oversold. INV-4: what is reserved is owed to an order.

use std::collections::{BTreeMap, BTreeSet};

use events::ids::{AdjustmentId, ProductId};
use events::order::OrderState;
use events::stock::{ProductRequest, StockLevel};

use super::orders::Orders;
use super::{Invariant, Violation};

/// The stock on the log.
#[derive(Clone, Debug, Default)]
pub struct Stock {
    levels: BTreeMap<ProductId, StockLevel>,
    adjustments: BTreeMap<ProductId, BTreeMap<AdjustmentId, i64>>,
}

impl Stock {
    /// Takes a record of the requests.
    pub fn request(&mut self, request: &ProductRequest) {
        if let ProductRequest::AdjustStock(request) = request {
            let of_product = self.adjustments.entry(request.product_id.clone()).or_default();
            // The first under an id is the one that counts.
            of_product.entry(request.adjustment_id.clone()).or_insert(request.delta);
        }
    }

    /// Takes the next level of a product.
    ///
    /// # Errors
    /// [`Invariant::NeverOversold`] where more is reserved than there is.
    pub fn level(&mut self, level: StockLevel) -> Result<(), Violation> {
        let StockLevel { product_id, on_hand, reserved } = &level;
        let oversold = (reserved > on_hand)
            .then(|| format!("product {product_id}: {reserved} reserved of {on_hand} on hand"));
        self.levels.insert(product_id.clone(), level);
        oversold.map_or(Ok(()), |detail| Err(Violation::new(Invariant::NeverOversold, detail)))
    }

    /// Products of which other pieces are reserved than the orders on the log want.
    pub fn at_rest(&self, orders: &Orders) -> Vec<Violation> {
        let wanted =
            pieces(orders, |state| matches!(state, OrderState::Validated | OrderState::Paid));
        let products: BTreeSet<&ProductId> = wanted.keys().chain(self.levels.keys()).collect();
        let violation = |product: &ProductId| {
            let reserved = self.levels.get(product).map_or(0, |level| level.reserved);
            let wanted = wanted.get(product).copied().unwrap_or(0);
            let detail = format!("product {product}: {reserved} reserved, {wanted} in open orders");
            (reserved != wanted).then(|| Violation::new(Invariant::ReservedForOrders, detail))
        };
        products.into_iter().filter_map(violation).collect()
    }

    /// Products of which there is not what came in less what was shipped, where every adjustment
    /// on the log was one that could be made.
    pub fn unaccounted(&self, orders: &Orders) -> Vec<Violation> {
        let shipped = pieces(orders, |state| state == OrderState::Shipped);
        let violation = |level: &StockLevel| {
            let product = &level.product_id;
            let came_in = self.adjustments.get(product);
            let came_in: i128 =
                came_in.into_iter().flat_map(BTreeMap::values).copied().map(i128::from).sum();
            let shipped = shipped.get(product).copied().unwrap_or(0);
            let on_hand = level.on_hand;
            let detail = format!(
                "product {product}: {on_hand} on hand, {came_in} came in and {shipped} went out"
            );
            (i128::from(on_hand) != came_in - i128::from(shipped))
                .then(|| Violation::new(Invariant::NeverLost, detail))
        };
        self.levels.values().filter_map(violation).collect()
    }

    /// Whether the log has this adjustment.
    pub fn has_adjustment(&self, product: &ProductId, adjustment: &AdjustmentId) -> bool {
        self.adjustments.get(product).is_some_and(|made| made.contains_key(adjustment))
    }
}

/// How many pieces of each product are in orders of such states.
fn pieces(orders: &Orders, of: impl Fn(OrderState) -> bool) -> BTreeMap<ProductId, u64> {
    let mut pieces: BTreeMap<ProductId, u64> = BTreeMap::new();
    for history in orders.iter().filter(|history| of(history.order.state)) {
        for line in &history.order.lines {
            *pieces.entry(line.product_id.clone()).or_default() += u64::from(line.quantity);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use events::ids::RequestId;
    use events::order::OrderState::{Cancelled, Created, Failed, Paid, Shipped, Validated};
    use events::stock::AdjustStock;

    use super::*;
    use crate::fixtures::*;

    /// A log with one order in the last of these states.
    fn with_order(states: &[OrderState]) -> Orders {
        let mut orders = Orders::default();
        for (version, state) in (1..).zip(states) {
            orders.event(&event("o-1", version, *state)).unwrap();
        }
        orders
    }

    fn with_level(on_hand: u64, reserved: u64) -> Stock {
        let mut stock = Stock::default();
        stock.level(level(on_hand, reserved)).unwrap();
        stock
    }

    fn adjustment(id: &str, delta: i64) -> ProductRequest {
        ProductRequest::AdjustStock(AdjustStock {
            request_id: RequestId::from_u128(1),
            product_id: product_id(),
            adjustment_id: AdjustmentId::parse(id).unwrap(),
            delta,
        })
    }

    #[test]
    fn more_reserved_than_on_hand_breaks_inv_1() {
        assert!(Stock::default().level(level(2, 2)).is_ok());

        let violation = Stock::default().level(level(2, 3)).unwrap_err();

        assert_eq!(violation.invariant, Invariant::NeverOversold);
    }

    #[test]
    fn open_orders_have_what_is_reserved_at_rest() {
        for states in [&[Created, Validated][..], &[Created, Validated, Paid]] {
            assert_eq!(with_level(10, QUANTITY).at_rest(&with_order(states)), []);
        }
        for states in
            [&[Created, Failed][..], &[Created, Cancelled], &[Created, Validated, Paid, Shipped]]
        {
            assert_eq!(with_level(10, 0).at_rest(&with_order(states)), []);
        }
    }

    #[test]
    fn a_reservation_kept_or_lost_breaks_inv_4() {
        let paid = with_order(&[Created, Validated, Paid]);
        let failed = with_order(&[Created, Failed]);
        for (stock, orders) in [
            (with_level(10, QUANTITY), &failed),
            (with_level(10, 0), &paid),
            (with_level(10, 2 * QUANTITY), &paid),
            (Stock::default(), &paid),
        ] {
            let violations = stock.at_rest(orders);
            assert_eq!(violations.len(), 1, "{violations:?}");
            assert_eq!(violations[0].invariant, Invariant::ReservedForOrders);
        }
    }

    #[test]
    fn what_is_on_hand_came_in_and_was_not_shipped() {
        let shipped = with_order(&[Created, Validated, Paid, Shipped]);
        for (on_hand, sound) in [(8, true), (10, false), (6, false), (18, false)] {
            let mut stock = with_level(on_hand, 0);
            // Asked for twice, made once.
            stock.request(&adjustment("a-1", 10));
            stock.request(&adjustment("a-1", 10));
            assert_eq!(stock.unaccounted(&shipped).is_empty(), sound, "{on_hand} on hand");
        }
    }

    #[test]
    fn an_adjustment_is_known_by_product_and_id() {
        let mut stock = Stock::default();
        stock.request(&adjustment("a-1", 10));

        let has = |id| stock.has_adjustment(&product_id(), &AdjustmentId::parse(id).unwrap());
        assert!(has("a-1") && !has("a-2"));
    }
}
