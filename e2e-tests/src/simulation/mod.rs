//! The four services in the simulator: clients place, cancel, ship and read orders, enter products
//! and customers, adjust stock and pay money in, on instances that crash, stall and disagree, and
//! whatever happens the invariants hold.
//!
//! - `shop`: what there is, and requests as the HTTP edges write them
//! - `asked`: what clients have asked, and what each answer must be like
//! - [`Shop`]: the workload
//! - [`Endings`]: how the orders ended
//! - `options` and `runner`: the program that runs seeds

mod asked;
mod endings;
mod options;
mod runner;
mod shop;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use events::ids::{CustomerId, OrderId, Pair, ProductId};
use events::order_request::{OrderRequest, PlaceOrder, RequestedOrder};
use events::payment::CustomerRequest;
use events::stock::ProductRequest;
use events::topics::{self, DEAD_LETTERS};
use inventory_service::topology as inventory;
use orders_service::order::state::{OrderRecord, Timeouts};
use orders_service::topology as orders;
use payments_service::topology as payments;
use sim::{
    AtRest, Call, CallId, CallOutcome, InvariantId, Options, Random, Read, Violation, Workload,
};
use streams::{
    Codec, Json, Key, ProducedRecord, Store, StoreName, Timestamp, Topology, partition_for_key,
};

use asked::Asked;
pub use endings::{Ending, Endings};
use invariants::answers::Answers;
use invariants::{self, Invariant, Invariants};
pub use options::{Cli, ModeArgument};
pub use runner::run;
use shop::{Edge, Sizes};

/// How long services may take to answer one another, in ticks: short, so that it happens.
const TIMEOUTS: Timeouts = Timeouts { validation_ticks: 4, payment_ticks: 3 };
/// An order settles within its timeouts plus two ticks each, once its services run; until they do,
/// some failed steps may be tried again.
const SETTLE_MS: u64 = 13_000;
/// How long a read may wait, in milliseconds.
const READ_MS: u64 = 5_000;
/// How far the clocks of the HTTP edges may be wrong, in milliseconds: now and then a session of
/// orders is over by that, or even forgotten.
const EDGE_SKEW_MS: [u64; 4] = [0, 10_000, 2 * 60 * 60 * 1_000, 30 * 60 * 60 * 1_000];

/// The index of each service.
const ORDERS: usize = 0;
const INVENTORY: usize = 1;
const PAYMENTS: usize = 3;

/// Simulated clients of the four services.
#[derive(Debug)]
pub struct Shop {
    partitions: u32,
    sizes: Sizes,
    edge_skew_ms: u64,
    asked: BTreeMap<CallId, Asked>,
    /// What was placed, by the number of the order, for clients who place it again.
    placed: Vec<RequestedOrder>,
    /// The products and customers that somebody was told to be there.
    known_products: BTreeSet<ProductId>,
    known_customers: BTreeSet<CustomerId>,
    answers: Answers,
    invariants: Invariants,
    garbage: usize,
    endings: Endings,
}

impl Shop {
    /// A shop whose clients do what chance says. How its orders end is counted in `endings`.
    pub fn new(options: &Options, mut random: Random, endings: &Endings) -> Self {
        Shop {
            partitions: options.partitions,
            sizes: Sizes::draw(&mut random),
            edge_skew_ms: *random.pick(&EDGE_SKEW_MS).unwrap_or(&0),
            asked: BTreeMap::new(),
            placed: Vec::new(),
            known_products: BTreeSet::new(),
            known_customers: BTreeSet::new(),
            answers: Answers::default(),
            invariants: Invariants::default(),
            garbage: 0,
            endings: endings.clone(),
        }
    }

    fn read(&self, service: usize, key: &impl Key, entries: Vec<(StoreName, Bytes)>) -> Read {
        let partition = partition_for_key(&key.encode(), self.partitions);
        Read { service, partition, entries, until: None, timeout_ms: READ_MS }
    }

    fn order_read(&self, id: &OrderId) -> Read {
        self.read(ORDERS, id, vec![entry(&orders::ORDERS, id)])
    }

    /// Enters what is missing, so that there is something to order; `None` once all is there.
    fn setup_call(&self, edge: Edge, random: &mut Random) -> Option<(Asked, Call)> {
        let missing = |number: &u64| !self.known_products.contains(&shop::product(*number));
        if let Some(number) = (0..self.sizes.products).find(missing) {
            return Some(self.put_product(shop::product(number), edge, random));
        }
        let missing = |number: &u64| !self.known_customers.contains(&shop::customer(*number));
        let number = (0..self.sizes.customers).find(missing)?;
        Some(self.put_customer(shop::customer(number), edge, random))
    }

    fn put_product(&self, product: ProductId, edge: Edge, random: &mut Random) -> (Asked, Call) {
        let request = shop::put_product(product.clone(), random);
        let read = self.read(INVENTORY, &product, vec![entry(&inventory::PRODUCTS, &product)]);
        let call = Call { request: Some(edge.product_request(&request)), read };
        (Asked::Product(product), call)
    }

    fn put_customer(&self, customer: CustomerId, edge: Edge, random: &mut Random) -> (Asked, Call) {
        let request = shop::put_customer(customer.clone(), self.sizes.limit, random);
        let read = self.read(PAYMENTS, &customer, vec![entry(&payments::CUSTOMERS, &customer)]);
        let call = Call { request: Some(edge.customer_request(&request)), read };
        (Asked::Customer(customer), call)
    }

    fn adjust_stock(&self, number: u64, edge: Edge, random: &mut Random) -> (Asked, Call) {
        let product = self.sizes.product(random);
        let request = shop::adjust_stock(product.clone(), number, self.sizes.stock, random);
        let place = Pair::new(product.clone(), request.adjustment_id.clone());
        let entries = vec![
            entry(&inventory::ADJUSTMENTS, &place),
            entry(&inventory::REFUSALS, &request.request_id),
        ];
        let read = self.read(INVENTORY, &product, entries);
        let asked = Asked::Adjustment(product, request.adjustment_id.clone());
        let request = edge.product_request(&ProductRequest::AdjustStock(request));
        (asked, Call { request: Some(request), read })
    }

    fn deposit(&self, number: u64, edge: Edge, random: &mut Random) -> (Asked, Call) {
        let customer = self.sizes.customer(random);
        let request = shop::deposit(customer.clone(), number, random);
        let place = Pair::new(customer.clone(), request.deposit_id.clone());
        let entries = vec![
            entry(&payments::DEPOSITS, &place),
            entry(&payments::REFUSALS, &request.request_id),
        ];
        let read = self.read(PAYMENTS, &customer, entries);
        let asked = Asked::Deposit(customer, request.deposit_id.clone());
        let request = edge.customer_request(&CustomerRequest::Deposit(request));
        (asked, Call { request: Some(request), read })
    }

    /// Places an order; now and then one that was placed before, or another under its id.
    fn place(&mut self, edge: Edge, random: &mut Random) -> (Asked, Call) {
        let again = random.below(8) == 0 && !self.placed.is_empty();
        let number = if again { random.index(self.placed.len()) } else { self.placed.len() };
        let order = match self.placed.get(number) {
            Some(order) if random.below(2) == 0 => order.clone(),
            _ => shop::requested_order(&self.sizes, random),
        };
        if !again {
            self.placed.push(order.clone());
        }
        let request = shop::place(shop::order(number as u64), order, random);
        let asked = Asked::Place {
            floor: self.answers.floor(&request.order_id),
            all_known: self.knows_all_of(&request),
            request: Box::new(request.clone()),
        };
        let read = self.order_read(&request.order_id);
        let request = edge.order_request(&OrderRequest::Place(request));
        (asked, Call { request: Some(request), read })
    }

    /// Whether clients were told of everything that the order names.
    fn knows_all_of(&self, request: &PlaceOrder) -> bool {
        let mut lines = request.order.lines().iter();
        self.known_customers.contains(request.order.customer_id())
            && lines.all(|line| self.known_products.contains(&line.product_id))
    }

    /// Cancels, ships or just reads an order.
    fn order_call(&self, edge: Edge, random: &mut Random) -> (Asked, Call) {
        let id = shop::order(random.below(self.placed.len() as u64 + 1));
        let asked = Asked::Order { id: id.clone(), floor: self.answers.floor(&id) };
        let mut read = self.order_read(&id);
        let request = match random.below(6) {
            0 => Some(shop::cancel(id, random)),
            1 | 2 => Some(shop::ship(id, random)),
            3 => {
                read.until = Some(Arc::new(is_settled));
                None
            }
            _ => None,
        };
        let request = request.map(|request| edge.order_request(&request));
        (asked, Call { request, read })
    }

    fn garbage_call(&self, number: u64, edge: Edge, random: &mut Random) -> (Asked, Call) {
        let (asked, Call { read, .. }) = self.order_call(edge, random);
        // What is read lies elsewhere: the request can be anywhere.
        let request = edge.garbage(number);
        let partition = request.destination.partition;
        match asked {
            Asked::Order { .. } if partition == read.partition => {
                (asked, Call { request: Some(request), read })
            }
            asked => (asked, Call { request: None, read }),
        }
    }
}

impl Workload for Shop {
    fn topics(&self) -> Vec<streams::TopicConfig> {
        topics::ALL.to_vec()
    }

    fn services(&self) -> Vec<Arc<Topology>> {
        let all = [
            orders::topology(TIMEOUTS),
            inventory::topology(),
            fraud_service::topology(),
            payments::topology(),
        ];
        all.into_iter()
            .map(|topology| match topology {
                Ok(topology) => Arc::new(topology),
                Err(error) => unreachable!("the topologies are sound: {error}"),
            })
            .collect()
    }

    fn settle_ms(&self) -> u64 {
        SETTLE_MS
    }

    fn next_call(&mut self, id: CallId, now: Timestamp, random: &mut Random) -> Call {
        let skew_ms = random.below(2 * self.edge_skew_ms + 1);
        let edge = Edge { partitions: self.partitions, now: now + skew_ms - self.edge_skew_ms };
        let setup = if random.below(4) == 0 { None } else { self.setup_call(edge, random) };
        let (asked, call) = match setup {
            Some(setup) => setup,
            None => match random.below(32) {
                0 => self.put_product(self.sizes.product(random), edge, random),
                1 => self.put_customer(self.sizes.customer(random), edge, random),
                2..5 => self.adjust_stock(id.0, edge, random),
                5 | 6 => self.deposit(id.0, edge, random),
                7 => self.garbage_call(id.0, edge, random),
                8..18 => self.order_call(edge, random),
                _ => self.place(edge, random),
            },
        };
        self.asked.insert(id, asked);
        call
    }

    fn answered(&mut self, id: CallId, outcome: &CallOutcome) -> Result<(), Violation> {
        match self.asked.remove(&id) {
            Some(asked) => self.check_answer(asked, outcome).map_err(violation),
            None => Ok(()),
        }
    }

    fn committed(&mut self, record: &ProducedRecord) -> Result<(), Violation> {
        if record.key.as_ref().is_some_and(|key| key.starts_with(shop::GARBAGE.as_bytes())) {
            self.garbage += usize::from(record.destination.topic != DEAD_LETTERS);
            return Ok(());
        }
        self.invariants.take(record).map_err(violation)
    }

    fn at_rest(&mut self, system: &dyn AtRest) -> Result<(), Violation> {
        let mut violations = self.invariants.at_rest();
        violations.extend(self.answers.not_on(&self.invariants));
        if let Some(first) = violations.into_iter().next() {
            return Err(violation(first));
        }
        let letters = system.records(DEAD_LETTERS).len();
        if letters != self.garbage {
            let detail = format!("{letters} dead letters of {} bad records", self.garbage);
            return Err(Violation::new(DEAD_LETTERS_KEPT, detail));
        }
        self.check_order_store(system)?;
        for history in self.invariants.orders().iter() {
            self.endings.count(&history.order);
        }
        Ok(())
    }
}

impl Shop {
    /// What an instance shows of an order at rest is what the log has of it.
    fn check_order_store(&self, system: &dyn AtRest) -> Result<(), Violation> {
        let mut orders = self.invariants.orders().iter();
        let mut entries = system.entries(ORDERS, orders::ORDERS.name());
        entries.sort_unstable_by(|one, other| one.1.cmp(&other.1));
        for (_, key, bytes) in &entries {
            let stored = decode::<OrderRecord>(bytes).map(|record| record.order);
            let logged = orders.next().map(|history| history.order.clone());
            if stored != logged {
                let detail = format!("under {key:?} lies {stored:?}, on the log {logged:?}");
                return Err(violation(lost(detail)));
            }
        }
        match orders.next() {
            Some(history) => {
                Err(violation(lost(format!("order {} is in no store", history.order.id))))
            }
            None => Ok(()),
        }
    }
}

/// Each unreadable request becomes one dead letter.
pub const DEAD_LETTERS_KEPT: InvariantId = InvariantId("DEAD-LETTERS");

fn violation(violation: invariants::Violation) -> Violation {
    Violation::new(InvariantId(violation.invariant.id()), violation.detail)
}

fn lost(detail: String) -> invariants::Violation {
    invariants::Violation::new(Invariant::NeverLost, detail)
}

fn is_settled(entries: &[Option<Bytes>]) -> bool {
    let record = entries.first().and_then(Option::as_ref);
    let record = record.and_then(|bytes| decode::<OrderRecord>(bytes));
    record.is_some_and(|record| record.order.state.is_settled())
}

fn decode<V>(bytes: &[u8]) -> Option<V>
where
    Json: Codec<V>,
{
    <Json as Codec<V>>::decode(None, bytes).ok()
}

fn entry<K: Key, V, C>(store: &Store<K, V, C>, key: &K) -> (StoreName, Bytes) {
    (store.name(), key.encode())
}
