//! A span as OpenTelemetry has it: what it is called and which attributes it has.
//!
//! Sources: OpenTelemetry "Semantic Conventions for HTTP Spans", and "for Messaging Spans".

use opentelemetry::trace::{
    Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use streams::TraceParent;

use crate::span::{Commit, Deed, Processing, Request, Span};

/// Who tells.
const SCOPE: &str = "order-management";

/// The span as OpenTelemetry has it.
pub(crate) fn span_data(span: Span, messaging_system: &'static str) -> SpanData {
    let Span { service, began, ended, deed } = span;
    let told = match deed {
        Deed::Request(request) => of_request(request),
        Deed::Commit(commit) => of_commit(commit),
        Deed::Processing { processing, commit } => {
            of_processing(processing, commit, service, messaging_system)
        }
    };
    let mut links = SpanLinks::default();
    links.links.extend(told.link.map(|link| Link::with_context(context(link))));
    SpanData {
        span_context: context(told.span),
        parent_span_id: told.parent.map_or(SpanId::INVALID, |parent| SpanId::from(parent.span_id)),
        parent_span_is_remote: told.parent.is_some(),
        span_kind: told.kind,
        name: told.name.into(),
        start_time: began,
        // The clock may have been set back.
        end_time: ended.max(began),
        attributes: told.attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links,
        status: told.status,
        instrumentation_scope: InstrumentationScope::builder(SCOPE).build(),
    }
}

/// What differs from one kind of span to another.
struct Told {
    span: TraceParent,
    parent: Option<TraceParent>,
    link: Option<TraceParent>,
    kind: SpanKind,
    name: String,
    attributes: Vec<KeyValue>,
    status: Status,
}

fn of_request(request: Request) -> Told {
    let Request { parent, span, method, route, path, status, id } = request;
    let mut attributes = vec![
        KeyValue::new("http.response.status_code", i64::from(status)),
        KeyValue::new("url.path", path),
        KeyValue::new("url.scheme", "http"),
    ];
    attributes.extend(id.map(|id| KeyValue::new("app.id", id)));
    let name = format!("{method} {route}");
    attributes.push(KeyValue::new("http.request.method", method));
    attributes.push(KeyValue::new("http.route", route));
    // What a client did wrong is no error of the server.
    let is_error = status >= 500;
    if is_error {
        attributes.push(KeyValue::new("error.type", status.to_string()));
    }
    let status = if is_error { Status::error("") } else { Status::Unset };
    Told { span, parent, link: None, kind: SpanKind::Server, name, attributes, status }
}

fn of_commit(commit: Commit) -> Told {
    let Commit { span, records, outputs } = commit;
    Told {
        span,
        parent: None,
        link: None,
        kind: SpanKind::Internal,
        name: "commit".to_owned(),
        attributes: vec![
            KeyValue::new("streams.records", count(records)),
            KeyValue::new("streams.outputs", count(outputs)),
        ],
        status: Status::Unset,
    }
}

fn of_processing(
    processing: Processing,
    commit: TraceParent,
    service: &'static str,
    messaging_system: &'static str,
) -> Told {
    let Processing { parent, span, source, offset, outputs } = processing;
    let outputs = outputs.into_iter().map(|(topic, event_type)| {
        let event_type = event_type.unwrap_or_default();
        StringValue::from(format!("{topic}/{}", String::from_utf8_lossy(&event_type)))
    });
    Told {
        span,
        parent: Some(parent),
        link: Some(commit),
        kind: SpanKind::Consumer,
        name: format!("process {}", source.topic),
        attributes: vec![
            KeyValue::new("messaging.system", messaging_system),
            KeyValue::new("messaging.operation.type", "process"),
            KeyValue::new("messaging.operation.name", "process"),
            KeyValue::new("messaging.consumer.group.name", service),
            KeyValue::new("messaging.destination.name", source.topic.as_str()),
            KeyValue::new("messaging.destination.partition.id", source.partition.to_string()),
            KeyValue::new("messaging.kafka.offset", count(offset.0)),
            KeyValue::new("streams.outputs", Value::Array(Array::String(outputs.collect()))),
        ],
        status: Status::Unset,
    }
}

fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn context(span: TraceParent) -> SpanContext {
    let (trace_id, span_id) = (TraceId::from(span.trace_id), SpanId::from(span.span_id));
    let flags = TraceFlags::new(span.flags);
    SpanContext::new(trace_id, span_id, flags, false, TraceState::NONE)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use bytes::Bytes;
    use streams::{Offset, Partition, TopicName, TopicPartition};

    use super::*;

    const BEGAN: SystemTime = SystemTime::UNIX_EPOCH;
    const TRACE_ID: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;

    fn span(span_id: u64) -> TraceParent {
        TraceParent { trace_id: TRACE_ID, span_id, flags: TraceParent::SAMPLED }
    }

    fn told(deed: Deed) -> SpanData {
        let ended = BEGAN + Duration::from_millis(3);
        span_data(Span { service: "counter", began: BEGAN, ended, deed }, "kafka")
    }

    /// The attribute of this name, as text.
    fn attribute(span: &SpanData, name: &str) -> Option<String> {
        let attribute = span.attributes.iter().find(|attribute| attribute.key.as_str() == name)?;
        Some(attribute.value.to_string())
    }

    fn request(parent: Option<TraceParent>, status: u16) -> Deed {
        Deed::Request(Request {
            parent,
            span: span(2),
            method: "POST".to_owned(),
            route: "/v1/sheep/{id}".to_owned(),
            path: "/v1/sheep/dolly".to_owned(),
            status,
            id: Some("dolly".to_owned()),
        })
    }

    #[test]
    fn a_request_is_a_span_of_a_server_under_that_of_the_client() {
        let told = told(request(Some(span(1)), 201));

        assert_eq!(
            (told.span_kind.clone(), &*told.name),
            (SpanKind::Server, "POST /v1/sheep/{id}")
        );
        assert_eq!(told.span_context.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(told.span_context.span_id(), SpanId::from(2));
        assert_eq!(told.parent_span_id, SpanId::from(1));
        assert_eq!(told.end_time, BEGAN + Duration::from_millis(3));
        for (name, value) in [
            ("http.request.method", "POST"),
            ("http.route", "/v1/sheep/{id}"),
            ("url.path", "/v1/sheep/dolly"),
            ("http.response.status_code", "201"),
            ("app.id", "dolly"),
        ] {
            assert_eq!(attribute(&told, name).as_deref(), Some(value), "{name}");
        }
    }

    #[test]
    fn a_request_is_an_error_where_the_server_is_to_blame() {
        for (status, is_error) in [(201, false), (404, false), (500, true), (503, true)] {
            let told = told(request(None, status));

            assert_eq!(told.status != Status::Unset, is_error, "{status}");
            assert_eq!(attribute(&told, "error.type").is_some(), is_error, "{status}");
            assert_eq!(told.parent_span_id, SpanId::INVALID);
        }
    }

    #[test]
    fn a_processing_is_a_span_of_a_consumer_with_a_link_to_its_commit() {
        let told = told(Deed::Processing {
            processing: Processing {
                parent: span(2),
                span: span(3),
                source: TopicPartition::new(TopicName::new("requests"), Partition(5)),
                offset: Offset(7),
                outputs: vec![
                    (TopicName::new("events"), Some(Bytes::from_static(b"Happened"))),
                    (TopicName::new("counts"), None),
                ],
            },
            commit: TraceParent { trace_id: 9, ..span(4) },
        });

        assert_eq!((told.span_kind.clone(), &*told.name), (SpanKind::Consumer, "process requests"));
        assert_eq!(told.parent_span_id, SpanId::from(2));
        let link = &told.links.links[0].span_context;
        assert_eq!((link.trace_id(), link.span_id()), (TraceId::from(9), SpanId::from(4)));
        for (name, value) in [
            ("messaging.system", "kafka"),
            ("messaging.operation.type", "process"),
            ("messaging.consumer.group.name", "counter"),
            ("messaging.destination.name", "requests"),
            ("messaging.destination.partition.id", "5"),
            ("messaging.kafka.offset", "7"),
            ("streams.outputs", "[\"events/Happened\",\"counts/\"]"),
        ] {
            assert_eq!(attribute(&told, name).as_deref(), Some(value), "{name}");
        }
    }

    #[test]
    fn a_commit_is_the_root_of_its_own_trace() {
        let told = told(Deed::Commit(Commit { span: span(4), records: 7, outputs: 12 }));

        assert_eq!((&*told.name, told.parent_span_id), ("commit", SpanId::INVALID));
        assert_eq!(attribute(&told, "streams.records").as_deref(), Some("7"));
        assert_eq!(attribute(&told, "streams.outputs").as_deref(), Some("12"));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_span_of_negative_length() {
        let ended = BEGAN - Duration::from_secs(1);
        let deed = request(None, 200);
        let told = span_data(Span { service: "counter", began: BEGAN, ended, deed }, "kafka");

        assert_eq!((told.start_time, told.end_time), (BEGAN, BEGAN));
    }
}
