//! Four services that place orders: the commits that the order system makes for each, without its
//! rules.

use std::sync::Arc;

use anyhow::{Result, bail};
use bytes::Bytes;
use eventlog::contract::block_on;
use eventlog::{
    EmbeddedLog, EmbeddedSession, Log, Membership, RequestLog, Retention, Session, TopicConfig,
};
use streams::{
    CommitBatch, CommitOutcome, CommitPosition, Headers, Offset, Partition, ProducedRecord,
    StateReader, StoreChange, StoreName, TaskCommit, Timestamp, TopicName, TopicPartition,
    partition_for_key,
};

pub(crate) const PARTITIONS: u32 = 6;

const REQUESTS: TopicName = TopicName::new("order-requests");
const ORDERS: TopicName = TopicName::new("orders");
const BY_CUSTOMER: TopicName = TopicName::new("orders-by-customer");
const LINES: TopicName = TopicName::new("order-lines");
const VALIDATIONS: TopicName = TopicName::new("order-validations");
const PAYMENTS: TopicName = TopicName::new("payments");
const LEVELS: TopicName = TopicName::new("stock-levels");
const ACCOUNTS: TopicName = TopicName::new("accounts");

pub(crate) fn topics() -> Vec<TopicConfig> {
    let topic = |name, retention| TopicConfig { name, retention };
    let until = |by| Retention::UntilConsumed { by };
    vec![
        topic(REQUESTS, Retention::Forever),
        topic(ORDERS, Retention::Forever),
        topic(BY_CUSTOMER, until(&["fraud", "payments"])),
        topic(LINES, until(&["inventory"])),
        topic(VALIDATIONS, until(&["orders"])),
        topic(PAYMENTS, Retention::Forever),
        topic(LEVELS, Retention::Compacted),
        topic(ACCOUNTS, Retention::Compacted),
    ]
}

/// A service: its session and how far it has read.
struct Service {
    session: EmbeddedSession,
    positions: Vec<(TopicPartition, Offset)>,
}

/// The four services.
pub(crate) struct Services {
    log: EmbeddedLog,
    orders: Service,
    inventory: Service,
    fraud: Service,
    payments: Service,
    placed: u64,
    committed: CommitPosition,
}

/// An order, by what its records and entries are keyed with.
#[derive(Clone)]
struct Order {
    id: String,
    customer: String,
    product: String,
}

impl Services {
    pub(crate) fn join(log: &EmbeddedLog) -> Result<Self> {
        Ok(Services {
            log: log.clone(),
            orders: Service::join(log, "orders", &[REQUESTS, VALIDATIONS, PAYMENTS])?,
            inventory: Service::join(log, "inventory", &[LINES])?,
            fraud: Service::join(log, "fraud", &[BY_CUSTOMER])?,
            payments: Service::join(log, "payments", &[BY_CUSTOMER])?,
            // After another run on the same directory the orders are others.
            placed: u64::from(std::process::id()) << 32,
            committed: CommitPosition(0),
        })
    }

    /// Places orders in one batch, from the request to the payment, and waits until all of it is
    /// durable.
    pub(crate) fn place(&mut self, count: usize) -> Result<()> {
        self.place_without_waiting(count)?;
        self.wait()
    }

    pub(crate) fn wait(&self) -> Result<()> {
        Ok(block_on(self.log.durable(self.committed))?)
    }

    pub(crate) fn place_without_waiting(&mut self, count: usize) -> Result<()> {
        let orders: Vec<Order> = (0..count).map(|_| self.next_order()).collect();
        for order in &orders {
            let request = record(REQUESTS, &order.id, "PlaceOrder", REQUEST_BYTES);
            while let Err(error) = block_on(self.log.append(request.clone())) {
                if error != eventlog::Error::Overloaded {
                    return Err(error.into());
                }
                self.wait()?;
            }
        }
        self.orders.take(&orders, accepted)?;
        self.inventory.take(&orders, reserved)?;
        self.fraud.take(&orders, checked)?;
        self.orders.take(&orders, |order| decided(order, "OrderValidated"))?;
        self.payments.take(&orders, authorised)?;
        self.committed = self.orders.take(&orders, |order| decided(order, "OrderPaid"))?;
        Ok(())
    }

    fn next_order(&mut self) -> Order {
        self.placed += 1;
        let random = mixed(self.placed);
        Order {
            id: format!("{:016x}{:016x}", random, mixed(random)),
            customer: format!("customer-{}", random % 10_000),
            product: format!("product-{}", random % 1_000),
        }
    }
}

impl Service {
    fn join(log: &EmbeddedLog, group: &'static str, sources: &[TopicName]) -> Result<Self> {
        let membership = Membership { group, sources: sources.to_vec() };
        let mut session = log.join(membership, Arc::new(|| ()))?;
        let all: Vec<_> = (0..PARTITIONS).map(Partition).collect();
        let mut positions = Vec::new();
        for (partition, task) in all.iter().zip(session.positions(&all)?) {
            for topic in sources {
                let known = task.committed.iter().find(|(name, _)| name == topic);
                let offset = known.map_or(Offset(0), |(_, offset)| *offset);
                positions.push((TopicPartition::new(*topic, *partition), offset));
            }
        }
        Ok(Service { session, positions })
    }

    /// Takes what there is to read, and commits what `process` makes of each order, with the
    /// offsets.
    fn take(
        &mut self,
        orders: &[Order],
        process: impl Fn(&Order) -> Made,
    ) -> Result<CommitPosition> {
        self.positions = self.session.fetch(&self.positions, 2_000)?.positions;
        let mut tasks: Vec<TaskCommit> =
            (0..PARTITIONS).map(|p| empty_task(Partition(p))).collect();
        for order in orders {
            let made = process(order);
            let partition = partition_for_key(made.key.as_bytes(), PARTITIONS);
            let task = &mut tasks[partition.0 as usize];
            for change in &made.changes {
                self.session.get(partition, change.store, &change.key)?;
            }
            task.outputs.extend(made.outputs);
            task.changes.extend(made.changes);
        }
        for (of, offset) in &self.positions {
            tasks[of.partition.0 as usize].offsets.push((of.topic, *offset));
        }
        tasks.retain(|task| !task.outputs.is_empty());
        match self.session.commit(CommitBatch { tasks }) {
            CommitOutcome::Committed { position, .. } => Ok(position),
            outcome => bail!("not committed: {outcome:?}"),
        }
    }
}

fn empty_task(partition: Partition) -> TaskCommit {
    TaskCommit { partition, outputs: Vec::new(), changes: Vec::new(), offsets: Vec::new() }
}

/// What a service makes of an order.
struct Made {
    key: String,
    outputs: Vec<ProducedRecord>,
    changes: Vec<StoreChange>,
}

const REQUEST_BYTES: usize = 180;
const ORDER_BYTES: usize = 420;
const SMALL_BYTES: usize = 120;

fn accepted(order: &Order) -> Made {
    Made {
        key: order.id.clone(),
        outputs: vec![
            record(ORDERS, &order.id, "OrderCreated", ORDER_BYTES),
            record(BY_CUSTOMER, &order.customer, "OrderCreated", ORDER_BYTES),
            record(LINES, &order.product, "LinePlaced", SMALL_BYTES),
        ],
        changes: vec![
            change("orders", &order.id, ORDER_BYTES + 300),
            change("open-orders", &order.id, 20),
        ],
    }
}

fn reserved(order: &Order) -> Made {
    Made {
        key: order.product.clone(),
        outputs: vec![
            record(VALIDATIONS, &order.id, "OrderValidated", SMALL_BYTES),
            record(LEVELS, &order.product, "StockLevel", SMALL_BYTES),
        ],
        changes: vec![
            change("stock", &order.product, 100),
            change("reservations", &format!("{}/{}", order.product, order.id), 40),
        ],
    }
}

fn checked(order: &Order) -> Made {
    Made {
        key: order.customer.clone(),
        outputs: vec![record(VALIDATIONS, &order.id, "OrderValidated", SMALL_BYTES)],
        changes: vec![change("spending", &order.customer, 100)],
    }
}

fn decided(order: &Order, event: &'static str) -> Made {
    Made {
        key: order.id.clone(),
        outputs: vec![
            record(ORDERS, &order.id, event, ORDER_BYTES),
            record(BY_CUSTOMER, &order.customer, event, ORDER_BYTES),
        ],
        changes: vec![
            change("orders", &order.id, ORDER_BYTES + 300),
            // An order is open until it is paid.
            StoreChange { value: None, ..change("open-orders", &order.id, 20) },
        ],
    }
}

fn authorised(order: &Order) -> Made {
    Made {
        key: order.customer.clone(),
        outputs: vec![
            record(PAYMENTS, &order.id, "PaymentAuthorised", SMALL_BYTES),
            record(ACCOUNTS, &order.customer, "Account", SMALL_BYTES),
        ],
        changes: vec![change("payments", &order.id, 100), change("accounts", &order.customer, 100)],
    }
}

fn record(topic: TopicName, key: &str, event: &'static str, bytes: usize) -> ProducedRecord {
    let partition = partition_for_key(key.as_bytes(), PARTITIONS);
    let mut headers = Headers::with_capacity(7);
    headers.add("ce_specversion", Bytes::from_static(b"1.0"));
    headers.add("ce_id", Bytes::copy_from_slice(key.as_bytes()));
    headers.add("ce_type", Bytes::from_static(event.as_bytes()));
    headers.add("ce_source", Bytes::from_static(b"/orders-service"));
    headers.add("ce_time", Bytes::from_static(b"2026-01-02T03:04:05.678Z"));
    headers.add("content-type", Bytes::from_static(b"application/json"));
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    headers.add("traceparent", Bytes::copy_from_slice(parent.as_bytes()));
    ProducedRecord {
        destination: TopicPartition::new(topic, partition),
        timestamp: Timestamp::from_millis(1_767_323_045_678),
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        value: Some(json(key, bytes)),
        headers,
    }
}

fn change(store: &'static str, key: &str, bytes: usize) -> StoreChange {
    let key_bytes = Bytes::copy_from_slice(key.as_bytes());
    StoreChange { store: StoreName::new(store), key: key_bytes, value: Some(json(key, bytes)) }
}

/// Text of about this length that packs about as well as an order does.
fn json(key: &str, bytes: usize) -> Bytes {
    const SHAPE: &str = concat!(
        r#","version":2,"state":"VALIDATED","customerId":"c-1","currency":"GBP","#,
        r#""lines":[{"productId":"jumper","quantity":2,"unitPrice":"12.99"}],"total":"25.98","#,
        r#""checks":{"ORDER_DETAILS":"PASS","INVENTORY":"PASS","FRAUD":"PASS"},"failures":[],"#,
        r#""placedAt":"2026-01-02T03:04:05.678Z","updatedAt":"2026-01-02T03:04:05.690Z""#,
    );
    let mut text = format!(r#"{{"id":"{key}""#);
    while text.len() < bytes {
        let missing = bytes - text.len();
        text.push_str(&SHAPE[..SHAPE.len().min(missing)]);
    }
    text.push('}');
    Bytes::from(text)
}

/// A number that looks random (SplitMix64).
fn mixed(number: u64) -> u64 {
    let sum = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let once = (sum ^ (sum >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let twice = (once ^ (once >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    twice ^ (twice >> 31)
}
