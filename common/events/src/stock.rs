//! Products, their stock, and the lines of orders as a product sees them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::event::event_types;
use crate::ids::{AdjustmentId, OrderId, ProductId, RequestId};
use crate::money::Money;
use crate::order::Version;
use crate::quantity::Quantity;

/// What an order means for the stock of one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderLineEvent {
    /// The order wants these pieces.
    Placed(OrderLine),
    /// The order does not want them any more.
    Released(OrderLine),
    /// The order took them along.
    Shipped(OrderLine),
}

event_types!(OrderLineEvent {
    Placed => "OrderLinePlaced",
    Released => "OrderLineReleased",
    Shipped => "OrderLineShipped",
});

impl OrderLineEvent {
    /// The line it is about.
    pub const fn line(&self) -> &OrderLine {
        match self {
            OrderLineEvent::Placed(line)
            | OrderLineEvent::Released(line)
            | OrderLineEvent::Shipped(line) => line,
        }
    }
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderLine {
    /// The order.
    pub order_id: OrderId,
    /// The version of the order that this came with.
    pub version: Version,
    /// The product.
    pub product_id: ProductId,
    /// How many pieces of it.
    pub quantity: Quantity,
}

/// A request about one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProductRequest {
    /// To enter or replace it in the catalogue.
    Put(PutProduct),
    /// To change how much of it there is.
    AdjustStock(AdjustStock),
}

event_types!(ProductRequest {
    Put => "PutProduct",
    AdjustStock => "AdjustStock",
});

impl ProductRequest {
    /// The product it is about.
    pub const fn product_id(&self) -> &ProductId {
        match self {
            ProductRequest::Put(request) => &request.product_id,
            ProductRequest::AdjustStock(request) => &request.product_id,
        }
    }

    /// The request's own id.
    pub const fn request_id(&self) -> RequestId {
        match self {
            ProductRequest::Put(request) => request.request_id,
            ProductRequest::AdjustStock(request) => request.request_id,
        }
    }
}

/// A request to enter or replace a product in the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PutProduct {
    /// Which request this is.
    pub request_id: RequestId,
    /// The product.
    pub product_id: ProductId,
    /// What it is called.
    pub name: String,
    /// The price of one.
    pub price: Money,
}

/// A request to change how much of a product there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdjustStock {
    /// Which request this is.
    pub request_id: RequestId,
    /// The product.
    pub product_id: ProductId,
    /// Which adjustment this is: however often it is asked for, it is made once.
    pub adjustment_id: AdjustmentId,
    /// How many pieces come in; below 0, how many go out.
    pub delta: i64,
}

/// An entry of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Product {
    /// The product.
    pub product_id: ProductId,
    /// What it is called.
    pub name: String,
    /// The price of one.
    pub price: Money,
}

/// How much there is of a product. Written with the pieces that are `available`, which readers
/// that are not in this workspace then need not work out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", into = "WrittenStockLevel")]
pub struct StockLevel {
    /// The product.
    pub product_id: ProductId,
    /// How many pieces there are.
    pub on_hand: u64,
    /// How many of them are promised to orders.
    pub reserved: u64,
}

impl StockLevel {
    /// How many pieces can still be promised.
    pub const fn available(&self) -> u64 {
        self.on_hand.saturating_sub(self.reserved)
    }
}

/// How much there is of a product.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WrittenStockLevel {
    /// The product.
    product_id: ProductId,
    /// How many pieces there are.
    on_hand: u64,
    /// How many of them are promised to orders.
    reserved: u64,
    /// How many pieces can still be promised.
    available: u64,
}

impl From<StockLevel> for WrittenStockLevel {
    fn from(level: StockLevel) -> Self {
        let available = level.available();
        let StockLevel { product_id, on_hand, reserved } = level;
        WrittenStockLevel { product_id, on_hand, reserved, available }
    }
}

impl PartialSchema for StockLevel {
    fn schema() -> RefOr<Schema> {
        WrittenStockLevel::schema()
    }
}

impl ToSchema for StockLevel {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("StockLevel")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        WrittenStockLevel::schemas(schemas);
    }
}
