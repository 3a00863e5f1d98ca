//! A system that other tests use too: what a test names there is kept apart by its ids, which are
//! longer in there than the test knows.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;

use bytes::Bytes;

use e2e_tests::routes::Routes;
use eventlog_kafka::{KafkaLog, Settings};
use events::ids::{LENGTH_MAX, RequestId};
use events::topics;
use hyper::{HeaderMap, Request, Uri};
use serde_json::Value;

use crate::test_app::{Answer, requests_on};

/// The fields of bodies that hold ids.
const IDS: [&str; 4] = ["id", "customerId", "productId", "orderId"];
/// The resources that have an id behind their name.
const RESOURCES: [&str; 4] = ["orders", "products", "customers", "payments"];
/// How many partitions its topics have.
const PARTITIONS: u32 = 6;
/// The broker of the system, as an environment variable.
const SERVERS: &str = "KAFKA_BOOTSTRAP_SERVERS";

/// One test's part of a system.
#[derive(Debug)]
pub(crate) struct Shared {
    routes: Routes,
    /// What each id of this test ends with in the system.
    mark: String,
}

impl Shared {
    pub(crate) fn new(routes: Routes) -> Self {
        Shared { routes, mark: format!("-{:016x}", fastrand::u64(..)) }
    }

    pub(crate) fn address(&self, path: &str) -> SocketAddr {
        self.routes.target(path).unwrap().addresses()[0]
    }

    /// A request as the system gets it.
    pub(crate) fn telling(&self, request: Request<Bytes>) -> Request<Bytes> {
        let (mut head, body) = request.into_parts();
        head.uri = self.marked_path(&head.uri);
        let body = match serde_json::from_slice(&body) {
            Ok(value) => Bytes::from(self.marked(value).to_string()),
            Err(_) => body,
        };
        Request::from_parts(head, body)
    }

    /// An answer as the test gets it.
    pub(crate) fn told(&self, mut answer: Answer) -> Answer {
        let unmarked = |bytes: &[u8]| {
            let text = std::str::from_utf8(bytes).ok()?;
            Some(text.replace(&self.mark, "")).filter(|unmarked| unmarked != text)
        };
        if let Some(body) = unmarked(&answer.body) {
            answer.body = body.into();
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &answer.headers {
            let text = unmarked(value.as_bytes());
            headers.append(name, text.map_or(value.clone(), |text| text.parse().unwrap()));
        }
        answer.headers = headers;
        answer
    }

    fn marked_path(&self, uri: &Uri) -> Uri {
        let text = uri.to_string();
        let (path, query) = text.split_at(text.find('?').unwrap_or(text.len()));
        let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
        if let ["", "v1", resource, id, ..] =
            &parts[..].iter().map(|it| &**it).collect::<Vec<_>>()[..]
            && RESOURCES.contains(resource)
        {
            parts[3] = self.marked_id(id);
        }
        format!("{}{query}", parts.join("/")).parse().unwrap()
    }

    fn marked(&self, value: Value) -> Value {
        match value {
            Value::Array(items) => items.into_iter().map(|item| self.marked(item)).collect(),
            Value::Object(fields) => {
                let marked = |(name, value): (String, Value)| match &value {
                    Value::String(id) if IDS.contains(&&*name) => {
                        (name, Value::from(self.marked_id(id)))
                    }
                    _ => (name, self.marked(value)),
                };
                fields.into_iter().map(marked).collect()
            }
            other => other,
        }
    }

    /// Ids without room for the mark have to be told apart by the test, and there are no two of
    /// those that the system gives.
    fn marked_id(&self, id: &str) -> String {
        let has_room = (1..=LENGTH_MAX - self.mark.len()).contains(&id.len());
        let is_given = RequestId::parse(id).is_ok();
        if has_room && !is_given { format!("{id}{}", self.mark) } else { id.to_owned() }
    }

    /// How many requests about ids of this test there are.
    pub(crate) async fn requests_written(&self) -> usize {
        let servers = std::env::var(SERVERS).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings::new(servers, PARTITIONS, directory.path());
        let connect = move || KafkaLog::connect(settings, &topics::ALL, &[]).unwrap();
        let log = tokio::task::spawn_blocking(connect).await.unwrap();
        let requests = requests_on(&log).await;
        let is_ours = |key: &[u8]| key.ends_with(self.mark.as_bytes());
        requests.iter().filter(|request| request.key.as_deref().is_some_and(is_ours)).count()
    }
}
