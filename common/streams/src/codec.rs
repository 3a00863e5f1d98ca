//! How typed keys and values become the bytes of a record, and back.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A key of a topic or a store. Its bytes order as the keys do, so that a range of keys is a range
/// of bytes.
pub trait Key: Sized {
    /// The key's bytes.
    fn encode(&self) -> Bytes;

    /// The key of these bytes.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] where they are no such key.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError>;
}

/// The bytes of a value, with the type that tells a reader how to decode them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The value's bytes.
    pub bytes: Bytes,
    /// The `ce_type` of a value that is an event; `None` for plain values.
    pub event_type: Option<&'static str>,
}

/// A way to write values of type `T`. Implemented by marker types, so that a topic or a store
/// names it in its own type.
pub trait Codec<T> {
    /// The value's bytes.
    fn encode(value: &T) -> Encoded;

    /// The value of these bytes; `event_type` is the record's `ce_type` header, if it has one.
    ///
    /// # Errors
    /// [`DecodeError`] where they hold no such value.
    fn decode(event_type: Option<&str>, bytes: &[u8]) -> Result<T, DecodeError>;
}

/// A value of type `T` as codec `C` writes it: for one that goes to several topics.
pub struct EncodedAs<T, C> {
    pub(crate) encoded: Encoded,
    types: PhantomData<fn() -> (T, C)>,
}

impl<T, C: Codec<T>> EncodedAs<T, C> {
    /// Encodes a value.
    pub fn new(value: &T) -> Self {
        EncodedAs { encoded: C::encode(value), types: PhantomData }
    }
}

impl<T, C> fmt::Debug for EncodedAs<T, C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.encoded.fmt(formatter)
    }
}

/// Why bytes could not be read as the key or value that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// An event of a type this version does not know: a newer writer's. It can be skipped.
    #[error("unknown event type {0:?}")]
    UnknownType(String),
    /// Not what the type says.
    #[error("malformed: {0}")]
    Malformed(String),
}

/// Values as JSON text without an event type: entries of stores and plain tables.
#[derive(Clone, Copy, Debug)]
pub struct Json;

impl<T: Serialize + DeserializeOwned> Codec<T> for Json {
    fn encode(value: &T) -> Encoded {
        Encoded { bytes: json_bytes(value), event_type: None }
    }

    fn decode(_: Option<&str>, bytes: &[u8]) -> Result<T, DecodeError> {
        from_json_bytes(bytes)
    }
}

/// An event: a value that travels with its type in the CloudEvents header `ce_type`, so that its
/// body needs no tag of its own.
pub trait Event: Sized {
    /// The type that is written to `ce_type`.
    fn event_type(&self) -> &'static str;

    /// The body as JSON.
    fn to_json(&self) -> Bytes;

    /// The event of this type and body.
    ///
    /// # Errors
    /// [`DecodeError::UnknownType`] for a type this version does not know, and
    /// [`DecodeError::Malformed`] for a known one with another body.
    fn from_json(event_type: &str, body: &[u8]) -> Result<Self, DecodeError>;
}

/// Values as events in CloudEvents 1.0 Kafka binary mode: the body is the record's value, the
/// attributes are its headers.
#[derive(Clone, Copy, Debug)]
pub struct CloudEvents;

impl<T: Event> Codec<T> for CloudEvents {
    fn encode(value: &T) -> Encoded {
        Encoded { bytes: value.to_json(), event_type: Some(value.event_type()) }
    }

    fn decode(event_type: Option<&str>, bytes: &[u8]) -> Result<T, DecodeError> {
        let event_type =
            event_type.ok_or_else(|| DecodeError::Malformed("no ce_type header".to_owned()))?;
        T::from_json(event_type, bytes)
    }
}

/// The value of a JSON text.
///
/// # Errors
/// [`DecodeError::Malformed`] where the bytes are no JSON text of such a value.
pub fn from_json_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    // Looked through for UTF-8 in one go, which takes less than doing so string by string.
    let text =
        std::str::from_utf8(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    serde_json::from_str(text).map_err(|error| DecodeError::Malformed(error.to_string()))
}

thread_local! {
    /// Where JSON text is put together: it has grown to what values take here.
    static TEXT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// JSON text of a value whose serialisation cannot fail: structs with string keys.
///
/// # Panics
/// On a type that JSON cannot hold (a map with keys that are no strings): an error of the
/// programmer, found by the first test that writes one.
#[expect(clippy::expect_used, reason = "which types are written is known when compiling")]
pub fn json_bytes<T: Serialize + ?Sized>(value: &T) -> Bytes {
    let mut text = TEXT.take();
    text.clear();
    serde_json::to_writer(&mut text, value).expect("a value made of structs, strings and numbers");
    // A copy of its own, which takes no more memory than it needs however long it is kept.
    let bytes = Bytes::copy_from_slice(&text);
    TEXT.set(text);
    bytes
}
