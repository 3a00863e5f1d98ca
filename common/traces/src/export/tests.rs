use std::time::SystemTime;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::resource::v1::Resource as ResourceSent;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::span::{Commit, Deed};

fn span(service: &'static str) -> Span {
    let span = TraceParent { trace_id: 1, span_id: 2, flags: TraceParent::SAMPLED };
    let deed = Deed::Commit(Commit { span, records: 1, outputs: 1 });
    let (began, ended) = (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH);
    Span { service, began, ended, deed }
}

fn settings(service_name: Option<&str>) -> Settings {
    Settings {
        endpoint: "http://collector".to_owned(),
        ratio: 1.0,
        service_name: service_name.map(str::to_owned),
    }
}

/// One request to a collector, which answers with this status.
async fn taken(stream: &mut TcpStream, status: &str) -> ExportTraceServiceRequest {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
    ExportTraceServiceRequest::decode(&body[..]).unwrap()
}

/// A collector, and an export of one service to it.
async fn export() -> (TcpListener, Export) {
    let collector = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/v1/traces", collector.local_addr().unwrap());
    let settings = Settings { endpoint, ..settings(None) };
    let export = Export::start(&settings, &["counter"], "kafka").unwrap();
    (collector, export)
}

fn attribute(resource: &Resource, name: &'static str) -> Option<String> {
    resource.get(&name.into()).map(|value| value.to_string())
}

#[tokio::test]
async fn spans_are_sent_with_the_name_of_their_service() {
    let (collector, export) = export().await;
    export.traces().tell(span("counter"));
    export.traces().tell(span("counter"));

    let (mut stream, _) = collector.accept().await.unwrap();
    let sent = taken(&mut stream, "200 OK").await;

    let [resource_spans] = <[_; 1]>::try_from(sent.resource_spans).unwrap();
    let ResourceSent { attributes, .. } = resource_spans.resource.unwrap();
    let name = attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
    assert!(format!("{name:?}").contains("\"counter\""), "{name:?}");
    assert_eq!(resource_spans.scope_spans[0].spans.len(), 2);
}

#[tokio::test]
async fn what_waits_when_the_process_ends_is_sent_before() {
    let (collector, export) = export().await;
    let traces = export.traces().clone();
    for _ in 0..=BATCH_SPANS_MAX {
        traces.tell(span("counter"));
    }
    let collecting = tokio::spawn(async move {
        let (mut stream, _) = collector.accept().await.unwrap();
        for _ in 0..2 {
            taken(&mut stream, "200 OK").await;
        }
    });

    export.stop().await;

    collecting.await.unwrap();
    let all = BATCH_SPANS_MAX as u64 + 1;
    assert_eq!(traces.counts().by_outcome(), [("exported", all), ("failed", 0), ("dropped", 0)]);
}

#[tokio::test]
async fn what_the_collector_refuses_is_counted() {
    let (collector, export) = export().await;
    let traces = export.traces().clone();
    traces.tell(span("counter"));
    let collecting = tokio::spawn(async move {
        let (mut stream, _) = collector.accept().await.unwrap();
        taken(&mut stream, "400 Bad Request").await;
    });

    export.stop().await;

    collecting.await.unwrap();
    assert_eq!(traces.counts().by_outcome(), [("exported", 0), ("failed", 1), ("dropped", 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_collector_that_says_nothing_holds_up_neither_work_nor_the_end() {
    let (_collector, export) = export().await;
    let traces = export.traces().clone();
    let began = Instant::now();

    for _ in 0..QUEUE_SPANS_MAX + 7 {
        traces.tell(span("counter"));
    }
    assert_eq!(began.elapsed(), Duration::ZERO);
    export.stop().await;

    assert!(began.elapsed() <= FLUSH_TIME_MAX, "{:?}", began.elapsed());
    assert_eq!(traces.counts().by_outcome()[2], ("dropped", 7));
}

#[tokio::test]
async fn a_span_is_in_the_trace_of_its_parent_or_begins_one() {
    let (traces, _spans) = Traces::new(1.0, 1);
    let parent = TraceParent { trace_id: 7, span_id: 8, flags: 3 };

    let child = traces.new_span(Some(parent));
    let [one, other] = [(), ()].map(|()| traces.new_span(None));

    assert_eq!((child.trace_id, child.flags), (7, 3));
    assert_ne!(child.span_id, 8);
    assert_ne!((one.trace_id, one.span_id), (other.trace_id, other.span_id));
    assert!(one.is_sampled());
}

#[tokio::test]
async fn as_many_traces_are_recorded_as_the_settings_say() {
    for (ratio, recorded) in [(0.0, 0..=0), (0.25, 1_700..=2_300), (1.0, 8_000..=8_000)] {
        let (traces, _spans) = Traces::new(ratio, 1);
        let spans = (0..8_000).map(|_| traces.new_span(None));

        let count = spans.filter(TraceParent::is_sampled).count();

        assert!(recorded.contains(&count), "{ratio}: {count}");
        assert!(traces.new_trace().is_sampled());
    }
}

#[test]
fn a_name_in_the_environment_is_that_of_one_service_or_what_several_have_in_common() {
    let of = |name, services| {
        let resource = resource(&settings(name), "counter", services);
        let get = |attribute_name| attribute(&resource, attribute_name);
        (get("service.name").unwrap(), get("service.namespace"))
    };
    let named = |name: &str| name.to_owned();
    assert_eq!(of(None, 1), (named("counter"), None));
    assert_eq!(of(Some("mine"), 1), (named("mine"), None));
    assert_eq!(of(Some("mine"), 4), (named("counter"), Some(named("mine"))));
}
