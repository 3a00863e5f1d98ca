//! Events of a moment ago, handed to whoever waits for them in this process: once they are in the
//! database, so that it has everything that came before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use events::ids::OrderId;
use events::order::Version;
use streams::{Offset, Partition};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::batch::Batch;
use crate::positions::Positions;

/// How many events wait for one reader of all orders. One that is further behind is sent away: it
/// can go on from the database, where what waits for it costs no memory.
const WAITING_OF_ALL_MAX: usize = 4_096;
/// The same for a reader of one order, which never has as many.
const WAITING_OF_ONE_MAX: usize = 64;

/// An event as readers are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveEvent {
    /// The order.
    pub order_id: OrderId,
    /// Its version after the event.
    pub version: Version,
    /// The partition of the event.
    pub partition: Partition,
    /// Its offset there.
    pub offset: Offset,
    /// What happened, as in `ce_type`.
    pub event_type: &'static str,
    /// The order after it: JSON text.
    pub body: Bytes,
    /// Whether nothing comes after it.
    pub is_final: bool,
}

/// Those who wait for events.
#[derive(Debug, Default)]
pub(crate) struct Live(Mutex<Readers>);

#[derive(Debug, Default)]
struct Readers {
    /// Up to where events have been handed out, all of which are in the database; `None` until it
    /// is known what the database has.
    published: Option<Positions>,
    of_all: Vec<Sender<Arc<LiveEvent>>>,
    of_one: HashMap<OrderId, Vec<Sender<Arc<LiveEvent>>>>,
}

/// Why somebody is not among those who wait for all events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotLive {
    /// The database is not in use yet.
    NotStarted,
    /// There are events up to here that have been handed out already: the database has them.
    Behind(Positions),
}

/// A place among those who wait for the events of one order; dropping it gives it up.
#[derive(Debug)]
pub struct OrderEvents {
    id: OrderId,
    live: Arc<Live>,
    events: Receiver<Arc<LiveEvent>>,
}

impl OrderEvents {
    /// The next event; `None` where more came than wait for one reader.
    pub async fn next(&mut self) -> Option<Arc<LiveEvent>> {
        self.events.recv().await
    }
}

impl Drop for OrderEvents {
    fn drop(&mut self) {
        self.events.close();
        let mut readers = self.live.lock();
        if let Some(of_this) = readers.of_one.get_mut(&self.id) {
            of_this.retain(|reader| !reader.is_closed());
            if of_this.is_empty() {
                readers.of_one.remove(&self.id);
            }
        }
    }
}

impl Live {
    /// The database has everything up to here, and what comes next is handed out.
    pub(crate) fn start(&self, stored: Positions) {
        self.lock().published = Some(stored);
    }

    /// Up to where events have been handed out.
    pub(crate) fn published(&self) -> Option<Positions> {
        self.lock().published.clone()
    }

    /// Hands a batch out that the database has by now.
    pub(crate) fn publish(&self, batch: Batch) {
        let mut readers = self.lock();
        let readers = &mut *readers;
        readers.published = Some(batch.to);
        readers.of_all.retain(|reader| !reader.is_closed());
        if readers.of_all.is_empty() && readers.of_one.is_empty() {
            return;
        }
        for event in batch.events {
            let of_this = readers.of_one.get_mut(&event.order.id);
            if readers.of_all.is_empty() && of_this.is_none() {
                continue;
            }
            let event = Arc::new(LiveEvent {
                version: event.order.version,
                partition: event.partition,
                offset: event.offset,
                event_type: event.event_type,
                body: event.body,
                is_final: event.order.state.is_final(),
                order_id: event.order.id,
            });
            // One that is full is dropped, by which its reader knows.
            let takes = |reader: &Sender<_>| reader.try_send(Arc::clone(&event)).is_ok();
            if let Some(of_this) = of_this {
                of_this.retain(takes);
            }
            readers.of_all.retain(takes);
        }
    }

    /// Waits for the events of one order: those that the database does not have when this returns,
    /// and maybe some that it has.
    pub(crate) fn of_order(self: &Arc<Self>, id: &OrderId) -> OrderEvents {
        let (sender, events) = channel(WAITING_OF_ONE_MAX);
        self.lock().of_one.entry(id.clone()).or_default().push(sender);
        OrderEvents { id: id.clone(), live: Arc::clone(self), events }
    }

    /// Waits for all events from `from` on, if none of them has been handed out yet.
    pub(crate) fn of_all(&self, from: &Positions) -> Result<Receiver<Arc<LiveEvent>>, NotLive> {
        let mut readers = self.lock();
        let published = readers.published.as_ref().ok_or(NotLive::NotStarted)?;
        if !from.reach(published) {
            return Err(NotLive::Behind(published.clone()));
        }
        let (sender, events) = channel(WAITING_OF_ALL_MAX);
        readers.of_all.push(sender);
        Ok(events)
    }

    /// A thread that panicked has at most left some reader without an event, and is gone itself.
    fn lock(&self) -> MutexGuard<'_, Readers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
