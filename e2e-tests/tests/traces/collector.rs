//! A collector of spans, by OTLP over HTTP.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;

/// A span as it was collected.
#[derive(Clone, Debug)]
pub(crate) struct Collected {
    /// `service.name` of its resource.
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) trace_id: Vec<u8>,
    pub(crate) span_id: Vec<u8>,
    /// Empty where it is a root.
    pub(crate) parent: Vec<u8>,
    pub(crate) attributes: BTreeMap<String, String>,
    /// The spans that it links to.
    pub(crate) links: Vec<Vec<u8>>,
    pub(crate) nanoseconds: (u64, u64),
}

/// A running collector.
#[derive(Clone, Debug)]
pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    spans: Arc<Mutex<Vec<Collected>>>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let collector = Collector { address, spans: Arc::default() };
        let accepting = collector.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let taking = accepting.clone();
                let service = service_fn(move |request| taking.clone().take(request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        collector
    }

    /// All spans so far.
    pub(crate) fn spans(&self) -> Vec<Collected> {
        self.spans.lock().unwrap().clone()
    }

    async fn take(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        assert_eq!(request.uri().path(), "/v1/traces");
        let body = request.into_body().collect().await.unwrap().to_bytes();
        for of_resource in ExportTraceServiceRequest::decode(body).unwrap().resource_spans {
            let resource = attributes(of_resource.resource.unwrap().attributes);
            let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            let spans = spans.map(|span| collected(&resource["service.name"], span));
            self.spans.lock().unwrap().extend(spans);
        }
        Ok(Response::new(Full::default()))
    }
}

fn collected(service: &str, span: Span) -> Collected {
    Collected {
        service: service.to_owned(),
        name: span.name,
        trace_id: span.trace_id,
        span_id: span.span_id,
        parent: span.parent_span_id,
        attributes: attributes(span.attributes),
        links: span.links.into_iter().map(|link| link.span_id).collect(),
        nanoseconds: (span.start_time_unix_nano, span.end_time_unix_nano),
    }
}

fn attributes(of: Vec<KeyValue>) -> BTreeMap<String, String> {
    of.into_iter().map(|KeyValue { key, value, .. }| (key, text(value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(any_value::Value::ArrayValue(array)) => {
            array.values.into_iter().map(|value| text(Some(value))).collect::<Vec<_>>().join(" ")
        }
        other => format!("{other:?}"),
    }
}
