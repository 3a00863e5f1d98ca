//! Events that are enums: one variant a `ce_type`, its content the body.

/// Implements [`streams::Event`] for an enum each of whose variants holds the body of one type of
/// event, and lists those types in `TYPES`. The body can be a parameter of the enum.
macro_rules! event_types {
    ($event:ident $(<$body:ident>)? { $($variant:ident => $event_type:literal,)+ }) => {
        impl $event {
            /// Every type of event that is written to `ce_type`.
            pub const TYPES: &[&str] = &[$($event_type),+];
        }

        impl $(<$body: serde::Serialize + serde::de::DeserializeOwned>)? streams::Event
            for $event $(<$body>)?
        {
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
                    $($event_type => streams::from_json_bytes(body).map($event::$variant),)+
                    other => Err(streams::DecodeError::UnknownType(other.to_owned())),
                }
            }
        }
    };
}

pub(crate) use event_types;
