//! Traces: from a request through every service and topic, as a collector of spans sees them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod collector;
mod tree;

use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use e2e_tests::program::{self, Process, Program};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::collector::{Collected, Collector};
use crate::tree::{check_links, check_tree, trace_of};

const CLIENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const CLIENT_TRACE: [u8; 16] = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes();
const CLIENT_SPAN: [u8; 8] = 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes();

/// The program, telling its spans to a collector at this address.
async fn start(directory: &Path, collector: SocketAddr) -> (Process, SocketAddr) {
    let arguments = ["--listen", "127.0.0.1:0", "--partitions", "3", "--no-sample", "--data-dir"];
    let data_dir = directory.join("data");
    let program = Program {
        binary: program::build(&["quickstart"]).unwrap().join("quickstart"),
        arguments: arguments.map(Into::into).into_iter().chain([data_dir.into()]).collect(),
        variables: vec![("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{collector}").into())],
        words: directory.join("words"),
    };
    let mut process = program.start().unwrap();
    let address = process.ready().await.unwrap().addresses()[0];
    (process, address)
}

/// Sends a request, for a client's span where there is one, and gives the answer, a success.
async fn send(address: SocketAddr, head: (Method, &str, Option<&str>), body: Value) -> Value {
    let (method, path, trace_parent) = head;
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", "shop");
    if let Some(trace_parent) = trace_parent {
        request = request.header("traceparent", trace_parent);
    }
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    let request = request.header("content-type", "application/json").body(Full::new(body)).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(status.is_success(), "{path}: {status} {body:?}");
    serde_json::from_slice(&body).unwrap()
}

/// Fills the shop, and has an order placed and paid for this client's span, where there is one.
async fn order(address: SocketAddr, id: &str, trace_parent: Option<&str>) {
    let product = json!({"name": "Jumper", "price": {"amount": "10.00", "currency": "GBP"}});
    let customer = json!({
        "firstName": "Ada",
        "lastName": "Lovelace",
        "email": "ada@example.com",
        "address": "12 St James's Square",
        "level": "GOLD",
        "creditLimit": {"amount": "1000.00", "currency": "GBP"},
    });
    let line = json!({"productId": "jumper", "quantity": 1});
    let order = json!({"id": id, "customerId": "c-1", "currency": "GBP", "lines": [line]});
    send(address, (Method::PUT, "/v1/products/jumper", None), product).await;
    let stock = "/v1/products/jumper/stock-adjustments";
    send(address, (Method::POST, stock, None), json!({"delta": 1})).await;
    send(address, (Method::PUT, "/v1/customers/c-1", None), customer).await;
    send(address, (Method::POST, "/v1/orders", trace_parent), order).await;
    let settled = format!("/v1/orders/{id}?until=SETTLED");
    let settled = send(address, (Method::GET, &settled, None), Value::Null).await;
    assert_eq!(settled["state"], "PAID", "{settled}");
}

/// The spans of a program in which two orders were placed, one of them for the client's span.
async fn spans_of_two_orders() -> Vec<Collected> {
    let directory = tempfile::tempdir().unwrap();
    let collector = Collector::start().await;
    let (process, address) = start(directory.path(), collector.address).await;
    order(address, "o-1", Some(CLIENT)).await;
    order(address, "o-2", None).await;
    process.end().await.unwrap();
    collector.spans()
}

#[tokio::test]
async fn one_trace_leads_from_a_request_through_every_service_and_topic() {
    let spans = spans_of_two_orders().await;

    let (trace, post) = trace_of(&spans, "o-1");
    assert_eq!((&post.trace_id[..], &post.parent[..]), (&CLIENT_TRACE[..], &CLIENT_SPAN[..]));
    check_tree(&trace, post);
    let (trace, post) = trace_of(&spans, "o-2");
    assert_eq!((post.trace_id == CLIENT_TRACE, &post.parent[..]), (false, &[][..]));
    check_tree(&trace, post);

    check_links(&spans);
}
