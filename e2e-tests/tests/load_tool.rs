//! The load tool, run as a program against a server that misbehaves on purpose.

#![expect(clippy::unwrap_used, reason = "in a test's helpers a panic is the failed test")]

use std::{
    convert::Infallible,
    net::SocketAddr,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, runtime::Runtime};

/// What the server does with a call.
enum Reaction {
    Answer {
        after: Duration,
        status: u16,
        body: String,
    },
    /// Closes the connection without an answer.
    HangUp,
}

fn answer(status: u16, body: impl Into<String>) -> Reaction {
    Reaction::Answer { after: Duration::ZERO, status, body: body.into() }
}

fn late_answer(after_ms: u64, status: u16, body: impl Into<String>) -> Reaction {
    Reaction::Answer { after: Duration::from_millis(after_ms), status, body: body.into() }
}

/// A call as the server sees it.
struct Call {
    /// Such as `POST /v1/orders`.
    line: String,
    /// The number at the end of the order's id, where the call has one.
    order: Option<u64>,
}

impl Call {
    fn new(line: String, body: &[u8]) -> Self {
        let id = match line.strip_prefix("GET /v1/orders/") {
            Some(rest) => rest.split('?').next().map(str::to_owned),
            None => serde_json::from_slice::<Value>(body)
                .ok()
                .and_then(|body| Some(body.get("id")?.as_str()?.to_owned())),
        };
        let number = |id: String| {
            let start = id.trim_end_matches(|letter: char| letter.is_ascii_digit()).len();
            id[start..].parse().ok()
        };
        Self { order: id.and_then(number), line }
    }

    fn is(&self, start: &str) -> bool {
        self.line.starts_with(start)
    }
}

/// What a server does that is always well.
fn well(call: &Call) -> Reaction {
    match call.line.split(' ').next() {
        Some("PUT" | "POST") => answer(201, r#"{"version":1,"state":"CREATED"}"#),
        _ => answer(200, r#"{"version":2,"state":"VALIDATED","failures":[]}"#),
    }
}

/// A real HTTP server on a port of its own, in this process.
struct Server {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<String>>>,
    _runtime: Runtime,
}

impl Server {
    fn start(react: fn(&Call) -> Reaction) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        runtime.spawn(accept(listener, react, Arc::clone(&calls)));
        Self { address, calls, _runtime: runtime }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

async fn accept(
    listener: TcpListener,
    react: fn(&Call) -> Reaction,
    calls: Arc<Mutex<Vec<String>>>,
) -> Infallible {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let calls = Arc::clone(&calls);
        let service = service_fn(move |request| serve(request, react, Arc::clone(&calls)));
        // A connection that is hung up ends with an error, as meant.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn serve(
    request: Request<Incoming>,
    react: fn(&Call) -> Reaction,
    calls: Arc<Mutex<Vec<String>>>,
) -> Result<Response<Full<Bytes>>, &'static str> {
    let line = format!("{} {}", request.method(), request.uri());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let call = Call::new(line, &body);
    calls.lock().unwrap().push(call.line.clone());
    match react(&call) {
        Reaction::HangUp => Err("hung up"),
        Reaction::Answer { after, status, body } => {
            tokio::time::sleep(after).await;
            Ok(Response::builder().status(status).body(body.into()).unwrap())
        }
    }
}

/// How a run of the tool ended.
#[derive(Debug)]
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Run {
    fn report(&self) -> Value {
        assert_eq!(self.stdout.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap()
    }
}

fn load(url: &str, arguments: &str) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_load"))
        .args(["--url", url, "--products", "4", "--customers", "4"])
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run {
        code: output.status.code().unwrap(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// Takes 300 ms over the POST of one order, and no time over anything else.
fn stalls_once(call: &Call) -> Reaction {
    if call.is("POST /v1/orders") && call.order == Some(20) {
        return late_answer(300, 201, "{}");
    }
    well(call)
}

#[test]
fn an_open_loop_counts_the_wait_of_every_order_that_was_due_during_a_stall() {
    // Given a server that stalls for 300 ms, in which 60 of 200 orders are due
    let server = Server::start(stalls_once);

    // When one connection has to carry them all
    let run = load(&server.url(), "--rate 200 --duration 1s --users 1");

    // Then not only the order that stalled is late, but a good part of all
    let report = run.report();
    assert_eq!((run.code, &report["validated"]), (0, &json!(200)), "{run:?}");
    assert_eq!(report["mode"], "open-loop");
    assert!(number(&report["postMs"]["p90"]) >= 150.0, "{report}");
    assert!(number(&report["postToValidatedMs"]["p90"]) >= 150.0, "{report}");
    assert!(number(&report["postToValidatedMs"]["max"]) >= 300.0, "{report}");
    assert!(number(&report["sendDelayMs"]["max"]) >= 250.0, "{report}");
    assert!(number(&report["seconds"]) >= 0.9, "{report}");
}

#[test]
fn a_closed_loop_sees_the_same_stall_in_one_order_only() {
    let server = Server::start(stalls_once);

    let run = load(&server.url(), "--orders 200 --users 1");

    let report = run.report();
    assert_eq!((run.code, &report["validated"]), (0, &json!(200)), "{run:?}");
    assert_eq!(report["mode"], "closed-loop");
    assert!(number(&report["postToValidatedMs"]["p90"]) < 150.0, "{report}");
    assert!(number(&report["postToValidatedMs"]["max"]) >= 300.0, "{report}");
    assert_eq!(report["sendDelayMs"], Value::Null);
}

/// Fails half of the orders, each tenth in a way of its own.
fn fails_in_many_ways(call: &Call) -> Reaction {
    let get = call.is("GET");
    if !get && !call.is("POST /v1/orders") {
        return well(call);
    }
    match (get, call.order.map_or(0, |number| number % 10)) {
        (false, 1) => answer(503, r#"{"status":503,"code":"OVERLOADED"}"#),
        (false, 2) | (true, 3) => Reaction::HangUp,
        (true, 4) => answer(504, r#"{"code":"WAIT_TIMED_OUT","order":{"state":"CREATED"}}"#),
        (true, 5) => {
            answer(200, r#"{"state":"FAILED","failures":[{"reason":"INSUFFICIENT_STOCK"}]}"#)
        }
        _ => well(call),
    }
}

#[test]
fn failed_orders_are_counted_by_kind_and_the_server_s_cost_is_read() {
    let server = Server::start(fails_in_many_ways);

    let run = load(&server.url(), "--orders 100 --users 10");

    let report = run.report();
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!((&report["validated"], &report["failed"]), (&json!(50), &json!(50)));
    let errors = json!({
        "POST 503 OVERLOADED": 10,
        "POST transport: connection broken": 10,
        "GET transport: connection broken": 10,
        "GET 504 WAIT_TIMED_OUT": 10,
        "order FAILED: INSUFFICIENT_STOCK": 10,
    });
    assert_eq!(report["errors"], errors);
    assert_eq!(report["postMs"]["count"], 80, "two of ten had no answer to the POST");
    assert_eq!(report["postToValidatedMs"]["count"], 50);
    if cfg!(target_os = "linux") {
        assert_eq!(report["server"]["pid"], std::process::id(), "{report}");
        assert!(number(&report["server"]["rssMibAfter"]) > 0.0, "{report}");
        assert!(number(&report["toolCpuSeconds"]) >= 0.0, "{report}");
    }
}

#[test]
fn each_order_is_posted_once_and_then_waited_for_after_the_set_up() {
    let server = Server::start(well);

    let run = load(&server.url(), "--orders 30 --users 3");

    assert_eq!(run.code, 0, "{run:?}");
    let calls = server.calls();
    let count = |start: &str, part: &str| {
        calls.iter().filter(|call| call.starts_with(start) && call.contains(part)).count()
    };
    assert_eq!(count("PUT /v1/products/", ""), 4);
    assert_eq!(count("POST /v1/products/", "/stock-adjustments"), 4);
    assert_eq!(count("PUT /v1/customers/", ""), 4);
    assert_eq!(count("POST /v1/orders", ""), 30);
    assert_eq!(count("GET /v1/orders/", "?until=VALIDATED&timeout=10000ms"), 30);
    assert_eq!(calls.len(), 72);
}

#[test]
fn the_empty_route_is_asked_twice_an_order_and_nothing_else_is() {
    let server = Server::start(well);

    let run = load(&server.url(), "--empty-route --orders 50 --users 2");

    let report = run.report();
    assert_eq!((run.code, &report["validated"]), (0, &json!(50)), "{run:?}");
    assert_eq!(report["mode"], "closed-loop empty-route");
    assert_eq!(server.calls(), vec!["GET /healthz"; 100]);
}

/// Ends a wait for SHIPPED by its time-out after 2 s.
fn never_ships(call: &Call) -> Reaction {
    if call.line.contains("until=SHIPPED&timeout=2000ms") {
        return late_answer(2_000, 504, r#"{"code":"WAIT_TIMED_OUT"}"#);
    }
    well(call)
}

#[test]
fn long_polls_are_all_open_at_once_and_all_answered() {
    let server = Server::start(never_ships);

    let run = load(&server.url(), "--long-polls 50 --long-poll-timeout 2s --users 4");

    let report = run.report();
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!((&report["open"], &report["timedOut"]), (&json!(50), &json!(50)), "{report}");
    assert_eq!(report["errors"], json!({}));
    assert!(number(&report["waitedMs"]["p50"]) >= 2_000.0, "{report}");
    assert_eq!(report["probePostToValidatedMs"]["count"], 100, "{report}");
    if cfg!(target_os = "linux") {
        assert!(number(&report["memory"]["rssMibWith"]) > 0.0, "{report}");
    }
}

/// Forgets about one of those who wait.
fn loses_a_wait(call: &Call) -> Reaction {
    match (call.line.contains("until=SHIPPED"), call.order) {
        (true, Some(7)) => Reaction::HangUp,
        (true, _) => late_answer(100, 504, ""),
        _ => well(call),
    }
}

#[test]
fn a_long_poll_that_is_not_answered_fails_the_run() {
    let server = Server::start(loses_a_wait);

    let run = load(&server.url(), "--long-polls 20 --long-poll-timeout 100ms");

    let report = run.report();
    assert_eq!((run.code, &report["timedOut"]), (1, &json!(19)), "{run:?}");
    assert_eq!(report["errors"], json!({"GET transport: connection broken": 1}));
    assert!(run.stderr.contains("19 were answered as they should"), "{run:?}");
}

#[test]
fn a_server_that_cannot_be_reached_ends_the_run_with_one_line() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();

    let run = load(&format!("http://{unused}"), "");

    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run:?}");
    assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
    assert!(run.stderr.contains(&format!("http://{unused} cannot be reached")), "{run:?}");
}

fn knows_no_products(call: &Call) -> Reaction {
    if call.is("PUT /v1/products") { answer(422, r#"{"code":"INVALID"}"#) } else { well(call) }
}

#[test]
fn a_set_up_that_is_refused_ends_the_run_and_says_what_was_refused() {
    let server = Server::start(knows_no_products);

    let run = load(&server.url(), "");

    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run:?}");
    assert!(run.stderr.contains("set-up: PUT /v1/products/load-"), "{run:?}");
    assert!(run.stderr.contains(r#"was answered 422: {"code":"INVALID"}"#), "{run:?}");
}

#[test]
fn a_run_in_which_every_order_fails_does_not_end_well() {
    let server =
        Server::start(|call| if call.is("POST /v1/orders") { answer(503, "") } else { well(call) });

    let run = load(&server.url(), "--orders 5 --users 5");

    assert_eq!((run.code, &run.report()["errors"]), (1, &json!({"POST 503": 5})), "{run:?}");
    assert!(run.stderr.ends_with("load: none of 5 orders became VALIDATED\n"), "{run:?}");
}

#[test]
fn each_service_is_asked_where_it_is_and_instances_of_orders_in_turn() {
    let [first, second, products, customers]: [Server; 4] =
        std::array::from_fn(|_| Server::start(well));
    let (orders, products_url) = (format!("{},{}", first.url(), second.url()), products.url());
    let places = format!("--products-url {products_url} --customers-url {}", customers.url());

    let run = load(&orders, &format!("{places} --orders 40 --users 4"));

    assert_eq!(run.report()["validated"], 40, "{run:?}");
    let kinds = |server: &Server| {
        let calls = server.calls();
        let kind = |call: &String| call.split('/').nth(2).map(str::to_owned);
        calls.iter().filter_map(kind).collect::<std::collections::BTreeSet<_>>()
    };
    for (server, kind) in [
        (&first, "orders"),
        (&second, "orders"),
        (&products, "products"),
        (&customers, "customers"),
    ] {
        assert!(kinds(server).iter().all(|of| of.starts_with(kind)), "{:?}", kinds(server));
        assert!(!server.calls().is_empty(), "{kind}");
    }
}
