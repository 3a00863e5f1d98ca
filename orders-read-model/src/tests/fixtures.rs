//! A topic of orders, and a database to project it into.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use bytes::Bytes;
use eventlog::{MemoryLog, RequestLog, Retention, TopicConfig};
use events::Timestamp;
use events::ids::{CustomerId, OrderId};
use events::money::{Amount, Currency};
use events::order::{CheckState, Checks, Line, Order, OrderEvent, OrderState, Version};
use events::quantity::Quantity;
use events::topics::ORDERS;
use serde_json::Value;
use shell::admission::{Admission, Limits};
use shell::edge;
use sqlx::{AnyConnection, AssertSqlSafe};
use streams::cloud_event::{Attributes, event_time};
use streams::{Event as _, Key as _, ProducedRecord, TopicPartition, partition_for_key};
use tempfile::TempDir;

use crate::database::Database;
use crate::testing::differences;
use crate::{Place, ReadModel};

pub(super) const PARTITIONS: u32 = 3;
/// What is to happen happens within this time.
const WITHIN: Duration = Duration::from_secs(20);

/// A database that is empty at first.
pub(super) struct TestDatabase {
    pub(super) place: Place,
    pub(super) directory: Option<TempDir>,
}

impl TestDatabase {
    pub(super) fn sqlite() -> Self {
        let directory = TempDir::new().unwrap();
        let place = Place::File(directory.path().join("read model.sqlite"));
        TestDatabase { place, directory: Some(directory) }
    }

    pub(super) async fn connect(&self) -> AnyConnection {
        Database::new(&self.place).unwrap().connect().await.unwrap()
    }

    pub(super) async fn run(&self, statement: &str) {
        let statement = AssertSqlSafe(statement.to_owned());
        sqlx::query(statement).execute(&mut self.connect().await).await.unwrap();
    }
}

/// A topic of orders, on a log in memory.
pub(super) struct Topic {
    pub(super) log: Arc<MemoryLog>,
}

impl Topic {
    pub(super) fn new() -> Self {
        let topic = TopicConfig { name: ORDERS.name(), retention: Retention::Forever };
        Topic { log: Arc::new(MemoryLog::new(vec![topic], PARTITIONS)) }
    }

    /// Writes the event that has made an order what it is.
    pub(super) async fn write(&self, order: &Order) {
        let event = OrderEvent::that_led_to(order.clone());
        let headers = Attributes {
            id: Bytes::from_static(b"1"),
            source: "orders-service",
            event_type: event.event_type(),
            time: event_time(order.updated_at),
            trace_parent: None,
        };
        let key = order.id.encode();
        let record = ProducedRecord {
            destination: TopicPartition::new(ORDERS.name(), partition_for_key(&key, PARTITIONS)),
            timestamp: order.updated_at,
            key: Some(key),
            value: Some(event.to_json()),
            headers: headers.into_headers(),
        };
        self.log.append(record).await.unwrap();
    }

    /// Writes what becomes of an order, up to this version: it is validated, paid and shipped.
    pub(super) async fn write_life(&self, first: &Order, versions: u32) {
        let mut order = first.clone();
        for version in 1..=versions {
            self.write(&order).await;
            order = next(&order);
            assert_eq!(order.version.0, version + 1);
        }
    }

    pub(super) fn model(&self, database: &TestDatabase) -> ReadModel {
        ReadModel::start(self.log.clone(), &database.place, false).unwrap()
    }

    pub(super) fn rebuilding(&self, database: &TestDatabase) -> ReadModel {
        ReadModel::start(self.log.clone(), &database.place, true).unwrap()
    }

    /// Waits until the tables are what the log makes of them.
    pub(super) async fn is_projected(&self, database: &TestDatabase) {
        let mut left = vec!["nothing was compared".to_owned()];
        let compared = async {
            while !left.is_empty() {
                let compared = differences(&database.place, &*self.log).await;
                // There may be no tables yet.
                left = compared.unwrap_or_else(|error| vec![error.to_string()]);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let compared = tokio::time::timeout(WITHIN, compared).await;
        assert!(compared.is_ok(), "{left:?}");
    }
}

/// Waits until events are handed on.
pub(super) async fn begin(model: &ReadModel) {
    until("it has begun", || model.live().published().is_some()).await;
    model.published().await.unwrap();
}

/// Waits until something holds.
pub(super) async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(WITHIN, waiting).await.is_ok(), "{what}: not in time");
}

/// An order just placed, of two lines.
pub(super) fn order(id: &str, customer: &str, placed_at_ms: i64) -> Order {
    let line = |product: &str, price: &str| Line {
        product_id: product.parse().unwrap(),
        quantity: Quantity::new(2).unwrap(),
        unit_price: Some(Amount::parse(price).unwrap()),
    };
    let checks = Checks {
        order_details: CheckState::Pass,
        inventory: CheckState::Pending,
        fraud: CheckState::Pending,
    };
    Order {
        id: OrderId::parse(id).unwrap(),
        version: Version::FIRST,
        state: OrderState::Created,
        customer_id: CustomerId::parse(customer).unwrap(),
        currency: Currency::parse("GBP").unwrap(),
        lines: vec![line("jumper", "12.99"), line("mug", "1.00")],
        total: Some(Amount::parse("27.98").unwrap()),
        checks,
        failures: Vec::new(),
        placed_at: Timestamp::from_millis(placed_at_ms),
        updated_at: Timestamp::from_millis(placed_at_ms),
    }
}

/// The order after its next event, where all goes well.
pub(super) fn next(order: &Order) -> Order {
    let state = match order.state {
        OrderState::Created => OrderState::Validated,
        OrderState::Validated => OrderState::Paid,
        _ => OrderState::Shipped,
    };
    let version = order.version.next();
    Order { state, version, updated_at: order.updated_at + 5, ..order.clone() }
}

/// The routes of a read model, with what surrounds them.
pub(super) fn routes(model: &ReadModel, admission: &Admission) -> Router {
    let routes = crate::http::router(model.clone(), admission.clone());
    edge::application(routes, admission, Vec::new())
}

pub(super) fn admission() -> Admission {
    Admission::new(Limits { streams_max: 2, ..Limits::default() })
}

/// What a request is answered with.
pub(super) async fn get(model: &ReadModel, path: &str) -> (u16, Value) {
    use tower::ServiceExt as _;

    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = routes(model, &admission()).oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}
