//! A new order: its details are checked against the tables, and it is created, or created and
//! failed at once.

use events::Timestamp;
use events::money::{self, Amount};
use events::order::{
    Check, CheckState, Checks, Failure, Line, Order, OrderEvent, OrderState, Reason, Version,
};
use events::order_request::{PlaceOrder, RequestedLine, RequestedOrder};
use events::payment::Customer;
use events::stock::Product;

/// The lines of an order with the prices that are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricedLines {
    /// The lines, with the price asked for, or else the catalogue's.
    pub lines: Vec<Line>,
    /// Their sum; `None` where a price is unknown or the sum is no amount.
    pub total: Option<Amount>,
}

/// Whether what an order says of customer, products, prices and currency is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Details {
    /// It is.
    Passed(PricedLines),
    /// It is not, as far as the tables say. They may lag: before this becomes an order's failure
    /// they are to be caught up, and the details checked again.
    Failed(PricedLines, Vec<Failure>),
}

/// Checks an order's details against the tables. `products` are the catalogue's entries for the
/// order's lines, in their order; `None` stands for a product the catalogue does not have.
pub fn check_details(
    order: &RequestedOrder,
    customer: Option<&Customer>,
    products: &[Option<Product>],
) -> Details {
    let mut failures: Vec<Failure> = customer_failure(order, customer).into_iter().collect();
    let mut lines = Vec::with_capacity(order.lines().len());
    for (at, requested) in order.lines().iter().enumerate() {
        let product = products.get(at).and_then(Option::as_ref);
        failures.extend(line_failure(order, requested, product));
        lines.push(priced(order, requested, product));
    }
    let total = match sum(order, &lines) {
        Some(Ok(total)) => Some(total),
        Some(Err(error)) => {
            let detail = format!("the total: {error}");
            failures.push(failure(None, Reason::TotalTooLarge, detail));
            None
        }
        None => None,
    };
    let priced = PricedLines { lines, total };
    if failures.is_empty() { Details::Passed(priced) } else { Details::Failed(priced, failures) }
}

/// Creates the order that the request asks for, and where its details failed, fails it: all events
/// of the one step, first to last.
pub fn create(request: &PlaceOrder, details: Details, now: Timestamp) -> Vec<OrderEvent> {
    let (priced, failures) = match details {
        Details::Passed(priced) => (priced, vec![]),
        Details::Failed(priced, failures) => (priced, failures),
    };
    let order_details = if failures.is_empty() { CheckState::Pass } else { CheckState::Pending };
    let order = Order {
        id: request.order_id.clone(),
        version: Version::FIRST,
        state: OrderState::Created,
        customer_id: request.order.customer_id().clone(),
        currency: request.order.currency(),
        lines: priced.lines,
        total: priced.total,
        checks: Checks {
            order_details,
            inventory: CheckState::Pending,
            fraud: CheckState::Pending,
        },
        failures: vec![],
        placed_at: now,
        updated_at: now,
    };
    let failed = (!failures.is_empty()).then(|| fail_details(&order, failures, now)).flatten();
    [Some(OrderEvent::Created(order)), failed].into_iter().flatten().collect()
}

fn fail_details(order: &Order, failures: Vec<Failure>, now: Timestamp) -> Option<OrderEvent> {
    let mut order = super::change(order, OrderState::Failed, now)?;
    order.checks.order_details = CheckState::Fail;
    order.failures = failures;
    Some(OrderEvent::Failed(order))
}

fn customer_failure(order: &RequestedOrder, customer: Option<&Customer>) -> Option<Failure> {
    let Some(customer) = customer else {
        let detail = format!("customer {} is not known", order.customer_id());
        return Some(failure(None, Reason::UnknownCustomer, detail));
    };
    let (account, currency) = (customer.currency, order.currency());
    (account != currency).then(|| {
        let detail = format!("the account is in {account}, the order in {currency}");
        failure(None, Reason::CurrencyMismatch, detail)
    })
}

fn line_failure(
    order: &RequestedOrder,
    line: &RequestedLine,
    product: Option<&Product>,
) -> Option<Failure> {
    let Some(product) = product else {
        let detail = format!("product {} is not known", line.product_id);
        return Some(failure(Some(line), Reason::UnknownProduct, detail));
    };
    let (price, currency) = (product.price, order.currency());
    if price.currency() != currency {
        let detail = format!("the catalogue's price is {price}, the order is in {currency}");
        return Some(failure(Some(line), Reason::CurrencyMismatch, detail));
    }
    line.unit_price.filter(|asked| *asked != price.amount()).map(|asked| {
        let detail = format!("asked for at {asked}, the catalogue's price is {price}");
        failure(Some(line), Reason::PriceChanged, detail)
    })
}

fn failure(line: Option<&RequestedLine>, reason: Reason, detail: String) -> Failure {
    let product_id = line.map(|line| line.product_id.clone());
    Failure { check: Check::OrderDetails, product_id, reason, detail }
}

fn priced(order: &RequestedOrder, line: &RequestedLine, product: Option<&Product>) -> Line {
    let of_catalogue = product
        .filter(|product| product.price.currency() == order.currency())
        .map(|product| product.price.amount());
    Line {
        product_id: line.product_id.clone(),
        quantity: line.quantity,
        unit_price: line.unit_price.or(of_catalogue),
    }
}

/// The sum of the lines; `None` where a price is unknown.
fn sum(order: &RequestedOrder, lines: &[Line]) -> Option<Result<Amount, money::Error>> {
    let mut total = Amount::zero(order.currency());
    for line in lines {
        match line.unit_price?.times(line.quantity).and_then(|price| total.plus(price)) {
            Ok(sum) => total = sum,
            Err(error) => return Some(Err(error)),
        }
    }
    Some(Ok(total))
}

#[cfg(test)]
mod tests {
    use events::ids::ProductId;

    use super::*;
    use crate::order::fixtures::*;

    /// The catalogue's entries for the lines of an order.
    fn entries(order: &RequestedOrder) -> Vec<Option<Product>> {
        let price = |id: &str| match id {
            "jumper" => Some(pounds("12.99")),
            "mug" => Some(pounds("8.00")),
            "baguette" => Some(money("1.20", "EUR")),
            "palace" => Some(pounds("900000000000000")),
            _ => None,
        };
        let entry = |line: &RequestedLine| {
            let (product_id, name) = (line.product_id.clone(), "a name".to_owned());
            let price = price(product_id.as_str())?;
            Some(Product { product_id, name, price })
        };
        order.lines().iter().map(entry).collect()
    }

    fn check(order: &RequestedOrder) -> Details {
        check_details(order, Some(&customer()), &entries(order))
    }

    fn failures_of(details: &Details) -> Vec<(Option<&str>, Reason)> {
        let Details::Failed(_, failures) = details else { return vec![] };
        assert!(failures.iter().all(|failure| failure.check == Check::OrderDetails));
        failures
            .iter()
            .map(|failure| (failure.product_id.as_ref().map(ProductId::as_str), failure.reason))
            .collect()
    }

    #[test]
    fn a_line_without_a_price_takes_the_catalogues() {
        let order = requested(&[("jumper", 2, Some("12.99")), ("mug", 1, None)]);

        let Details::Passed(priced) = check(&order) else { panic!("details are right") };

        assert_eq!(priced.lines[1].unit_price, Some(amount("8.00")));
        assert_eq!(priced.total.unwrap().to_string(), "33.98");
    }

    #[test]
    fn details_fail_with_every_reason_at_once() {
        let order = requested(&[
            ("jumper", 1, Some("12.98")),
            ("nothing", 1, None),
            ("baguette", 1, None),
            ("mug", 1, None),
        ]);

        let details = check_details(&order, None, &entries(&order));

        assert_eq!(
            failures_of(&details),
            [
                (None, Reason::UnknownCustomer),
                (Some("jumper"), Reason::PriceChanged),
                (Some("nothing"), Reason::UnknownProduct),
                (Some("baguette"), Reason::CurrencyMismatch),
            ]
        );
        let Details::Failed(PricedLines { lines, total }, _) = details else { unreachable!() };
        let prices: Vec<_> = lines.iter().map(|line| line.unit_price).collect();
        assert_eq!(prices, [Some(amount("12.98")), None, None, Some(amount("8.00"))]);
        assert_eq!(total, None);
    }

    #[test]
    fn an_order_in_another_currency_than_the_account_fails() {
        let order = requested_in("EUR", &[("baguette", 1, Some("1.20"))]);

        assert_eq!(failures_of(&check(&order)), [(None, Reason::CurrencyMismatch)]);
    }

    #[test]
    fn a_total_that_is_no_amount_fails() {
        let order = requested(&[("palace", 2, None)]);

        let details = check(&order);

        assert_eq!(failures_of(&details), [(None, Reason::TotalTooLarge)]);
        let Details::Failed(priced, _) = details else { unreachable!() };
        assert_eq!(priced.total, None);
        assert_eq!(priced.lines[0].unit_price, Some(amount("900000000000000.00")));
    }

    #[test]
    fn a_product_that_is_not_handed_in_is_unknown() {
        let order = requested(&[("jumper", 1, None), ("mug", 1, None)]);
        let details = check_details(&order, Some(&customer()), &entries(&order)[..1]);

        assert_eq!(failures_of(&details), [(Some("mug"), Reason::UnknownProduct)]);
    }

    #[test]
    fn an_order_whose_details_passed_is_created() {
        let request = place(&[("jumper", 2, None)]);

        let created = create(&request, check(&request.order), NOW);

        let [OrderEvent::Created(order)] = &created[..] else { panic!("{created:?}") };
        assert_eq!((order.version, order.state), (Version(1), OrderState::Created));
        assert_eq!(order.total.unwrap().to_string(), "25.98");
        assert_eq!(
            order.checks,
            checks(CheckState::Pass, CheckState::Pending, CheckState::Pending)
        );
        assert_eq!((order.placed_at, order.updated_at), (NOW, NOW));
    }

    #[test]
    fn an_order_whose_details_failed_is_created_and_failed_in_one_step() {
        let request = place(&[("nothing", 2, None)]);

        let events = create(&request, check(&request.order), NOW);

        let [OrderEvent::Created(created), OrderEvent::Failed(failed)] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!((created.version, failed.version), (Version(1), Version(2)));
        assert!(created.failures.is_empty());
        assert_eq!(failed.failures[0].reason, Reason::UnknownProduct);
        assert_eq!(
            failed.checks,
            checks(CheckState::Fail, CheckState::Pending, CheckState::Pending)
        );
        assert_eq!((failed.lines[0].unit_price, failed.total), (None, None));
    }
}
