//! What is said of each topic: what lies there, and by which key. Names, types of events, keys and
//! bodies come from the code; the texts are here.

use events::order::{Order, OrderEvent};
use events::order_request::{CancelOrder, OrderRequest, PlaceOrder, ShipOrder};
use events::payment::{
    CustomerRequest, DeclinedPayment, Deposit, Payment, PaymentEvent, PutCustomer,
};
use events::stock::{AdjustStock, OrderLine, OrderLineEvent, ProductRequest, PutProduct};
use events::topics;
use events::validation::{FraudCheck, InventoryCheck, OrderValidation};
use serde_json::Value;
use streams::{CloudEvents, Json, Topic, TopicName};
use utoipa::ToSchema;

use crate::schemas::schema_of;

/// A topic whose records are JSON.
pub(crate) struct Described {
    pub(crate) name: TopicName,
    pub(crate) about: &'static str,
    pub(crate) key: Value,
    /// The types of events there; none where it is a table.
    pub(crate) event_types: Option<&'static [&'static str]>,
    pub(crate) messages: Vec<Message>,
}

/// What a record may hold.
pub(crate) struct Message {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// The name of the schema of its body.
    pub(crate) body: String,
    pub(crate) schema: Value,
}

fn message<Body: ToSchema>(name: &'static str, about: &'static str) -> Message {
    Message { name, about, body: Body::name().into_owned(), schema: schema_of::<Body>() }
}

/// A topic of events, each with its type in its headers.
fn stream<Key: ToSchema, Event>(
    topic: &Topic<Key, Event, CloudEvents>,
    about: &'static str,
    event_types: &'static [&'static str],
    messages: impl Into<Vec<Message>>,
) -> Described {
    let (key, messages) = (schema_of::<Key>(), messages.into());
    Described { name: topic.name(), about, key, event_types: Some(event_types), messages }
}

/// A topic of which the newest record of each key counts.
fn table<Key: ToSchema, Body: ToSchema>(
    topic: &Topic<Key, Body, Json>,
    about: &'static str,
    name: &'static str,
    of_one: &'static str,
) -> Described {
    let messages = vec![message::<Body>(name, of_one)];
    let key = schema_of::<Key>();
    Described { name: topic.name(), about, key, event_types: None, messages }
}

/// All topics whose records are JSON.
pub(crate) fn described() -> Vec<Described> {
    let mut all = requests();
    all.extend(of_orders());
    all.extend(of_money_and_stock());
    all
}

fn requests() -> Vec<Described> {
    vec![
        stream(
            &topics::ORDER_REQUESTS,
            "What is asked of orders over HTTP.",
            OrderRequest::TYPES,
            [
                message::<PlaceOrder>("PlaceOrder", "A new order is asked for."),
                message::<CancelOrder>("CancelOrder", "An order is to be called off."),
                message::<ShipOrder>("ShipOrder", "A paid order is to be sent on its way."),
            ],
        ),
        stream(
            &topics::PRODUCT_REQUESTS,
            "What is asked about products over HTTP.",
            ProductRequest::TYPES,
            [
                message::<PutProduct>("PutProduct", "A product is to be entered or replaced."),
                message::<AdjustStock>("AdjustStock", "Pieces came in, or were lost."),
            ],
        ),
        stream(
            &topics::CUSTOMER_REQUESTS,
            "What is asked about customers over HTTP.",
            CustomerRequest::TYPES,
            [
                message::<PutCustomer>("PutCustomer", "A customer is to be entered or replaced."),
                message::<Deposit>("Deposit", "Money is to be paid into an account."),
            ],
        ),
    ]
}

/// The events of orders, which two topics have.
fn order_events() -> [Message; 6] {
    [
        message::<Order>("OrderCreated", "An order was accepted: version 1 of it."),
        message::<Order>("OrderValidated", "Every check passed, its stock is reserved."),
        message::<Order>("OrderPaid", "Its total is authorised on the customer's account."),
        message::<Order>("OrderShipped", "It was sent on its way, and nothing follows."),
        message::<Order>("OrderFailed", "It failed for the reasons it has, and nothing follows."),
        message::<Order>("OrderCancelled", "It was called off, and nothing follows."),
    ]
}

fn of_orders() -> Vec<Described> {
    vec![
        stream(
            &topics::ORDERS,
            "Every change of an order, each with the whole order after it. The versions of an \
             order are 1, 2 and so on, without gap or repeat.",
            OrderEvent::TYPES,
            order_events(),
        ),
        stream(
            &topics::ORDERS_BY_CUSTOMER,
            "The events of `orders`, by customer, of those orders whose customer, products and \
             prices are right. They are written in one transaction with those of `orders`. The \
             last one comes once more, with the same version, where a payment was authorised too \
             late.",
            OrderEvent::TYPES,
            order_events(),
        ),
        stream(
            &topics::ORDER_LINES,
            "What orders want of each product, written in one transaction with `orders`. A line is \
             released once more where it was reserved too late.",
            OrderLineEvent::TYPES,
            [
                message::<OrderLine>("OrderLinePlaced", "Pieces are to be reserved."),
                message::<OrderLine>("OrderLineReleased", "They are not wanted any more."),
                message::<OrderLine>("OrderLineShipped", "They leave the stock."),
            ],
        ),
        stream(
            &topics::ORDER_VALIDATIONS,
            "What checks of orders found.",
            OrderValidation::TYPES,
            [
                message::<InventoryCheck>("InventoryChecked", "One line is reserved, or is not."),
                message::<FraudCheck>(
                    "FraudChecked",
                    "The customer's spending is as usual, or not.",
                ),
            ],
        ),
    ]
}

fn of_money_and_stock() -> Vec<Described> {
    vec![
        stream(
            &topics::PAYMENTS,
            "What happened to the payment of an order.",
            PaymentEvent::TYPES,
            [
                message::<Payment>("PaymentAuthorised", "The account holds the amount back."),
                message::<DeclinedPayment>("PaymentDeclined", "The account does not take it."),
                message::<Payment>("PaymentCaptured", "The amount held back was taken."),
                message::<Payment>("PaymentReleased", "It is not held back any more."),
            ],
        ),
        table(&topics::PRODUCTS, "The catalogue.", "Product", "What a product is and costs."),
        table(
            &topics::STOCK_LEVELS,
            "How much there is of each product.",
            "StockLevel",
            "The stock of a product.",
        ),
        table(
            &topics::CUSTOMERS,
            "Customers, without the sums of their accounts.",
            "Customer",
            "Who a customer is.",
        ),
        table(
            &topics::ACCOUNTS,
            "The sums of customers' accounts.",
            "Account",
            "What a customer may spend, and has spent.",
        ),
    ]
}
