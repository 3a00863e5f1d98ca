//! What was read of the topic at once, understood.

use bytes::Bytes;
use events::Timestamp;
use events::order::{Order, OrderEvent};
use streams::{ConsumedRecord, DecodeError, Event as _, Fetched, Offset, Partition, cloud_event};

use crate::positions::Positions;

/// An event of an order, and where it lies.
#[derive(Clone, Debug)]
pub(crate) struct ProjectedEvent {
    pub(crate) partition: Partition,
    pub(crate) offset: Offset,
    pub(crate) time: Timestamp,
    pub(crate) event_type: &'static str,
    /// The order after it.
    pub(crate) order: Order,
    /// The same as it is written: JSON text.
    pub(crate) body: Bytes,
}

/// What was read of the topic at once.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Events, those of a partition in their order.
    pub(crate) events: Vec<ProjectedEvent>,
    /// Where the next batch begins.
    pub(crate) to: Positions,
    /// After the last record of each partition: [`Batch::to`] may be further, where what follows
    /// is never read.
    pub(crate) after_records: Positions,
    /// Records that are no events of orders, and why.
    pub(crate) unreadable: Vec<String>,
}

impl Batch {
    /// Understands what was read on from `from`.
    pub(crate) fn new(from: &Positions, fetched: Fetched) -> Self {
        let (mut to, mut after_records) = (from.clone(), from.clone());
        for (of, position) in &fetched.positions {
            to.raise(of.partition, *position);
        }
        let mut events = Vec::with_capacity(fetched.records.len());
        let mut unreadable = Vec::new();
        for record in fetched.records {
            let (place, offset) = (record.source, record.offset);
            after_records.raise(place.partition, offset.next());
            match event(record) {
                Ok(event) => events.push(event),
                Err(error) => unreadable.push(format!("{place} at {offset}: {error}")),
            }
        }
        Batch { events, to, after_records, unreadable }
    }
}

fn event(record: ConsumedRecord) -> Result<ProjectedEvent, DecodeError> {
    let malformed = |what: &str| DecodeError::Malformed(what.to_owned());
    let event_type = record.headers.get_str(cloud_event::TYPE).unwrap_or_default();
    let body = record.value.clone().ok_or_else(|| malformed("no value"))?;
    let event = OrderEvent::<Order>::from_json(event_type, &body)?;
    Ok(ProjectedEvent {
        partition: record.source.partition,
        offset: record.offset,
        time: record.timestamp,
        event_type: event.event_type(),
        order: event.into_order(),
        body,
    })
}
