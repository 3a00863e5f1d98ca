//! The server and what surrounds each request, over real connections.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::future::pending;
use std::net::SocketAddr;

use axum::extract::State;
use axum::routing::{get, post};
use serde_json::Value;
use shell::admission::{Admission, Limits};
use shell::edge::application;
use shell::json::{JsonBody, NoBody};
use shell::problem::ApiError;
use shell::server::serve;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use utoipa_axum::router::OpenApiRouter;

struct Server {
    address: SocketAddr,
    admission: Admission,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

async fn faulty() -> &'static str {
    panic!("an inner text")
}

async fn waiting(State(admission): State<Admission>) -> Result<&'static str, ApiError> {
    admission.wait(pending::<&'static str>()).await
}

async fn start(limits: Limits) -> Server {
    let admission = Admission::new(limits);
    let api = OpenApiRouter::new()
        .route("/fine", get(async || "fine").post(async |_: NoBody| "posted"))
        .route("/json", post(async |_: JsonBody| "read"))
        .route("/fault", get(faulty))
        .route("/work", get(async || pending::<()>().await))
        .route("/wait", get(waiting))
        .with_state(admission.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let application = application(api, &admission, Vec::new());
    let (stop, stopped) = oneshot::channel();
    let stopped = async { drop(stopped.await) };
    let serving = tokio::spawn(serve(listener, application, admission.clone(), stopped));
    Server { address, admission, stop, serving }
}

const SMALL: Limits = Limits {
    requests_max: 2,
    arriving_max: 2,
    waiting_max: 3,
    streams_max: 1,
    connections_max: 10,
};

/// Head and body of an answer.
struct Answer {
    head: String,
    body: String,
}

impl Answer {
    fn status(&self) -> u16 {
        self.head[9..12].parse().unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let start = format!("{name}: ");
        self.head.lines().find_map(|line| line.strip_prefix(start.as_str()))
    }

    fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.head);
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Server {
    async fn send(&self, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{head}\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn ask(&self, head: &str) -> Answer {
        answer(self.send(head).await).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1")).await
    }

    /// Sends a request with as much of a body of two bytes.
    async fn post(&self, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = "POST /json HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
            content-type: application/json\r\ncontent-length: 2\r\n\r\n";
        stream.write_all((head.to_owned() + body).as_bytes()).await.unwrap();
        stream
    }

    /// Waits until so many bodies arrive.
    async fn reach_arriving(&self, arriving: isize) {
        while self.admission.arriving() != arriving {
            tokio::task::yield_now().await;
        }
    }

    /// Waits until so many requests are at work and so many wait.
    async fn reach(&self, working: isize, waiting: isize) {
        while (self.admission.working(), self.admission.waiting()) != (working, waiting) {
            tokio::task::yield_now().await;
        }
    }
}

async fn answer(mut stream: TcpStream) -> Answer {
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Answer { head: head.to_owned(), body: body.to_owned() }
}

#[tokio::test]
async fn an_unknown_path_is_a_problem_with_that_path() {
    let server = start(SMALL).await;

    let answer = server.get("/nowhere?at=all").await;

    assert_eq!(answer.status(), 404);
    assert_eq!(answer.problem()["instance"], "/nowhere");
    assert_eq!(answer.header("content-length"), Some(&*answer.body.len().to_string()));
}

#[tokio::test]
async fn a_method_that_a_path_lacks_is_told_with_those_it_has() {
    let server = start(SMALL).await;

    for path in ["/fine", "/healthz"] {
        let refused = server.ask(&format!("DELETE {path} HTTP/1.1")).await;
        assert_eq!(refused.status(), 405);
        assert_eq!(refused.problem()["code"], "METHOD_NOT_ALLOWED");
        assert!(refused.header("allow").unwrap().contains("GET,HEAD"), "{}", refused.head);
    }
    let options = server.ask("OPTIONS /fine HTTP/1.1").await;
    assert_eq!((options.status(), options.header("allow")), (204, Some("GET,HEAD,POST")));
    assert_eq!(options.body, "");
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = start(SMALL).await;

    let fine = server.ask("HEAD /fine HTTP/1.1").await;
    assert_eq!((fine.status(), fine.header("content-length")), (200, Some("4")));
    assert_eq!(fine.body, "");
    let unknown = server.ask("HEAD /nowhere HTTP/1.1").await;
    assert_eq!((unknown.status(), &*unknown.body), (404, ""));
}

#[tokio::test]
async fn a_fault_in_a_handler_is_a_500_and_harms_nobody_else() {
    let server = start(SMALL).await;

    for _ in 0..3 {
        let answer = server.get("/fault").await;
        assert_eq!(answer.status(), 500);
        assert!(!answer.body.contains("inner"), "{}", answer.body);
    }
    assert_eq!(server.get("/fine").await.body, "fine");
    assert_eq!(server.admission.working(), 0);
}

#[tokio::test]
async fn a_request_too_many_is_told_to_come_back_and_operations_go_on() {
    let server = start(SMALL).await;
    let first = server.send("GET /work HTTP/1.1").await;
    let _second = server.send("GET /work HTTP/1.1").await;
    server.reach(2, 0).await;

    let refused = server.get("/fine").await;
    assert_eq!((refused.status(), refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.problem()["code"], "OVERLOADED");
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(server.get(path).await.status(), 200, "{path}");
    }

    drop(first);
    server.reach(1, 0).await;
    assert_eq!(server.get("/fine").await.status(), 200);
}

#[tokio::test]
async fn requests_that_wait_leave_room_for_others_up_to_a_limit_of_their_own() {
    let server = start(SMALL).await;
    let mut waiting = Vec::new();
    for count in 1..=3 {
        waiting.push(server.send("GET /wait HTTP/1.1").await);
        server.reach(0, count).await;
    }

    assert_eq!(server.get("/fine").await.status(), 200);
    assert_eq!(server.get("/wait").await.problem()["code"], "OVERLOADED");
    let metrics = server.get("/metrics").await.body;
    assert!(metrics.contains("\nhttp_requests_waiting 3\n"), "{metrics}");
    drop(waiting);
    server.reach(0, 0).await;
}

#[tokio::test]
async fn bodies_that_arrive_slowly_leave_room_for_all_other_requests() {
    let server = start(SMALL).await;
    let mut first = server.post("{").await;
    let second = server.post("").await;
    server.reach_arriving(2).await;
    server.reach(0, 0).await;

    let refused = answer(server.post("{").await).await;
    assert_eq!(refused.problem()["code"], "OVERLOADED");
    assert_eq!(server.get("/fine").await.status(), 200);
    assert_eq!(answer(server.post("{}").await).await.body, "read");
    assert_eq!(server.ask("POST /fine HTTP/1.1").await.body, "posted");

    first.write_all(b"}").await.unwrap();
    assert_eq!(answer(first).await.body, "read");
    drop(second);
    server.reach_arriving(0).await;
    assert_eq!(server.admission.working(), 0);
}

#[tokio::test]
async fn a_connection_too_many_is_told_to_come_back() {
    let server = start(Limits { connections_max: 1, ..SMALL }).await;
    let _first = server.send("GET /wait HTTP/1.1").await;
    server.reach(0, 1).await;

    let mut refused = TcpStream::connect(server.address).await.unwrap();
    let mut text = String::new();
    refused.read_to_string(&mut text).await.unwrap();

    assert!(text.starts_with("HTTP/1.1 503 "), "{text}");
}

#[tokio::test]
async fn a_stop_ends_waits_and_idle_connections_and_lets_work_end() {
    let server = start(SMALL).await;
    let waiting = server.send("GET /wait HTTP/1.1").await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(b"GET /fine HTTP/1.1\r\nhost: test\r\n\r\n").await.unwrap();
    let mut half = server.post("{").await;
    server.reach(0, 1).await;
    server.reach_arriving(1).await;

    server.stop.send(()).unwrap();

    let answer = answer(waiting).await;
    assert_eq!((answer.status(), answer.header("retry-after")), (503, Some("1")));
    let mut rest = String::new();
    idle.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("fine"), "{rest}");
    half.write_all(b"}").await.unwrap();
    half.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("read"), "{rest}");
    server.serving.await.unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_never_ends_does_not_hold_up_a_stop() {
    let server = start(SMALL).await;
    let _stuck = server.send("GET /work HTTP/1.1").await;
    server.reach(1, 0).await;

    server.stop.send(()).unwrap();

    server.serving.await.unwrap();
    assert_eq!(server.admission.working(), 0);
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let server = start(SMALL).await;
    let head = format!("GET /fine HTTP/1.1\r\nx-long: {}", "x".repeat(20_000));

    assert_eq!(server.ask(&head).await.status(), 431);
}

#[tokio::test]
async fn every_answer_is_counted_under_its_route() {
    let server = start(SMALL).await;
    server.get("/fine").await;
    server.ask("POST /fine HTTP/1.1").await;
    server.get("/nowhere/1").await;
    server.get("/nowhere/2").await;

    let metrics = server.get("/metrics").await.body;

    for line in [
        "http_requests_total{route=\"/fine\",method=\"GET\",status=\"200\"} 1\n",
        "http_requests_total{route=\"/fine\",method=\"POST\",status=\"200\"} 1\n",
        "http_requests_total{route=\"none\",method=\"GET\",status=\"404\"} 2\n",
    ] {
        assert!(metrics.contains(line), "{line}{metrics}");
    }
}
