//! What the spans of an order look like, however the services run.

use std::collections::BTreeSet;

use crate::collector::Collected;

const SERVICES: [&str; 4] =
    ["fraud-service", "inventory-service", "orders-service", "payments-service"];

/// What each service makes is processed by another in the same trace: who wrote the record, and who
/// did what with it.
const HOPS: [(&str, &str, &str); 6] = [
    ("orders-service", "inventory-service", "process order-lines"),
    ("orders-service", "fraud-service", "process orders-by-customer"),
    ("inventory-service", "orders-service", "process order-validations"),
    ("fraud-service", "orders-service", "process order-validations"),
    ("orders-service", "payments-service", "process orders-by-customer"),
    ("payments-service", "orders-service", "process payments"),
];

/// The spans of the trace in which this order was placed, and the span that did it.
pub(crate) fn trace_of<'a>(
    spans: &'a [Collected],
    order: &str,
) -> (Vec<&'a Collected>, &'a Collected) {
    let placed = |span: &&Collected| {
        let id = span.attributes.get("app.id").is_some_and(|id| id == order);
        id && span.name == "POST /v1/orders"
    };
    let post = spans.iter().find(placed).unwrap();
    (spans.iter().filter(|span| span.trace_id == post.trace_id).collect(), post)
}

/// The span under which this one is.
fn parent<'a>(trace: &[&'a Collected], span: &Collected) -> Option<&'a Collected> {
    trace.iter().find(|above| above.span_id == span.parent).copied()
}

pub(crate) fn check_tree(trace: &[&Collected], post: &Collected) {
    let ids: BTreeSet<&[u8]> = trace.iter().map(|span| &span.span_id[..]).collect();
    assert_eq!(ids.len(), trace.len(), "each span has an id of its own: {trace:#?}");
    let services: BTreeSet<&str> = trace.iter().map(|span| &span.service[..]).collect();
    assert!(services.into_iter().eq(SERVICES), "each service is in it: {trace:#?}");
    for span in trace {
        let is_root = span.span_id == post.span_id;
        assert!(is_root || parent(trace, span).is_some(), "{span:#?} hangs on nothing");
        let (began, ended) = span.nanoseconds;
        assert!(post.nanoseconds.0 <= began && began <= ended, "{span:#?}");
    }
    let hops = trace.iter().filter_map(|span| {
        let above = parent(trace, span)?;
        Some((&above.service[..], &span.service[..], &span.name[..]))
    });
    let hops: BTreeSet<_> = hops.collect();
    for expected in HOPS {
        assert!(hops.contains(&expected), "{expected:?} in {hops:#?}");
    }
    assert_eq!(that_wrote(trace, "payments/PaymentAuthorised").service, "payments-service");
    let mut path = vec![that_wrote(trace, "orders/OrderValidated")];
    while let Some(above) = parent(trace, path[path.len() - 1]) {
        path.push(above);
    }
    let names: Vec<_> = path.iter().map(|span| (&span.service[..], &span.name[..])).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert_eq!(names[0], ("orders-service", "process order-validations"));
    // Whichever was the last.
    assert!(["inventory-service", "fraud-service"].contains(&names[1].0), "{names:?}");
    assert_eq!(names[2], ("orders-service", "process order-requests"));
    assert_eq!(names[3], ("orders-service", "POST /v1/orders"));
}

/// The span in which this record was made, by topic and type.
fn that_wrote<'a>(trace: &[&'a Collected], output: &str) -> &'a Collected {
    let wrote = |span: &&&Collected| {
        let outputs = span.attributes.get("streams.outputs");
        outputs.is_some_and(|outputs| outputs.split(' ').any(|wrote| wrote == output))
    };
    let found = trace.iter().find(wrote);
    assert!(found.is_some(), "{output} in {trace:#?}");
    found.unwrap()
}

/// Each record that was processed links to the commit of its batch, which is in no order's trace.
pub(crate) fn check_links(spans: &[Collected]) {
    let consumers = spans.iter().filter(|span| span.name.starts_with("process "));
    for consumer in consumers {
        assert_eq!(consumer.links.len(), 1, "{consumer:#?}");
        let commit = spans.iter().find(|span| span.span_id == consumer.links[0]).unwrap();
        assert_eq!((&commit.name[..], &commit.service), ("commit", &consumer.service));
        assert!(commit.parent.is_empty() && commit.trace_id != consumer.trace_id, "{commit:#?}");
    }
}
