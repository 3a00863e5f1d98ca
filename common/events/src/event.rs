//! Events that are enums: one variant a `ce_type`, its content the body.

use serde::de::DeserializeOwned;
use streams::DecodeError;

/// Implements [`streams::Event`] for an enum each of whose variants holds the body of one type of
/// event, and lists those types in `TYPES`.
macro_rules! event_types {
    ($event:ident { $($variant:ident => $event_type:literal,)+ }) => {
        impl $event {
            /// Every type of event that is written to `ce_type`.
            pub const TYPES: &[&str] = &[$($event_type),+];
        }

        impl streams::Event for $event {
            fn event_type(&self) -> &'static str {
                match self {
                    $($event::$variant(_) => $event_type,)+
                }
            }

            fn to_json(&self) -> bytes::Bytes {
                match self {
                    $($event::$variant(body) => streams::json_bytes(body),)+
                }
            }

            fn from_json(event_type: &str, body: &[u8]) -> Result<Self, streams::DecodeError> {
                match event_type {
                    $($event_type => $crate::event::body(body).map($event::$variant),)+
                    other => Err(streams::DecodeError::UnknownType(other.to_owned())),
                }
            }
        }
    };
}

pub(crate) use event_types;

/// The body of an event.
///
/// # Errors
/// [`DecodeError::Malformed`] where it is not what its type says.
pub(crate) fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))
}
