//! The API as it describes itself, held against the running system: every route and example of the
//! document, and the answers to requests that are wrong.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use eventlog::RequestLog;
use events::topics::ORDER_REQUESTS;
use quickstart::{Running, Settings};
use serde_json::{Value, json};
use streams::{Headers, Partition, ProducedRecord, Timestamp, TopicPartition};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const METHODS: [&str; 3] = ["get", "put", "post"];
/// Headers that some answers of a status have and others lack.
const AT_TIMES: [&str; 1] = ["preference-applied"];
/// Headers that an answer has for its client to use, and not for the connection.
const TOLD: [&str; 5] =
    ["location", "etag", "idempotent-replayed", "preference-applied", "retry-after"];

/// The running system and what it says of itself.
struct System {
    runtime: Runtime,
    running: Running,
    document: Value,
    _directory: TempDir,
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    fn media_type(&self) -> Option<&str> {
        self.header("content-type").and_then(|value| value.split(';').next())
    }
}

/// One operation of the document.
#[derive(Clone, Copy)]
struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    described: &'a Value,
}

/// A request to an operation.
#[derive(Debug, Default)]
struct Request {
    target: String,
    headers: String,
    body: Option<String>,
}

impl System {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings::empty(directory.path(), 6);
        let runtime = Runtime::new().unwrap();
        let running = runtime.block_on(quickstart::start(&settings)).unwrap();
        let request = Request { target: "/openapi.json".to_owned(), ..Request::default() };
        let document = exchange(running.address(), "get", &request).body;
        let document = serde_json::from_str(&document).unwrap();
        System { runtime, running, document, _directory: directory }
    }

    fn send(&self, method: &str, request: &Request) -> Answer {
        exchange(self.running.address(), method, request)
    }

    fn stop(self) {
        self.runtime.block_on(self.running.stop());
    }

    /// Has the dead letter `0:0` there, which the document's examples are about.
    fn write_dead_letter(&self) {
        let record = ProducedRecord {
            destination: TopicPartition::new(ORDER_REQUESTS.name(), Partition(0)),
            timestamp: Timestamp::EPOCH,
            key: None,
            value: None,
            headers: Headers::default(),
        };
        self.runtime.block_on(self.running.log().append(record)).unwrap();
        let letters = || Request { target: "/v1/dead-letters".to_owned(), ..Request::default() };
        while !self.send("get", &letters()).body.contains("\"0:0\"") {}
    }

    /// All operations, in an order in which what one is about is there when it comes.
    fn operations(&self) -> Vec<Operation<'_>> {
        let paths = self.document["paths"].as_object().unwrap();
        let mut operations: Vec<Operation<'_>> = paths
            .iter()
            .flat_map(|(path, item)| {
                METHODS.into_iter().filter_map(move |method| {
                    item.get(method).map(|described| Operation { path, method, described })
                })
            })
            .collect();
        operations.sort_by_key(Operation::rank);
        operations
    }

    /// What a reference in the document stands for.
    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.document.pointer(&reference[1..]).unwrap(),
            None => value,
        }
    }

    /// Why a value is not what a schema of the document says.
    fn mismatches(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut whole = schema.clone();
        whole["components"] = self.document["components"].clone();
        let validator = jsonschema::draft202012::new(&whole).unwrap();
        validator.iter_errors(value).map(|error| error.to_string()).collect()
    }

    /// Sends a request, and holds the answer against what is said of it.
    fn checked(&self, operation: Operation<'_>, request: &Request) -> Answer {
        let answer = self.send(operation.method, request);
        let of = format!("{} {} {request:?}", answer.status, operation.method);
        let status = answer.status.to_string();
        let response = operation.described["responses"].get(&status);
        let response = self.resolved(response.unwrap_or_else(|| panic!("not told: {of}")));
        let headers = response["headers"].as_object();
        let told: BTreeSet<String> =
            headers.into_iter().flatten().map(|(name, _)| name.to_ascii_lowercase()).collect();
        for name in TOLD {
            let (is_there, is_told) = (answer.header(name).is_some(), told.contains(name));
            assert!(is_told || !is_there, "{name} is not told: {of}");
            assert!(is_there || !is_told || AT_TIMES.contains(&name), "{name} is missing: {of}");
        }
        let Some(content) = response["content"].as_object() else {
            assert_eq!(answer.body, "", "{of}");
            return answer;
        };
        let media_type = answer.media_type().unwrap();
        let content = content.get(media_type).unwrap_or_else(|| panic!("{media_type}: {of}"));
        if media_type.ends_with("json") {
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(self.mismatches(&content["schema"], &body), [""; 0], "{of}: {body}");
        }
        answer
    }
}

impl<'a> Operation<'a> {
    fn rank(&self) -> u8 {
        match (self.method, self.path, self.described.get("requestBody")) {
            ("put", ..) => 0,
            ("post", "/v1/orders", _) => 2,
            ("post", _, Some(_)) => 1,
            ("get", ..) => 3,
            _ => 4,
        }
    }

    fn parameters(&self) -> impl Iterator<Item = &'a Value> {
        self.described["parameters"].as_array().into_iter().flatten()
    }

    /// Every body that the document shows; none where there is nothing to send.
    fn bodies(&self) -> Vec<Option<&'a Value>> {
        let content = &self.described["requestBody"]["content"]["application/json"];
        let examples = content["examples"].as_object().into_iter().flat_map(|all| all.values());
        let mut bodies: Vec<_> = examples.map(|example| Some(&example["value"])).collect();
        bodies.extend(content.get("example").map(Some));
        let has_body = self.described.get("requestBody").is_some();
        assert_eq!(bodies.is_empty(), !has_body, "no example for {} {}", self.method, self.path);
        if has_body { bodies } else { vec![None] }
    }

    /// The parameters that may be left out, and of which the document has an example.
    fn optional(&self) -> impl Iterator<Item = &'a str> {
        let optional = self.parameters().filter(|parameter| {
            parameter["required"] != true && parameter.get("example").is_some()
        });
        optional.map(|parameter| parameter["name"].as_str().unwrap())
    }

    /// The request with these examples, and with one of the parameters that may be left out.
    fn request(&self, body: Option<&Value>, optional: Option<&str>) -> Request {
        let mut request = Request { target: self.path.to_owned(), ..Request::default() };
        let mut query = Vec::new();
        for parameter in self.parameters() {
            let name = parameter["name"].as_str().unwrap();
            let is_required = parameter["required"] == true;
            let Some(example) = parameter.get("example") else {
                assert!(!is_required, "no example of {name}");
                continue;
            };
            let value = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
            if !is_required && optional != Some(name) {
                continue;
            }
            match parameter["in"].as_str().unwrap() {
                "path" => request.target = request.target.replace(&format!("{{{name}}}"), &value),
                "query" => query.push(format!("{name}={value}")),
                _ => request.headers += &format!("{name}: {value}\r\n"),
            }
        }
        if !query.is_empty() {
            request.target += &format!("?{}", query.join("&"));
        }
        if let Some(body) = body {
            request.headers += "content-type: application/json\r\n";
            request.body = Some(body.to_string());
        }
        request
    }
}

/// Sends a request. Of an answer that goes on it reads the first message.
fn exchange(address: SocketAddr, method: &str, request: &Request) -> Answer {
    exchange_until(address, method, request, |_| true)
}

/// The same, reading of an answer that goes on until it is enough.
fn exchange_until(
    address: SocketAddr,
    method: &str,
    request: &Request,
    is_enough: impl Fn(&str) -> bool,
) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    let Request { target, headers, body } = request;
    let body = body.as_deref().unwrap_or_default();
    let method = method.to_ascii_uppercase();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{headers}\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let text = read(&mut stream, is_enough);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let (status, headers) = head.split_once("\r\n").unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_ascii_lowercase(), value.to_owned())
    };
    Answer {
        status: status[9..12].parse().unwrap(),
        headers: headers.lines().map(header).collect(),
        body: body.to_owned(),
    }
}

/// Everything of an answer, or of one that goes on as much as is enough.
fn read(stream: &mut TcpStream, is_enough: impl Fn(&str) -> bool) -> String {
    let mut text = Vec::new();
    let mut part = [0; 16 * 1024];
    loop {
        let length = stream.read(&mut part).unwrap();
        text.extend_from_slice(&part[..length]);
        // What is cut within a character is read once the rest has come.
        let whole = std::str::from_utf8(&text).unwrap_or_default();
        let (head, body) = whole.split_once("\r\n\r\n").unwrap_or_default();
        let goes_on = head.contains("text/event-stream");
        if length == 0 || (goes_on && body.contains("\n\n") && is_enough(body)) {
            return whole.to_owned();
        }
    }
}

#[test]
fn every_example_of_the_document_succeeds_as_the_document_says() {
    let system = System::start();
    system.write_dead_letter();

    for operation in system.operations() {
        for body in operation.bodies() {
            let schema = &operation.described["requestBody"]["content"]["application/json"];
            if let Some(body) = body {
                assert_eq!(system.mismatches(&schema["schema"], body), [""; 0], "{body}");
            }
            for optional in [None].into_iter().chain(operation.optional().map(Some)) {
                let request = operation.request(body, optional);
                let answer = system.checked(operation, &request);
                assert!(answer.status < 400, "{} {request:?}: {}", answer.status, answer.body);
            }
        }
    }

    system.stop();
}

#[test]
fn every_refusal_is_one_that_the_document_tells() {
    let system = System::start();
    let bodies = ["", "{", "{}", "[]", r#"{"id": "", "lines": 7, "delta": "x", "amount": "-1"}"#];

    for operation in system.operations() {
        // Nothing has been put: what a path names is not there.
        system.checked(operation, &operation.request(None, None));
        let bad_query =
            Request { target: format!("{}?limit=0", operation.path), ..Request::default() };
        system.checked(operation, &bad_query);
        for body in bodies {
            for media_type in ["application/json", "text/plain"] {
                let request = operation.request(None, None);
                let headers = format!("{}content-type: {media_type}\r\n", request.headers);
                system.checked(
                    operation,
                    &Request { headers, body: Some(body.to_owned()), ..request },
                );
            }
        }
    }
    let order = json!({"id": "o-1", "customerId": "c-1", "currency": "GBP",
                       "lines": [{"productId": "jumper", "quantity": 1}]});
    for (path, method, body, headers, status) in [
        ("/v1/orders", "post", order.to_string(), "prefer: respond-async\r\n", 202),
        ("/v1/orders", "post", order.to_string(), "idempotency-key: k\r\n", 422),
        ("/v1/orders", "post", order.to_string().replace(":1", ":2"), "", 409),
        ("/v1/orders", "post", "x".repeat(300_000), "", 413),
        ("/v1/orders/{id}/ship", "post", String::new(), "", 409),
        ("/v1/orders/{id}?until=NEVER", "get", String::new(), "", 422),
    ] {
        let (pattern, query) = path.split_once('?').unwrap_or((path, ""));
        let described = &system.document["paths"][pattern][method];
        let operation = Operation { path: pattern, method, described };
        let headers = format!("{headers}content-type: application/json\r\n");
        let target = format!("{}?{query}", pattern.replace("{id}", "o-1"));
        let answer = system.checked(operation, &Request { target, headers, body: Some(body) });
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
    }

    system.stop();
}

#[test]
fn every_event_of_a_stream_is_as_the_document_tells() {
    let system = System::start();
    let order = json!({"id": "o-1", "customerId": "nobody", "currency": "GBP",
                       "lines": [{"productId": "jumper", "quantity": 1}]});
    let headers = "content-type: application/json\r\n".to_owned();
    let target = "/v1/orders".to_owned();
    let placed = system.send("post", &Request { target, headers, body: Some(order.to_string()) });
    assert_eq!(placed.status, 201, "{}", placed.body);

    for (path, from_begin) in
        [("/v1/orders/{id}/events", ""), ("/v1/order-events", "?lastEventId=-")]
    {
        let operation =
            Operation { path, method: "get", described: &system.document["paths"][path]["get"] };
        let target = path.replace("{id}", "o-1");
        let request = Request { target: target.clone() + from_begin, ..Request::default() };
        let is_over = |body: &str| body.contains("event: OrderFailed\n");
        let answer = exchange_until(system.running.address(), "get", &request, is_over);
        let values =
            |name: &'static str| answer.body.lines().filter_map(move |l| l.strip_prefix(name));

        let happened: Vec<&str> = values("event: ").collect();
        let (status, body) = (answer.status, &answer.body);
        assert_eq!(happened, ["OrderCreated", "OrderFailed"], "{path}: {status}: {body}");
        for (at, data) in values("data: ").enumerate() {
            let data: Value = serde_json::from_str(data).unwrap();
            let schema = json!({"$ref": "#/components/schemas/Order"});
            assert_eq!(system.mismatches(&schema, &data), [""; 0], "{data}");
            assert_eq!(data["version"], at + 1);
        }
        // Every id can be sent back, and does not bring what was there before it.
        let last = values("id: ").next_back().unwrap();
        for parameter in operation.parameters().filter(|parameter| parameter["in"] != "path") {
            for id in values("id: ") {
                assert_eq!(system.mismatches(&parameter["schema"], &json!(id)), [""; 0]);
            }
            let request = match parameter["in"].as_str().unwrap() {
                "query" => {
                    let target = format!("{target}?lastEventId={last}");
                    Request { target, ..Request::default() }
                }
                _ => {
                    let headers = format!("Last-Event-ID: {last}\r\n");
                    Request { target: target.clone(), headers, body: None }
                }
            };
            let answer = system.checked(operation, &request);
            assert!(!answer.body.contains("event: "), "{path}: {}", answer.body);
        }
    }

    system.stop();
}

#[test]
fn each_path_of_the_document_has_the_methods_that_the_document_says() {
    let system = System::start();

    for (path, item) in system.document["paths"].as_object().unwrap() {
        let target = path.replace(['{', '}'], "");
        let answer = system.send("options", &Request { target, ..Request::default() });
        let allowed: BTreeSet<String> = answer
            .header("allow")
            .unwrap_or_else(|| panic!("{path} is not served: {}", answer.status))
            .split(',')
            .map(|method| method.trim().to_ascii_lowercase())
            .filter(|method| method != "head")
            .collect();
        let told: BTreeSet<String> = item.as_object().unwrap().keys().cloned().collect();
        assert_eq!(allowed, told, "{path}");
    }

    system.stop();
}

#[test]
fn the_document_is_whole_and_says_nothing_that_is_meant_for_readers_of_the_code() {
    let system = System::start();
    let text = system.document.to_string();

    assert!(system.document["openapi"].as_str().unwrap().starts_with("3.1."));
    assert!(!text.contains("[`"), "a link to code");
    let mut names = BTreeSet::new();
    for operation in system.operations() {
        let name = operation.described["operationId"].as_str().unwrap();
        assert!(names.insert(name), "two operations are called {name}");
        assert!(operation.described["summary"].is_string(), "{name} has no summary");
    }
    for reference in text.split(r##""$ref":"#"##).skip(1) {
        let (pointer, _) = reference.split_once('"').unwrap();
        assert!(system.document.pointer(pointer).is_some(), "{pointer} is not there");
    }
    for (name, schema) in system.document["components"]["schemas"].as_object().unwrap() {
        assert!(jsonschema::meta::is_valid(schema), "{name} is no schema");
        assert!(schema["description"].is_string(), "{name} is not described");
    }

    system.stop();
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let system = System::start();

    for (target, media_type) in [
        ("/docs", "text/html"),
        ("/docs/page.js", "text/javascript"),
        ("/docs/page.css", "text/css"),
    ] {
        let request = Request { target: target.to_owned(), ..Request::default() };
        let answer = system.send("get", &request);
        assert_eq!((answer.status, answer.media_type()), (200, Some(media_type)));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert!(!answer.body.contains("://"), "{target} names another host");
    }

    system.stop();
}
