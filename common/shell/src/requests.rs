//! Sending a service the requests of clients, and seeing what became of them.

use std::time::Duration;

use bytes::Bytes;
use eventlog::Appended;
use streams::{CloudEvents, Codec, Event, Key, Store, StoreName, Topic};

use crate::problem::ApiError;
use crate::read::{Read, ReadOutcome};
use crate::service::{ServiceError, ServiceHandle};

/// How long a client waits for a request to be processed, or for an answer to be certain.
const TIME_MAX: Duration = Duration::from_secs(5);

/// One entry of a store, by its key.
pub type Entry = (StoreName, Bytes);

/// The requests to one service: a topic that it takes them from.
#[derive(Debug)]
pub struct Requests<K, V> {
    service: ServiceHandle,
    topic: Topic<K, V, CloudEvents>,
}

impl<K: Key, V: Event> Requests<K, V> {
    /// Requests to a service by way of a topic.
    pub const fn new(service: ServiceHandle, topic: Topic<K, V, CloudEvents>) -> Self {
        Requests { service, topic }
    }

    /// The service.
    pub const fn service(&self) -> &ServiceHandle {
        &self.service
    }

    /// Sends a request about `key`; `id` is the request's own.
    ///
    /// # Errors
    /// [`ServiceError`] where the log does not take it.
    pub async fn send(&self, key: &K, request: &V, id: &str) -> Result<Appended, ServiceError> {
        self.service.append(&self.topic, key, request, id).await
    }

    /// Reads entries of the stores beside `key`: as they are now, or as they are once the request
    /// that was sent as `after` has been processed. An entry that is not there is certainly not
    /// there.
    ///
    /// # Errors
    /// [`ServiceError`] where nothing certain can be said in time.
    pub async fn look_up<P: Key>(
        &self,
        key: &P,
        entries: Vec<Entry>,
        after: Option<&Appended>,
    ) -> Result<Vec<Option<Bytes>>, ServiceError> {
        let read = Read {
            partition_key: key.encode(),
            entries,
            after: after.map(|appended| (self.topic.name(), appended.offset)),
            until: None,
            timeout: TIME_MAX,
        };
        match self.service.read(read).await? {
            ReadOutcome::Found(entries) => Ok(entries),
            ReadOutcome::TimedOut(_) => Err(ServiceError::NotInTime),
        }
    }

    /// As [`Requests::look_up`], with a name for each entry where it is called.
    ///
    /// # Errors
    /// [`ApiError`] where nothing certain can be said in time.
    pub async fn look_up_each<P: Key, const COUNT: usize>(
        &self,
        key: &P,
        entries: [Entry; COUNT],
        after: Option<&Appended>,
    ) -> Result<[Option<Bytes>; COUNT], ApiError> {
        let found = self.look_up(key, entries.into(), after).await?;
        let count = found.len();
        found.try_into().map_err(|_| ApiError::Internal {
            cause: format!("{count} entries where {COUNT} were asked for"),
        })
    }
}

/// The entry of a store that has this key.
pub fn entry<K: Key, V, C>(store: &Store<K, V, C>, key: &K) -> Entry {
    (store.name(), key.encode())
}

/// The value of an entry of this store.
///
/// # Errors
/// [`ApiError::Internal`] where the bytes are no such value.
pub fn value<K, V, C: Codec<V>>(
    store: &Store<K, V, C>,
    bytes: Option<&Bytes>,
) -> Result<Option<V>, ApiError> {
    let value = bytes.map(|bytes| C::decode(None, bytes)).transpose();
    value.map_err(|error| ApiError::Internal { cause: format!("{}: {error}", store.name()) })
}
