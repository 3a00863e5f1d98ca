//! Which URL has which path, and requests to it.

use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{CONTENT_TYPE, RETRY_AFTER};
use hyper::{Method, Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::arguments::{ServerArguments, Service};

/// How many things of a list are asked for at once: the most that a server gives.
const PAGE_LENGTH: usize = 200;
/// How long an answer may take: longer than a server takes for one in the worst case.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(100);
/// More than the longest page of a list.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long to wait before a retry, where the server does not say.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest wait that a server can ask for.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long a question that nobody waits for with a limit of their own is tried again.
pub(crate) const RETRY_TIME: Duration = Duration::from_secs(60);

/// The servers of the system.
#[derive(Clone, Debug)]
pub(crate) struct Servers {
    client: Client<HttpConnector, Full<Bytes>>,
    urls: [(Service, String); 4],
}

/// Why there is no answer. One of any status is no error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody answers, or not as HTTP has it.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable { url: String, reason: String },
    /// The answer was not whole in time.
    #[error("{url} gave no answer within {} s", ANSWER_TIME_MAX.as_secs())]
    TimedOut { url: String },
    /// The path holds what no path can.
    #[error("`{path}` cannot be asked for")]
    Path { path: String },
}

/// A whole answer, of whatever status.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
    retry_after: Option<Duration>,
}

/// Why a server did not do what it was asked: the parts of a problem that are told.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
pub(crate) struct Problem {
    #[serde(default)]
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) detail: String,
    #[serde(default)]
    pub(crate) errors: Vec<FieldError>,
}

/// What is wrong with one part of a request.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct FieldError {
    /// Where it stands: a JSON pointer, or the name of a column or a parameter.
    #[serde(alias = "pointer", alias = "parameter", alias = "header")]
    pub(crate) field: String,
    pub(crate) detail: String,
}

impl Answer {
    /// The body as JSON; `null` where it is something else.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The problem that it tells, as far as it is one.
    pub(crate) fn problem(&self) -> Problem {
        let problem: Problem = serde_json::from_slice(&self.body).unwrap_or_default();
        if problem.code.is_empty() {
            let detail = format!("status {} of what is no server of ours", self.status);
            return Problem { code: "UNKNOWN_ANSWER".to_owned(), detail, errors: Vec::new() };
        }
        problem
    }
}

impl Servers {
    /// The servers that the command line names.
    pub(crate) fn new(arguments: &ServerArguments) -> anyhow::Result<Self> {
        let own = |service| match service {
            Service::Orders => arguments.orders_url.as_ref(),
            Service::Inventory => arguments.inventory_url.as_ref(),
            Service::Fraud => arguments.fraud_url.as_ref(),
            Service::Payments => arguments.payments_url.as_ref(),
        };
        let mut urls = Service::ALL.map(|service| (service, String::new()));
        for (service, url) in &mut urls {
            *url = checked(own(*service).unwrap_or(&arguments.url))?;
        }
        Ok(Servers { client: Client::builder(TokioExecutor::new()).build_http(), urls })
    }

    /// Where a service is.
    pub(crate) fn url(&self, service: Service) -> &str {
        self.urls.iter().find(|(other, _)| *other == service).map_or("", |(_, url)| url)
    }

    /// Each server once.
    pub(crate) fn all(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for (_, url) in &self.urls {
            if !all.contains(&url.as_str()) {
                all.push(url);
            }
        }
        all
    }

    /// Sends a request until it is answered by something else than 503, for at most `retry_time`:
    /// then as it was answered last.
    pub(crate) async fn send(
        &self,
        url: &str,
        (method, path): (Method, &str),
        body: Option<&Value>,
        retry_time: Duration,
    ) -> Result<Answer, Error> {
        let give_up_at = Instant::now() + retry_time;
        loop {
            let answer = self.send_once(url, (method.clone(), path), body).await;
            let pause = match &answer {
                Ok(answer) if answer.status == 503 => answer.retry_after.unwrap_or(PAUSE),
                Ok(_) | Err(Error::Path { .. }) => return answer,
                Err(_) => PAUSE,
            };
            let again_at = Instant::now() + pause.min(PAUSE_MAX);
            if again_at > give_up_at {
                return answer;
            }
            tokio::time::sleep_until(again_at).await;
        }
    }

    /// The pages of the list that a server has at a path.
    pub(crate) fn pages<'a>(&'a self, url: &'a str, path: &'a str) -> Pages<'a> {
        Pages { servers: self, url, path, query: Some(format!("?limit={PAGE_LENGTH}")) }
    }

    /// What a server shows at a path of which it is known that it is there, tried again as long as
    /// the server cannot say; `None` where it has no such thing.
    pub(crate) async fn get(&self, url: &str, path: &str) -> anyhow::Result<Option<Value>> {
        let answer = self.send(url, (Method::GET, path), None, RETRY_TIME).await?;
        match answer.status {
            200 => Ok(Some(answer.json())),
            404 => Ok(None),
            _ => {
                let Problem { code, detail, .. } = answer.problem();
                bail!("GET {url}{path}: {code}: {detail}")
            }
        }
    }

    /// Makes sure that there is a server, and that it has the list at this path. Nobody who has
    /// mistyped a URL waits for a retry.
    pub(crate) async fn has(&self, service: Service, path: &str) -> anyhow::Result<()> {
        let url = self.url(service);
        match self.send_once(url, (Method::GET, &format!("{path}?limit=1")), None).await?.status {
            200 | 503 => Ok(()),
            404 => {
                let name = format!("{service:?}").to_lowercase();
                bail!("{url} has no {path}: --{name}-url says where it is")
            }
            status => bail!("{url}{path} answers with status {status}: no server of ours"),
        }
    }

    /// Makes sure that there is a server at each URL.
    pub(crate) async fn are_there(&self) -> Result<(), Error> {
        for url in self.all() {
            self.send_once(url, (Method::GET, "/healthz"), None).await?;
        }
        Ok(())
    }

    async fn send_once(
        &self,
        url: &str,
        (method, path): (Method, &str),
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        let no_path = || Error::Path { path: path.to_owned() };
        let uri: Uri = format!("{url}{path}").parse().map_err(|_| no_path())?;
        let mut request = Request::builder().method(method).uri(uri);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request.body(Full::new(body)).map_err(|_| no_path())?;
        let answer = tokio::time::timeout(ANSWER_TIME_MAX, self.exchange(request)).await;
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(reason)) => Err(Error::Unreachable { url: url.to_owned(), reason }),
            Err(_) => Err(Error::TimedOut { url: url.to_owned() }),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let answer = self.client.request(request).await.map_err(|error| {
            // What the client says is only that it could not connect; why is at the bottom.
            let mut cause: &dyn std::error::Error = &error;
            while let Some(below) = cause.source() {
                cause = below;
            }
            cause.to_string()
        })?;
        let (head, body) = answer.into_parts();
        let seconds = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = seconds.and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        Ok(Answer { status: head.status.as_u16(), body, retry_after })
    }
}

/// A URL that has no more than a host and a port.
fn checked(url: &str) -> anyhow::Result<String> {
    let bare = url.strip_suffix('/').unwrap_or(url);
    let is_well_formed = bare.parse::<Uri>().is_ok_and(|uri| {
        let has_host = uri.authority().is_some_and(|all| !all.as_str().contains('@'));
        uri.scheme_str() == Some("http") && has_host && uri.path() == "/" && uri.query().is_none()
    });
    if !is_well_formed {
        bail!("`{url}` is not of the form http://host:port");
    }
    Ok(bare.to_owned())
}

/// The pages of a list.
pub(crate) struct Pages<'a> {
    servers: &'a Servers,
    url: &'a str,
    path: &'a str,
    /// The query of the next page; none after the last.
    query: Option<String>,
}

impl Pages<'_> {
    /// The next page; `None` after the last.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        let Some(query) = self.query.take() else { return Ok(None) };
        let Pages { servers, url, path, .. } = self;
        let page = servers.get(url, &format!("{path}{query}")).await?;
        let page = page.with_context(|| format!("{url} has no {path}"))?;
        let next = page["nextCursor"].as_str();
        self.query =
            next.map(|cursor| format!("?limit={PAGE_LENGTH}&cursor={}", path_part(cursor)));
        Ok(Some(page))
    }
}

/// A text as a part of a path.
pub(crate) fn path_part(text: &str) -> String {
    let mut part = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b':' | b'~' => {
                part.push(char::from(byte));
            }
            // A part of dots alone would lead elsewhere.
            b'.' if text.bytes().any(|other| other != b'.') => part.push('.'),
            _ => part.push_str(&format!("%{byte:02X}")),
        }
    }
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_host_and_a_port() {
        for (given, used) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://shop/", "http://shop"),
            ("http://[::1]:81", "http://[::1]:81"),
        ] {
            assert_eq!(checked(given).unwrap(), used);
        }
        for bad in ["https://shop", "shop:8080", "http://shop/v1", "http://me@shop", "", "http://"]
        {
            let error = checked(bad).unwrap_err().to_string();
            assert!(error.contains("is not of the form http://host:port"), "{bad}: {error}");
        }
    }

    #[test]
    fn what_has_no_url_of_its_own_is_on_the_one_server() {
        let arguments = ServerArguments {
            url: "http://all".to_owned(),
            orders_url: None,
            inventory_url: Some("http://inventory".to_owned()),
            fraud_url: None,
            payments_url: None,
        };
        let servers = Servers::new(&arguments).unwrap();

        assert_eq!(servers.url(Service::Inventory), "http://inventory");
        assert_eq!(servers.url(Service::Orders), "http://all");
        assert_eq!(servers.all(), ["http://all", "http://inventory"]);
    }

    #[test]
    fn an_id_is_one_part_of_a_path_whatever_is_in_it() {
        assert_eq!(path_part("a-B_1.2:3"), "a-B_1.2:3");
        assert_eq!(path_part("../x y?ä"), "..%2Fx%20y%3F%C3%A4");
        assert_eq!(path_part(".."), "%2E%2E");
    }
}
