//! How orders are wired: what comes in, what is kept, what goes out.
//!
//! ```text
//!  order-requests ----> take-request ------+        +--> orders
//!    (customers, products: tables)         |        |
//!  order-validations -> take-validation ---+--> apply --> orders-by-customer
//!  payments ----------> take-payment ------+        |
//!  tick --------------> expire ------------+        +--> order-lines
//! ```

use bytes::Bytes;
use events::ids::OrderId;
use events::order::{Order, OrderEvent, Version};
use events::order_request::{OrderRequest, PlaceOrder, RequestedOrder};
use events::payment::PaymentEvent;
use events::stock::Product;
use events::topics::{
    CUSTOMERS, DEAD_LETTERS, ORDER_LINES, ORDER_REQUESTS, ORDER_VALIDATIONS,
    ORDERS as ORDER_EVENTS, ORDERS_BY_CUSTOMER, ORDERS_SERVICE, PAYMENTS, PRODUCTS,
};
use events::validation::OrderValidation;
use streams::{
    Context, DecodeError, EncodedAs, Key, KeyRange, ProcessError, Record, Store, Timestamp,
    Topology, TopologyBuilder, TopologyError,
};

use crate::order::effects::effects;
use crate::order::place::{Details, check_details, create};
use crate::order::state::{OrderRecord, Pending, Tick, Timeouts};
use crate::order::validate::{Collected, collect, decide};
use crate::order::{Outcome, cancel, expire, late, pay, ship};

/// Every order, with the request that made it. Kept for ever.
pub const ORDERS: Store<OrderId, OrderRecord> = Store::new("orders");
/// What each open order waits for.
pub const PENDING: Store<OrderId, Pending> = Store::new("pending");
/// The open orders by deadline.
pub const DEADLINES: Store<Deadline, ()> = Store::new("deadlines");

/// The topology of orders-service.
///
/// # Errors
/// None in practice: a test builds it.
pub fn topology(timeouts: Timeouts) -> Result<Topology, TopologyError> {
    TopologyBuilder::new(ORDERS_SERVICE, DEAD_LETTERS)
        .table(&CUSTOMERS)
        .table(&PRODUCTS)
        .requests(&ORDER_REQUESTS, "take-request", move |context, request| {
            take_request(context, request, timeouts)
        })
        .join(&CUSTOMERS)
        .join(&PRODUCTS)
        .with_orders()
        .stream(&ORDER_VALIDATIONS, "take-validation", move |context, validation| {
            take_validation(context, validation, timeouts)
        })
        .with_orders()
        .stream(&PAYMENTS, "take-payment", move |context, payment| {
            take_payment(context, payment, timeouts)
        })
        .with_orders()
        .timer(&DEADLINES, "expire", move |context, tick| {
            take_tick(context, Tick(tick.number), timeouts)
        })
        .with_orders()
        .build()
}

/// What every processor here may touch: whatever comes in can change an order.
trait WithOrders {
    fn with_orders(self) -> Self;
}

impl WithOrders for TopologyBuilder {
    fn with_orders(self) -> Self {
        self.with_store(&ORDERS)
            .with_store(&PENDING)
            .with_store(&DEADLINES)
            .to(&ORDER_EVENTS)
            .to(&ORDERS_BY_CUSTOMER)
            .to(&ORDER_LINES)
    }
}

fn take_request(
    context: &mut Context<'_>,
    request: Record<OrderId, OrderRequest>,
    timeouts: Timeouts,
) -> Result<(), ProcessError> {
    let record = context.get(&ORDERS, &request.key)?;
    let now = request.timestamp;
    let outcome = match request.value {
        // Whether it was this request that made the order is for the one who asks to see.
        OrderRequest::Place(_) if record.is_some() => return Ok(()),
        OrderRequest::Place(place) => return place_order(context, &place, now, timeouts),
        OrderRequest::Cancel(_) => cancel::cancel(record.as_ref().map(|record| &record.order), now),
        OrderRequest::Ship(_) => ship::ship(record.as_ref().map(|record| &record.order), now),
    };
    match (outcome, record) {
        (Outcome::Changed(event), Some(record)) => apply(context, record, event, timeouts),
        _ => Ok(()),
    }
}

fn place_order(
    context: &mut Context<'_>,
    request: &PlaceOrder,
    now: Timestamp,
    timeouts: Timeouts,
) -> Result<(), ProcessError> {
    let details = details(context, &request.order)?;
    if matches!(details, Details::Failed(..)) {
        context.require_current_tables()?;
    }
    for event in create(request, details, now) {
        let record = OrderRecord::new(event.order().clone(), request);
        apply(context, record, event, timeouts)?;
    }
    Ok(())
}

fn details(context: &Context<'_>, order: &RequestedOrder) -> Result<Details, ProcessError> {
    let customer = context.lookup(&CUSTOMERS, order.customer_id())?;
    let products = order
        .lines()
        .iter()
        .map(|line| context.lookup(&PRODUCTS, &line.product_id))
        .collect::<Result<Vec<Option<Product>>, _>>()?;
    Ok(check_details(order, customer.as_ref(), &products))
}

fn take_validation(
    context: &mut Context<'_>,
    validation: Record<OrderId, OrderValidation>,
    timeouts: Timeouts,
) -> Result<(), ProcessError> {
    let Some(pending) = context.get(&PENDING, &validation.key)? else {
        return take_late_validation(context, &validation);
    };
    match collect(&pending, &validation.value) {
        Collected::Ignored => Ok(()),
        Collected::Waiting(pending) => context.put(&PENDING, &validation.key, &pending),
        Collected::Decided(decision) => change(context, &validation.key, timeouts, |order| {
            decide(order, decision, validation.timestamp)
        }),
    }
}

fn take_late_validation(
    context: &mut Context<'_>,
    validation: &Record<OrderId, OrderValidation>,
) -> Result<(), ProcessError> {
    let Some(record) = context.get(&ORDERS, &validation.key)? else { return Ok(()) };
    match late::give_back_stock(&record.order, &validation.value) {
        Some(line) => context.forward(&ORDER_LINES, &line.line().product_id, &line),
        None => Ok(()),
    }
}

fn take_payment(
    context: &mut Context<'_>,
    payment: Record<OrderId, PaymentEvent>,
    timeouts: Timeouts,
) -> Result<(), ProcessError> {
    let Some(record) = context.get(&ORDERS, &payment.key)? else { return Ok(()) };
    if let Some(event) = pay::take_payment(&record.order, &payment.value, payment.timestamp) {
        return apply(context, record, event, timeouts);
    }
    match late::give_back_money(&record.order, &payment.value) {
        Some(event) => context.forward_encoded(
            &ORDERS_BY_CUSTOMER,
            &record.order.customer_id,
            &EncodedAs::new(&event),
        ),
        None => Ok(()),
    }
}

fn take_tick(
    context: &mut Context<'_>,
    tick: Tick,
    timeouts: Timeouts,
) -> Result<(), ProcessError> {
    let now = context.timestamp();
    for (Deadline { order_id, .. }, ()) in context.range(&DEADLINES, &due(tick), usize::MAX)? {
        let Some(pending) = context.get(&PENDING, &order_id)? else { continue };
        change(context, &order_id, timeouts, |order| expire::expire(order, &pending, tick, now))?;
    }
    Ok(())
}

/// Applies the event that a rule makes of an order, if it makes one.
fn change(
    context: &mut Context<'_>,
    order_id: &OrderId,
    timeouts: Timeouts,
    rule: impl FnOnce(&Order) -> Option<OrderEvent>,
) -> Result<(), ProcessError> {
    let Some(record) = context.get(&ORDERS, order_id)? else { return Ok(()) };
    match rule(&record.order) {
        Some(event) => apply(context, record, event, timeouts),
        None => Ok(()),
    }
}

/// Keeps an order as it is after an event, and tells whoever is to hear of it.
fn apply(
    context: &mut Context<'_>,
    record: OrderRecord,
    event: OrderEvent,
    timeouts: Timeouts,
) -> Result<(), ProcessError> {
    let order = event.order();
    let effects = effects(&event);
    let encoded = EncodedAs::new(&event);
    context.forward_encoded(&ORDER_EVENTS, &order.id, &encoded)?;
    if effects.by_customer {
        context.forward_encoded(&ORDERS_BY_CUSTOMER, &order.customer_id, &encoded)?;
    }
    for line in &effects.lines {
        context.forward(&ORDER_LINES, &line.line().product_id, line)?;
    }
    wait_for_next(context, order, timeouts)?;
    let order_id = order.id.clone();
    let record = OrderRecord { order: event.into_order(), ..record };
    context.put(&ORDERS, &order_id, &record)
}

/// Replaces what an order has waited for by what it waits for now.
fn wait_for_next(
    context: &mut Context<'_>,
    order: &Order,
    timeouts: Timeouts,
) -> Result<(), ProcessError> {
    // A new order has waited for nothing.
    if order.version != Version::FIRST
        && let Some(before) = context.get(&PENDING, &order.id)?
    {
        context.delete(&DEADLINES, &Deadline::of(&before, order))?;
    }
    match Pending::of(order, Tick(context.ticks()), timeouts) {
        Some(pending) => {
            context.put(&DEADLINES, &Deadline::of(&pending, order), &())?;
            context.put(&PENDING, &order.id, &pending)
        }
        None => context.delete(&PENDING, &order.id),
    }
}

/// An open order by its deadline: keys order by time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// The last tick at which what it waits for is in time.
    pub tick: Tick,
    /// The order.
    pub order_id: OrderId,
}

impl Deadline {
    fn of(pending: &Pending, order: &Order) -> Self {
        Deadline { tick: pending.deadline, order_id: order.id.clone() }
    }
}

impl Key for Deadline {
    fn encode(&self) -> Bytes {
        Bytes::from([&self.tick.0.to_be_bytes(), self.order_id.encode().as_ref()].concat())
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (tick, order_id) = bytes
            .split_first_chunk()
            .ok_or_else(|| DecodeError::Malformed("no tick in a deadline".to_owned()))?;
        let tick = Tick(u64::from_be_bytes(*tick));
        Ok(Deadline { tick, order_id: OrderId::decode(order_id)? })
    }
}

/// The deadlines that have passed at a tick.
fn due(tick: Tick) -> KeyRange {
    let until = Bytes::copy_from_slice(&tick.0.to_be_bytes());
    KeyRange { from: Bytes::new(), until: Some(until) }
}
