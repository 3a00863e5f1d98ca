//! How fast a log of orders becomes tables of SQLite, and how fast lists are read of them: for few
//! orders and for many, side by side.
//!
//! `cargo run --release -p orders-read-model --example lists -- 1000 1000000`

use std::error::Error;
use std::io::{Write, stdout};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use bytes::Bytes;
use eventlog::{Appended, BoxFuture, RequestLog};
use events::Timestamp;
use events::ids::{CustomerId, OrderId};
use events::money::{Amount, Currency};
use events::order::{CheckState, Checks, Line, Order, OrderEvent, OrderState, Version};
use events::quantity::Quantity;
use orders_read_model::{Place, ReadModel, http};
use serde_json::Value;
use shell::admission::{Admission, Limits};
use streams::cloud_event::{Attributes, event_time};
use streams::{
    CommitPosition, ConsumedRecord, Event as _, Fetched, Offset, Partition, ProducedRecord,
    TopicPartition,
};
use tokio::time::Instant;
use tower::ServiceExt;

const PARTITIONS: u64 = 6;
/// What becomes of each order.
const STATES: [OrderState; 3] = [OrderState::Created, OrderState::Validated, OrderState::Paid];
const CUSTOMERS: u64 = 1_000;
const REQUESTS: usize = 300;

/// A log that makes its records up when they are read, and so takes no room.
struct MadeUp {
    first: Order,
    orders: u64,
}

impl MadeUp {
    fn new(orders: u64) -> Result<Self, Box<dyn Error>> {
        let line = |product: &str, price: &str| -> Result<Line, Box<dyn Error>> {
            let unit_price = Some(Amount::parse(price)?);
            Ok(Line { product_id: product.parse()?, quantity: Quantity::new(2)?, unit_price })
        };
        let first = Order {
            id: OrderId::parse("o-0")?,
            version: Version::FIRST,
            state: OrderState::Created,
            customer_id: CustomerId::parse("customer-0")?,
            currency: Currency::parse("GBP")?,
            lines: vec![line("jumper", "12.99")?, line("mug", "1.00")?],
            total: Some(Amount::parse("27.98")?),
            checks: Checks {
                order_details: CheckState::Pass,
                inventory: CheckState::Pass,
                fraud: CheckState::Pass,
            },
            failures: Vec::new(),
            placed_at: Timestamp::from_millis(1_767_323_045_678),
            updated_at: Timestamp::from_millis(1_767_323_045_678),
        };
        Ok(MadeUp { first, orders })
    }

    fn end(&self) -> u64 {
        self.orders.div_ceil(PARTITIONS) * STATES.len() as u64
    }

    fn record(&self, of: TopicPartition, offset: u64) -> Option<ConsumedRecord> {
        let states = STATES.len() as u64;
        let number = offset / states * PARTITIONS + u64::from(of.partition.0);
        let state = STATES[(offset % states) as usize];
        let placed_at = self.first.placed_at + number;
        let order = Order {
            // As ids do that clients make up: they come in no order.
            id: OrderId::parse(&format!("o-{:016x}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
                .ok()?,
            customer_id: CustomerId::parse(&format!("customer-{}", number % CUSTOMERS)).ok()?,
            version: Version((offset % states) as u32 + 1),
            state,
            placed_at,
            updated_at: placed_at + offset % states,
            ..self.first.clone()
        };
        let event = OrderEvent::that_led_to(order);
        let headers = Attributes {
            id: Bytes::from_static(b"1"),
            source: "orders-service",
            event_type: event.event_type(),
            time: event_time(event.order().updated_at),
            trace_parent: None,
        };
        Some(ConsumedRecord {
            source: of,
            offset: Offset(offset),
            timestamp: event.order().updated_at,
            key: None,
            value: Some(event.to_json()),
            headers: headers.into_headers(),
        })
    }

    fn records(&self, of: TopicPartition, from: Offset, max: usize) -> Vec<ConsumedRecord> {
        let until = self.end().min(from.0 + max as u64);
        (from.0..until).filter_map(|offset| self.record(of, offset)).collect()
    }
}

impl RequestLog for MadeUp {
    fn append(&self, _: ProducedRecord) -> BoxFuture<'_, Result<Appended, eventlog::Error>> {
        Box::pin(std::future::ready(Err(eventlog::Error::Overloaded)))
    }

    fn durable(&self, _: CommitPosition) -> BoxFuture<'_, Result<(), eventlog::Error>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn read(
        &self,
        of: TopicPartition,
        from: Offset,
        records_max: usize,
    ) -> BoxFuture<'_, Result<Vec<ConsumedRecord>, eventlog::Error>> {
        Box::pin(async move { Ok(self.records(of, from, records_max)) })
    }

    fn follow<'a>(
        &'a self,
        from: &'a [(TopicPartition, Offset)],
        records_max: usize,
    ) -> BoxFuture<'a, Result<Fetched, eventlog::Error>> {
        Box::pin(async move {
            let mut fetched = Fetched::default();
            for (of, from) in from {
                let records = self.records(*of, *from, records_max / PARTITIONS as usize);
                let next = records.last().map_or(*from, |last| last.offset.next());
                fetched.positions.push((*of, next));
                fetched.records.extend(records);
            }
            if fetched.records.is_empty() {
                std::future::pending::<()>().await;
            }
            Ok(fetched)
        })
    }

    fn ends<'a>(
        &'a self,
        of: &'a [TopicPartition],
    ) -> BoxFuture<'a, Result<Vec<Offset>, eventlog::Error>> {
        Box::pin(async move { Ok(of.iter().map(|_| Offset(self.end())).collect()) })
    }

    fn health(&self) -> Result<(), eventlog::Error> {
        Ok(())
    }

    fn partitions(&self) -> u32 {
        Partition(PARTITIONS as u32).0
    }
}

async fn get(routes: &Router, query: &str) -> Result<Value, Box<dyn Error>> {
    let request = Request::get(format!("/v1/orders?{query}")).body(Body::empty())?;
    let Ok(response) = routes.clone().oneshot(request).await;
    let body = to_bytes(response.into_body(), usize::MAX).await?;
    Ok(serde_json::from_slice(&body)?)
}

/// The middle and nearly the longest of the times that a list takes, in microseconds.
async fn times(routes: &Router, query: &str) -> Result<[u128; 2], Box<dyn Error>> {
    let mut times = Vec::new();
    for _ in 0..REQUESTS {
        let began = Instant::now();
        let page = get(routes, query).await?;
        times.push(began.elapsed().as_micros());
        assert!(page["orders"].is_array(), "{query}: {page}");
    }
    times.sort_unstable();
    Ok([times[REQUESTS / 2], times[REQUESTS * 99 / 100]])
}

/// A cursor half way down the list of all.
async fn half_way(log: &MadeUp, routes: &Router) -> Result<String, Box<dyn Error>> {
    let placed_at = log.first.placed_at + log.orders / 2;
    let before = events::rfc3339::format(placed_at);
    let page = get(routes, &format!("limit=1&placedBefore={before}")).await?;
    Ok(page["nextCursor"].as_str().unwrap_or_default().to_owned())
}

async fn measure(orders: u64) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let log = Arc::new(MadeUp::new(orders)?);
    let began = Instant::now();
    let file = Place::File(directory.path().join("read-model.sqlite"));
    let model = ReadModel::start(Arc::<MadeUp>::clone(&log), &file, false)?;
    while !model.is_whole() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let rate = model.events() as f64 / seconds;
    let mut bytes = 0;
    for file in std::fs::read_dir(directory.path())? {
        bytes += file?.metadata()?.len();
    }
    writeln!(
        stdout(),
        "{orders} orders: {} events in {seconds:.2} s, {rate:.0} a second; {} bytes an order",
        model.events(),
        bytes / orders
    )?;
    let routes = http::router(model.clone(), Admission::new(Limits::default())).into();
    let cursor = format!("cursor={}", half_way(&log, &routes).await?);
    for (name, query) in [
        ("newest", ""),
        ("half way down", &cursor),
        ("a customer", "customerId=customer-7"),
        ("a state", "state=PAID"),
        ("a customer and a state", "customerId=customer-7&state=PAID"),
        ("a state that none is in", "state=FAILED"),
    ] {
        let [middle, long] = times(&routes, query).await?;
        writeln!(stdout(), "  {name:<24} p50 {middle:>6} us, p99 {long:>6} us")?;
    }
    model.stop().await;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    for orders in std::env::args().skip(1) {
        measure(orders.parse()?).await?;
    }
    Ok(())
}
