//! How stock is wired: what comes in, what is kept, what goes out.
//!
//! ```text
//!  order-lines ------> take-line ------> order-validations, stock-levels
//!  product-requests -> take-request ---> products, stock-levels
//! ```

use events::ids::{AdjustmentId, OrderId, Pair, ProductId, RequestId};
use events::stock::{AdjustStock, OrderLineEvent, Product, ProductRequest, PutProduct, StockLevel};
use events::topics::{
    DEAD_LETTERS, INVENTORY_SERVICE, ORDER_LINES, ORDER_VALIDATIONS, PRODUCT_REQUESTS,
    PRODUCTS as PRODUCT_TABLE, STOCK_LEVELS,
};
use events::validation::OrderValidation;
use streams::{Context, ProcessError, Record, Store, Topology, TopologyBuilder, TopologyError};

use crate::stock::{
    Adjusted, Adjustment, LineOutcome, Put, Refusal, Reservation, adjust, put_product, take_line,
};

/// The catalogue.
pub const PRODUCTS: Store<ProductId, Product> = Store::new("products");
/// How much there is of each product.
pub const STOCK: Store<ProductId, StockLevel> = Store::new("stock");
/// What is promised to which order, while it is.
pub const RESERVATIONS: Store<Pair<ProductId, OrderId>, Reservation> = Store::new("reservations");
/// The adjustments that were made. Kept for ever, so that none is made twice.
pub const ADJUSTMENTS: Store<Pair<ProductId, AdjustmentId>, Adjustment> = Store::new("adjustments");
/// Why requests were refused, for those who sent them. Kept for ever.
pub const REFUSALS: Store<RequestId, Refusal> = Store::new("refusals");

/// The topology of inventory-service.
///
/// # Errors
/// None in practice: a test builds it.
pub fn topology() -> Result<Topology, TopologyError> {
    TopologyBuilder::new(INVENTORY_SERVICE, DEAD_LETTERS)
        .table(&PRODUCT_TABLE)
        .stream(&ORDER_LINES, "take-line", take_order_line)
        .with_store(&STOCK)
        .with_store(&RESERVATIONS)
        .to(&ORDER_VALIDATIONS)
        .to(&STOCK_LEVELS)
        .requests(&PRODUCT_REQUESTS, "take-request", take_request)
        .with_store(&PRODUCTS)
        .with_store(&STOCK)
        .with_store(&ADJUSTMENTS)
        .with_store(&REFUSALS)
        .to(&PRODUCT_TABLE)
        .to(&STOCK_LEVELS)
        .build()
}

fn take_order_line(
    context: &mut Context<'_>,
    event: Record<ProductId, OrderLineEvent>,
) -> Result<(), ProcessError> {
    let line = event.value.line();
    let place = Pair::new(event.key.clone(), line.order_id.clone());
    let level = context.get(&STOCK, &event.key)?;
    let reservation = context.get(&RESERVATIONS, &place)?;
    match take_line(level.as_ref(), reservation.as_ref(), &event.value) {
        LineOutcome::Reserved(level, reservation, validation) => {
            set_level(context, &level)?;
            context.put(&RESERVATIONS, &place, &reservation)?;
            answer(context, &validation)
        }
        LineOutcome::Rejected(validation) => answer(context, &validation),
        LineOutcome::Ended(level) => {
            set_level(context, &level)?;
            context.delete(&RESERVATIONS, &place)
        }
        LineOutcome::Unchanged => Ok(()),
    }
}

fn answer(context: &mut Context<'_>, validation: &OrderValidation) -> Result<(), ProcessError> {
    context.forward(&ORDER_VALIDATIONS, validation.order_id(), validation)
}

fn set_level(context: &mut Context<'_>, level: &StockLevel) -> Result<(), ProcessError> {
    context.put(&STOCK, &level.product_id, level)?;
    context.forward(&STOCK_LEVELS, &level.product_id, level)
}

fn take_request(
    context: &mut Context<'_>,
    request: Record<ProductId, ProductRequest>,
) -> Result<(), ProcessError> {
    match request.value {
        ProductRequest::Put(request) => put(context, &request),
        ProductRequest::AdjustStock(request) => adjust_stock(context, &request),
    }
}

fn put(context: &mut Context<'_>, request: &PutProduct) -> Result<(), ProcessError> {
    let before = context.get(&PRODUCTS, &request.product_id)?;
    let product = match put_product(before.as_ref(), request) {
        Put::Created(product, level) => {
            set_level(context, &level)?;
            product
        }
        Put::Replaced(product) => product,
    };
    context.put(&PRODUCTS, &product.product_id, &product)?;
    context.forward(&PRODUCT_TABLE, &product.product_id, &product)
}

fn adjust_stock(context: &mut Context<'_>, request: &AdjustStock) -> Result<(), ProcessError> {
    let place = Pair::new(request.product_id.clone(), request.adjustment_id.clone());
    let level = context.get(&STOCK, &request.product_id)?;
    let made = context.get(&ADJUSTMENTS, &place)?;
    match adjust(level.as_ref(), made.as_ref(), request) {
        Adjusted::Applied(level, adjustment) => {
            set_level(context, &level)?;
            context.put(&ADJUSTMENTS, &place, &adjustment)
        }
        Adjusted::Repeated => Ok(()),
        Adjusted::Refused(refusal) => context.put(&REFUSALS, &request.request_id, &refusal),
    }
}
