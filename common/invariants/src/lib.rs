//! What must hold whatever happens to the system: invariants with ids, checked over what lies on
//! the log and what clients have heard.
//!
//! What goes in: records of the log, partition by partition in the order of their offsets, of any
//! log whatever, and answers as clients get them. What comes out: a [`Violation`] at once where
//! something must never be, and all that must hold once everything has come to rest.
//!
//! - [`Invariants`]: all that are over the log, fed record by record
//! - [`orders`]: every order settles, by legal steps alone (INV-3, INV-5)
//! - [`stock`]: nothing is oversold, and what is reserved is owed to an order (INV-1, INV-4)
//! - [`accounts`]: nothing is overspent, and what is taken was owed for an order (INV-2, INV-6)
//! - [`answers`]: nothing that a client has heard is lost or taken back (INV-7)

#![warn(missing_docs)]

use std::fmt;

use events::topics::{
    ACCOUNTS, CUSTOMER_REQUESTS, ORDER_REQUESTS, ORDERS, PAYMENTS, PRODUCT_REQUESTS, STOCK_LEVELS,
};
use streams::{Codec, ConsumedRecord, Headers, Key, ProducedRecord, Topic, TopicName, cloud_event};

pub mod accounts;
pub mod answers;
#[cfg(test)]
mod fixtures;
pub mod orders;
pub mod stock;

use accounts::Accounts;
use orders::Orders;
use stock::Stock;

/// Something that must always hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Every record of these topics can be read, and its key is the id that its value names.
    Readable,
    /// INV-1: `0 <= reserved <= on hand` for each product, after every event.
    NeverOversold,
    /// INV-2: `authorised + captured <= limit + deposits` for each account, after every event.
    NeverOverspent,
    /// INV-3: every accepted order settles.
    Settled,
    /// INV-4: at rest, what is reserved of a product is the sum of its lines in orders VALIDATED
    /// or PAID.
    ReservedForOrders,
    /// INV-5: one `OrderCreated` for each id, versions 1, 2, 3 and so on, and legal steps alone.
    LegalHistory,
    /// INV-6: at rest, what is authorised is the sum of the customer's PAID orders, what is
    /// captured that of the SHIPPED ones.
    PaidForOrders,
    /// INV-7: what was answered is never lost, and no client sees an order's version go back.
    NeverLost,
}

impl Invariant {
    /// The name under which it is known.
    pub const fn id(self) -> &'static str {
        match self {
            Invariant::Readable => "READABLE",
            Invariant::NeverOversold => "INV-1",
            Invariant::NeverOverspent => "INV-2",
            Invariant::Settled => "INV-3",
            Invariant::ReservedForOrders => "INV-4",
            Invariant::LegalHistory => "INV-5",
            Invariant::PaidForOrders => "INV-6",
            Invariant::NeverLost => "INV-7",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.id())
    }
}

/// An invariant that does not hold, and what shows it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {detail}")]
pub struct Violation {
    /// The invariant.
    pub invariant: Invariant,
    /// What was found, with its values.
    pub detail: String,
}

impl Violation {
    /// The violation of an invariant that this shows.
    pub fn new(invariant: Invariant, detail: impl Into<String>) -> Self {
        Violation { invariant, detail: detail.into() }
    }
}

/// As much of a record as the invariants look at, whoever holds the record.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    /// Its topic.
    pub topic: TopicName,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: &'a Headers,
}

impl<'a> From<&'a ConsumedRecord> for RecordView<'a> {
    fn from(record: &'a ConsumedRecord) -> Self {
        RecordView {
            topic: record.source.topic,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &record.headers,
        }
    }
}

impl<'a> From<&'a ProducedRecord> for RecordView<'a> {
    fn from(record: &'a ProducedRecord) -> Self {
        RecordView {
            topic: record.destination.topic,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &record.headers,
        }
    }
}

/// The topics that are looked at, all of them kept. Records of others change nothing.
pub const TOPICS: [TopicName; 7] = [
    ORDER_REQUESTS.name(),
    PRODUCT_REQUESTS.name(),
    CUSTOMER_REQUESTS.name(),
    ORDERS.name(),
    PAYMENTS.name(),
    STOCK_LEVELS.name(),
    ACCOUNTS.name(),
];

/// The invariants over the content of the log, folded from its records.
///
/// Records of one key come in the order in which they lie on the log; between keys and topics any
/// order will do. A record that breaks an invariant is taken all the same, so that whoever wants
/// all violations can go on.
#[derive(Clone, Debug, Default)]
pub struct Invariants {
    orders: Orders,
    stock: Stock,
    accounts: Accounts,
}

impl Invariants {
    /// Takes the next record.
    ///
    /// # Errors
    /// [`Violation`] of what must hold at every moment: INV-1, INV-2 and INV-5.
    pub fn take<'a>(&mut self, record: impl Into<RecordView<'a>>) -> Result<(), Violation> {
        let record = record.into();
        let topic = record.topic;
        if topic == ORDER_REQUESTS.name() {
            let request = read(&ORDER_REQUESTS, record, |request| request.order_id().clone())?;
            self.orders.request(&request);
        } else if topic == PRODUCT_REQUESTS.name() {
            let request = read(&PRODUCT_REQUESTS, record, |request| request.product_id().clone())?;
            self.stock.request(&request);
        } else if topic == CUSTOMER_REQUESTS.name() {
            let request =
                read(&CUSTOMER_REQUESTS, record, |request| request.customer_id().clone())?;
            self.accounts.request(&request);
        } else if topic == ORDERS.name() {
            self.orders.event(&read(&ORDERS, record, |event| event.order().id.clone())?)?;
        } else if topic == PAYMENTS.name() {
            let event = read(&PAYMENTS, record, |event| event.payment().order_id.clone())?;
            self.accounts.payment(&event)?;
        } else if topic == STOCK_LEVELS.name() {
            self.stock.level(read(&STOCK_LEVELS, record, |level| level.product_id.clone())?)?;
        } else if topic == ACCOUNTS.name() {
            self.accounts.account(read(&ACCOUNTS, record, |it| it.customer_id.clone())?)?;
        }
        Ok(())
    }

    /// What does not hold although everything has come to rest: INV-3, INV-4 and INV-6.
    pub fn at_rest(&self) -> Vec<Violation> {
        let mut violations = self.orders.at_rest();
        violations.extend(self.stock.at_rest(&self.orders));
        violations.extend(self.accounts.at_rest(&self.orders));
        violations
    }

    /// The orders, as the log has them.
    pub const fn orders(&self) -> &Orders {
        &self.orders
    }

    /// The stock, as the log has it.
    pub const fn stock(&self) -> &Stock {
        &self.stock
    }

    /// The accounts, as the log has them.
    pub const fn accounts(&self) -> &Accounts {
        &self.accounts
    }
}

/// The value of a record, whose key must be the id that the value names.
fn read<K, V, C>(
    topic: &Topic<K, V, C>,
    record: RecordView<'_>,
    id: impl FnOnce(&V) -> K,
) -> Result<V, Violation>
where
    K: Key + PartialEq + fmt::Debug,
    C: Codec<V>,
{
    let unreadable = |detail: String| {
        Violation::new(Invariant::Readable, format!("record of {}: {detail}", topic.name()))
    };
    let key = record.key.ok_or_else(|| unreadable("no key".to_owned()))?;
    let value = record.value.ok_or_else(|| unreadable("no value".to_owned()))?;
    let key = K::decode(key).map_err(|error| unreadable(format!("key: {error}")))?;
    let event_type = record.headers.get_str(cloud_event::TYPE);
    let value = C::decode(event_type, value)
        .map_err(|error| unreadable(format!("value of {key:?}: {error}")))?;
    let named = id(&value);
    if named == key {
        Ok(value)
    } else {
        Err(unreadable(format!("under the key {key:?} lies a value of {named:?}")))
    }
}

#[cfg(test)]
mod tests {
    use events::order::OrderState::{Created, Paid, Validated};
    use streams::{Offset, Partition, Timestamp, TopicPartition};

    use super::fixtures::*;
    use super::*;

    fn record<K: Key, V, C: Codec<V>>(
        topic: &Topic<K, V, C>,
        key: &K,
        value: &V,
    ) -> ConsumedRecord {
        let value = C::encode(value);
        let mut headers = Headers::default();
        if let Some(event_type) = value.event_type {
            headers.add(cloud_event::TYPE, event_type);
        }
        ConsumedRecord {
            source: TopicPartition::new(topic.name(), Partition(0)),
            offset: Offset(0),
            timestamp: Timestamp::EPOCH,
            key: Some(key.encode()),
            value: Some(value.bytes),
            headers,
        }
    }

    /// A log on which one order was paid.
    fn sound_log() -> Vec<ConsumedRecord> {
        let id = order_id("o-1");
        let order = |version, state| record(&ORDERS, &id, &event("o-1", version, state));
        vec![
            record(&ORDER_REQUESTS, &id, &place("o-1")),
            order(1, Created),
            order(2, Validated),
            order(3, Paid),
            record(&PAYMENTS, &id, &authorised("o-1")),
            record(&STOCK_LEVELS, &product_id(), &level(10, QUANTITY)),
            record(&ACCOUNTS, &customer_id(), &account("100", TOTAL, "0")),
        ]
    }

    fn all_violations(log: &[ConsumedRecord]) -> Vec<Invariant> {
        let mut invariants = Invariants::default();
        let taken: Vec<Violation> =
            log.iter().filter_map(|record| invariants.take(record).err()).collect();
        taken.into_iter().chain(invariants.at_rest()).map(|it| it.invariant).collect()
    }

    #[test]
    fn a_sound_log_breaks_nothing() {
        assert_eq!(all_violations(&sound_log()), []);
    }

    #[test]
    fn each_topic_is_read_into_the_invariant_it_belongs_to() {
        // Each record left out or put in twice, with what that breaks.
        let without = |at: usize| {
            let mut log = sound_log();
            log.remove(at);
            all_violations(&log)
        };
        assert_eq!(without(1).first(), Some(&Invariant::LegalHistory));
        assert_eq!(without(3), [Invariant::Settled, Invariant::PaidForOrders]);
        assert_eq!(without(4), [Invariant::PaidForOrders]);
        assert_eq!(without(5), [Invariant::ReservedForOrders]);
        assert_eq!(without(6), [Invariant::PaidForOrders]);

        let mut repeated = sound_log();
        repeated.insert(2, repeated[1].clone());
        assert_eq!(all_violations(&repeated), [Invariant::LegalHistory]);
    }

    #[test]
    fn a_record_that_cannot_be_read_is_a_violation() {
        let good = &sound_log()[1];
        let damages: [fn(&mut ConsumedRecord); 5] = [
            |record| record.key = None,
            |record| record.value = None,
            |record| record.headers = Headers::default(),
            |record| record.value = Some("{}".into()),
            |record| record.key = Some("o-2".into()),
        ];
        for (number, damage) in damages.into_iter().enumerate() {
            let mut record = good.clone();
            damage(&mut record);
            let taken = Invariants::default().take(&record);
            let invariant = taken.map_err(|violation| violation.invariant);
            assert_eq!(invariant, Err(Invariant::Readable), "damage {number}");
        }
    }
}
