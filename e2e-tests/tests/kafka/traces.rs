//! Spans of services that are processes of their own.

use e2e_tests::routes::Service;
use hyper::Method;

use crate::collector::Collector;
use crate::stage::{Stage, ask, expect, get};
use crate::tree::{check_links, check_tree, trace_of};

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_through_all_processes_and_topics() {
    let Some(mut stage) = Stage::find().await else { return };
    let collector = Collector::start().await;
    stage.cluster.set("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", collector.address));
    stage.cluster.start_each(1).await.unwrap();
    let crowd = stage.crowd().await;
    let target = stage.target(Service::Orders, 0);

    let placed = ask(&target, Method::POST, "/v1/orders", &stage.order(0)).await.unwrap();
    expect(&placed, 201);
    let order = stage.order_id(0);
    let path = format!("/v1/orders/{order}?until=SETTLED&timeout=30s");
    assert_eq!(expect(&get(&target, &path).await, 200)["state"], "PAID");
    stage.finish(crowd).await;

    let spans = collector.spans();
    let (trace, post) = trace_of(&spans, &order);
    assert!(post.parent.is_empty(), "{post:#?}");
    check_tree(&trace, post);
    check_links(&spans);
}
