//! Session windows: activity of one key with no gap longer than allowed, by event time.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use timestamp::Timestamp;

use crate::codec::{Codec, DecodeError, Json, Key};
use crate::context::{Context, ProcessError};
use crate::state::KeyRange;
use crate::topic::{Store, StoreName};

/// How activity is cut into sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionWindows {
    /// Two records of a key at most this far apart are in one session, in milliseconds.
    pub gap_ms: u64,
    /// A session that ended this long before the newest of its key counts as empty and is
    /// dropped, in milliseconds. At least the gap.
    pub retention_ms: u64,
}

/// A store of sessions with keys `K` and aggregates `V`.
pub struct SessionStore<K, V, C = Json> {
    store: Store<SessionKey<K>, V, C>,
    windows: SessionWindows,
}

impl<K, V, C> SessionStore<K, V, C> {
    /// The session store of this name.
    pub const fn new(name: &'static str, windows: SessionWindows) -> Self {
        SessionStore { store: Store::new(name), windows }
    }

    /// Its name.
    pub const fn name(&self) -> StoreName {
        self.store.name()
    }
}

impl<K, V, C> fmt::Debug for SessionStore<K, V, C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SessionStore({}, {:?})", self.name(), self.windows)
    }
}

/// The key of one session: whose it is and when it was. The bytes of the key must hold no zero
/// byte, which ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionKey<K> {
    /// Whose session it is.
    pub key: K,
    /// The event time of its first record.
    pub start: Timestamp,
    /// The event time of its last record.
    pub end: Timestamp,
}

const TIMES_BYTES: usize = 16;

impl<K: Key> Key for SessionKey<K> {
    fn encode(&self) -> Bytes {
        let mut bytes = session_prefix(&self.key);
        bytes.put_u64(sortable(self.end));
        bytes.put_u64(sortable(self.start));
        bytes.freeze()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let malformed = || DecodeError::Malformed("not a session key".to_owned());
        let split = bytes.len().checked_sub(TIMES_BYTES).ok_or_else(malformed)?;
        let (key, times) = bytes.split_at(split);
        let key = key.strip_suffix(&[0]).ok_or_else(malformed)?;
        let (end, start) = times.split_at(TIMES_BYTES / 2);
        let time = |bytes: &[u8]| {
            bytes.try_into().map(u64::from_be_bytes).map(from_sortable).map_err(|_| malformed())
        };
        Ok(SessionKey { key: K::decode(key)?, start: time(start)?, end: time(end)? })
    }
}

fn session_prefix<K: Key>(key: &K) -> BytesMut {
    let key = key.encode();
    let mut bytes = BytesMut::with_capacity(key.len() + 1 + TIMES_BYTES);
    bytes.extend_from_slice(&key);
    bytes.put_u8(0);
    bytes
}

/// Times before 1970 order before those after it.
fn sortable(timestamp: Timestamp) -> u64 {
    (timestamp.as_millis() as u64) ^ (1 << 63)
}

fn from_sortable(bits: u64) -> Timestamp {
    Timestamp::from_millis((bits ^ (1 << 63)) as i64)
}

/// The session that the record at hand belongs to, as it was before it.
#[derive(Debug)]
pub struct Session<V> {
    /// What its records came to; `None` where the record at hand is its first.
    pub value: Option<V>,
    /// The event time of its first record, the one at hand included.
    start: Timestamp,
    /// The event time of its last record, the one at hand included.
    end: Timestamp,
    /// Where the sessions lie that it takes the place of, and those that have expired.
    replaced: Vec<(Timestamp, Timestamp)>,
    expired: bool,
}

impl Context<'_> {
    /// The session of `key` at the time of the record at hand: what the record brings together,
    /// merged in order of time. Nothing is written before [`Context::put_session`].
    ///
    /// # Errors
    /// [`ProcessError`] where the store cannot be read or is not connected.
    pub fn find_session<K, V, C>(
        &self,
        sessions: &SessionStore<K, V, C>,
        key: &K,
        merge: impl Fn(V, V) -> V,
    ) -> Result<Session<V>, ProcessError>
    where
        K: Key,
        C: Codec<V>,
    {
        let SessionWindows { gap_ms, retention_ms } = sessions.windows;
        let at = self.timestamp();
        let range = KeyRange::prefix(&session_prefix(key));
        let known = self.range(&sessions.store, &range, usize::MAX)?;
        let newest = known.iter().map(|(known, _)| known.end).fold(at, Ord::max);
        let oldest_kept = newest - retention_ms;
        let mut found =
            Session { value: None, start: at, end: at, replaced: Vec::new(), expired: false };
        for (other, value) in known {
            let expired = other.end < oldest_kept;
            let apart = other.end + gap_ms < at || at + gap_ms < other.start;
            if !expired && apart {
                continue;
            }
            found.replaced.push((other.start, other.end));
            if !expired {
                found.start = found.start.min(other.start);
                found.end = found.end.max(other.end);
                found.value = Some(match found.value.take() {
                    Some(before) => merge(before, value),
                    None => value,
                });
            }
        }
        found.expired = found.end < oldest_kept;
        Ok(found)
    }

    /// Sets what the session comes to with the record at hand. A record that comes after its
    /// session's retention leaves nothing behind.
    ///
    /// # Errors
    /// [`ProcessError::NotConnected`] for a store that the processor is not connected to.
    pub fn put_session<K, V, C>(
        &mut self,
        sessions: &SessionStore<K, V, C>,
        key: &K,
        session: Session<V>,
        value: &V,
    ) -> Result<(), ProcessError>
    where
        K: Key + Clone,
        C: Codec<V>,
    {
        for (start, end) in session.replaced {
            self.delete(&sessions.store, &SessionKey { key: key.clone(), start, end })?;
        }
        if !session.expired {
            let place = SessionKey { key: key.clone(), start: session.start, end: session.end };
            self.put(&sessions.store, &place, value)?;
        }
        Ok(())
    }
}
