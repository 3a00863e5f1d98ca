//! The headers of an event: CloudEvents 1.0 in Kafka binary mode, and W3C trace context.
//!
//! Sources: CloudEvents 1.0.2 "Kafka Protocol Binding", section 3.2; W3C "Trace Context".

use bytes::Bytes;
use timestamp::Timestamp;

use crate::record::Headers;

/// The header with the type of the event.
pub const TYPE: &str = "ce_type";
/// The header with the id of the event, unique within its source.
pub const ID: &str = "ce_id";
/// The header with who wrote the event.
pub const SOURCE: &str = "ce_source";
/// The header with the event's time, RFC 3339.
pub const TIME: &str = "ce_time";
/// The header with the trace that the event belongs to.
pub const TRACE_PARENT: &str = "traceparent";

const SPEC_VERSION: &str = "ce_specversion";
const CONTENT_TYPE: &str = "content-type";

/// The attributes of an event that differ from one to the next.
#[derive(Clone, Debug)]
pub struct Attributes {
    /// Its id, unique within its source.
    pub id: Bytes,
    /// Who wrote it.
    pub source: &'static str,
    /// Its type.
    pub event_type: &'static str,
    /// Its time, RFC 3339.
    pub time: Bytes,
    /// The trace it belongs to, as in the header `traceparent`.
    pub trace_parent: Option<Bytes>,
}

impl Attributes {
    /// The headers of a record that holds this event as JSON.
    pub fn into_headers(self) -> Headers {
        let mut headers = Headers::with_capacity(7);
        headers.add(SPEC_VERSION, Bytes::from_static(b"1.0"));
        headers.add(ID, self.id);
        headers.add(SOURCE, Bytes::from_static(self.source.as_bytes()));
        headers.add(TYPE, Bytes::from_static(self.event_type.as_bytes()));
        headers.add(TIME, self.time);
        headers.add(CONTENT_TYPE, Bytes::from_static(b"application/json"));
        if let Some(trace_parent) = self.trace_parent {
            headers.add(TRACE_PARENT, trace_parent);
        }
        headers
    }
}

/// A timestamp as an event carries it.
pub fn event_time(timestamp: Timestamp) -> Bytes {
    Bytes::copy_from_slice(&timestamp.rfc3339())
}
