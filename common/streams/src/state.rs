//! Reading committed state: the port through which tasks see their stores.

use bytes::Bytes;

use crate::record::Partition;
use crate::topic::StoreName;

/// Read access to the committed content of a worker's stores.
pub trait StateReader {
    /// The value of a key, `None` where it has none.
    ///
    /// # Errors
    /// [`StateError`] where the store cannot be read; the task must stop.
    fn get(
        &self,
        partition: Partition,
        store: StoreName,
        key: &[u8],
    ) -> Result<Option<Bytes>, StateError>;

    /// At most `limit` entries with keys in the range, in order of their bytes.
    ///
    /// # Errors
    /// [`StateError`] where the store cannot be read; the task must stop.
    fn range(
        &self,
        partition: Partition,
        store: StoreName,
        range: &KeyRange,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StateError>;
}

/// A range of keys in the order of their bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The first key that is in.
    pub from: Bytes,
    /// The first key that is out; `None` for no upper end.
    pub until: Option<Bytes>,
}

impl KeyRange {
    /// All keys.
    pub const fn all() -> Self {
        KeyRange { from: Bytes::new(), until: None }
    }

    /// All keys that begin with these bytes.
    pub fn prefix(prefix: &[u8]) -> Self {
        KeyRange { from: Bytes::copy_from_slice(prefix), until: after_prefix(prefix) }
    }

    /// Whether a key is in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        key >= self.from.as_ref() && self.until.as_ref().is_none_or(|until| key < until.as_ref())
    }
}

/// The first byte string after all that begin with `prefix`; `None` where there is none.
fn after_prefix(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut after = prefix[..=last].to_vec();
    after[last] += 1;
    Some(Bytes::from(after))
}

/// A store that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("state of store {store} cannot be read: {reason}")]
pub struct StateError {
    /// The store.
    pub store: StoreName,
    /// What went wrong.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_range_holds_what_begins_with_it_and_nothing_else() {
        let range = KeyRange::prefix(b"ab");
        for (key, inside) in
            [("ab", true), ("abz", true), ("aa", false), ("ac", false), ("a", false)]
        {
            assert_eq!(range.contains(key.as_bytes()), inside, "{key}");
        }
        assert_eq!(KeyRange::prefix(&[0xff, 0xff]).until, None);
        assert_eq!(KeyRange::prefix(&[1, 0xff]).until, Some(Bytes::from_static(&[2])));
    }
}
