//! Requests of all kinds: whatever comes, it is answered, never with a fault, and what is refused
//! leaves nothing on the log.

use crate::test_app::{Answer, TestApp, customer_body, order_body};
use bytes::Bytes;
use hyper::{Method, Request, Uri};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use serde_json::{Map, Value, json};

#[derive(Clone, Debug)]
struct Sent {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["o-1", "jumper", "GBP", "12.99", "0", "GOLD"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            vec(("[a-zA-Z]{0,10}", inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn good_body() -> impl Strategy<Value = Value> {
    let price = json!({"amount": "12.99", "currency": "GBP"});
    prop::sample::select(vec![
        order_body("o-1", "c-1", "jumper", 1),
        customer_body("100.00"),
        json!({"name": "Jumper", "price": price}),
        json!({"id": "a-1", "delta": 3}),
        json!({"id": "d-1", "amount": "3.50"}),
    ])
}

/// A good body with one of its values replaced, left out or added.
fn nearly_good_body() -> impl Strategy<Value = Value> {
    (good_body(), any::<prop::sample::Index>(), prop::option::of(any_json())).prop_map(
        |(mut body, field, value)| {
            let fields = body.as_object_mut().unwrap();
            let name = field.get(&fields.keys().cloned().collect::<Vec<_>>()).clone();
            match value {
                Some(value) => fields.insert(name, value),
                None => fields.remove(&name),
            };
            body
        },
    )
}

fn any_body() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        2 => good_body().prop_map(|body| Bytes::from(body.to_string())),
        6 => nearly_good_body().prop_map(|body| Bytes::from(body.to_string())),
        2 => any_json().prop_map(|body| Bytes::from(body.to_string())),
        1 => vec(any::<u8>(), 0..100).prop_map(Bytes::from),
    ]
}

fn any_id() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["o-1", "c-1", "jumper", "new"]).prop_map(str::to_owned),
        1 => "[A-Za-z0-9._:-]{1,70}",
        1 => vec(any::<u8>(), 0..8).prop_map(|bytes| {
            bytes.iter().map(|byte| format!("%{byte:02x}")).collect()
        }),
    ]
}

fn any_path() -> impl Strategy<Value = String> {
    let route = prop::sample::select(vec![
        "/v1/orders",
        "/v1/orders/{id}",
        "/v1/orders/{id}/validated",
        "/v1/orders/{id}/cancel",
        "/v1/orders/{id}/ship",
        "/v1/products",
        "/v1/products/{id}",
        "/v1/products/{id}/stock",
        "/v1/products/{id}/stock-adjustments",
        "/v1/customers",
        "/v1/customers/{id}",
        "/v1/customers/{id}/account",
        "/v1/customers/{id}/deposits",
        "/v1/payments/{id}",
        "/readyz",
        "/{id}",
    ]);
    let parameter = prop::sample::select(vec![
        "until=PAID",
        "until=SHIPPED",
        "until=X",
        "timeout=0",
        "timeout=5ms",
        "timeout=99s",
        "limit=2",
        "limit=-1",
        "cursor=a",
        "cursor=%ff",
        "a=b",
        "&&=",
    ]);
    (route, any_id(), vec(parameter, 0..3)).prop_map(|(route, id, mut parameters)| {
        // A wait for what does not happen would take its ten seconds.
        if parameters.iter().any(|parameter| parameter.starts_with("until=")) {
            parameters.push("timeout=1");
        }
        let query = parameters.join("&");
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{mark}{query}", route.replace("{id}", &id))
    })
}

fn any_request() -> impl Strategy<Value = Sent> {
    let methods = [Method::GET, Method::POST, Method::POST, Method::PUT, Method::DELETE];
    let content_type = prop_oneof![
        9 => Just("application/json".to_owned()),
        1 => "[ -~]{0,20}",
    ];
    let header = prop_oneof![
        prop::sample::select(vec!["respond-async", "wait=0", "wait=99", "wait=x"])
            .prop_map(|value| ("prefer", value.to_owned())),
        "[ -~]{0,10}".prop_map(|value| ("idempotency-key", value)),
        "[ -~]{0,10}".prop_map(|value| ("if-none-match", value)),
    ];
    let headers = vec(header, 0..2);
    (prop::sample::select(methods.to_vec()), any_path(), content_type, headers, any_body())
        .prop_map(|(method, path, content_type, mut headers, body)| {
            headers.push(("content-type", content_type));
            Sent { method, path, headers, body }
        })
}

async fn send(app: &TestApp, sent: &Sent) -> Option<Answer> {
    let uri: Uri = sent.path.parse().ok()?;
    let mut request = Request::builder().method(sent.method.clone()).uri(uri);
    for (name, value) in &sent.headers {
        request = request.header(*name, value);
    }
    Some(app.send(request.body(sent.body.clone()).ok()?).await)
}

/// Whether an answer is one that the API knows.
fn is_known(answer: &Answer) -> bool {
    match answer.status.as_u16() {
        200..500 => true,
        504 => answer.problem(504) == "WAIT_TIMED_OUT",
        _ => false,
    }
}

/// A conflict may be found when the request is processed, when it has been written already.
fn leaves_nothing(answer: &Answer) -> bool {
    answer.status.is_client_error() && answer.status.as_u16() != 409
}

#[test]
fn whatever_is_sent_is_answered_and_what_is_refused_leaves_nothing() {
    const CASES: u32 = 600;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let app = runtime.block_on(async {
        let app = TestApp::start_alone().await;
        app.stock("jumper", "12.99", 10).await;
        app.credit("c-1", "1000.00").await;
        app
    });
    let mut runner = TestRunner::new(ProptestConfig::with_cases(CASES));
    let result = runner.run(&any_request(), |sent| {
        runtime.block_on(async {
            let before = app.requests_written().await;
            let Some(answer) = send(&app, &sent).await else { return Ok(()) };
            prop_assert!(is_known(&answer), "{answer:?}");
            if answer.status.as_u16() >= 400 {
                answer.problem(answer.status.as_u16());
            }
            if leaves_nothing(&answer) {
                prop_assert_eq!(app.requests_written().await, before, "{:?}", answer);
            }
            Ok::<(), TestCaseError>(())
        })
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    assert_eq!(runtime.block_on(app.get("/readyz")).status, 200);
}
