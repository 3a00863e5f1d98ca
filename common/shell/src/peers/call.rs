//! A read as one instance tells it another, over HTTP.

use std::time::Duration;

use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tokio::time::Instant;

use crate::read::{Read, ReadOutcome};
use crate::service::{ANSWER_GRACE, ServiceError};

/// Where reads are passed on to.
pub(super) const PATH: &str = "/internal/reads";
/// An instance that does not take a connection for so long is not there.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(1);
/// How long a connection to another instance is kept without use: less than it is kept there.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);
/// Entries are small; no answer is near to this.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes as text: base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Encoded(pub(super) Bytes);

impl Serialize for Encoded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Encoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64_STANDARD.decode(text).map_err(de::Error::custom)?;
        Ok(Encoded(bytes.into()))
    }
}

/// A [`Read`] on its way. Names stand for what an instance of the same service knows.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PassedRead {
    pub(super) partition_key: Encoded,
    pub(super) entries: Vec<(String, Encoded)>,
    pub(super) after: Option<(String, u64)>,
    pub(super) until: Option<String>,
    /// What is left of the time: clocks of different machines are not compared.
    pub(super) timeout_ms: u64,
}

/// What came of it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum PassedOutcome {
    Found(Vec<Option<Encoded>>),
    TimedOut(Vec<Option<Encoded>>),
}

impl PassedRead {
    fn new(read: &Read, ends_at: Instant) -> Self {
        let encoded = |bytes: &Bytes| Encoded(bytes.clone());
        let entry = |(store, key): &(streams::StoreName, Bytes)| (store.to_string(), encoded(key));
        let left = ends_at.saturating_duration_since(Instant::now());
        PassedRead {
            partition_key: encoded(&read.partition_key),
            entries: read.entries.iter().map(entry).collect(),
            after: read.after.map(|(topic, offset)| (topic.to_string(), offset.0)),
            until: read.until.as_ref().map(|awaited| awaited.name.to_owned()),
            timeout_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl From<ReadOutcome> for PassedOutcome {
    fn from(outcome: ReadOutcome) -> Self {
        let encoded =
            |entries: Vec<Option<Bytes>>| entries.into_iter().map(|entry| entry.map(Encoded));
        match outcome {
            ReadOutcome::Found(entries) => PassedOutcome::Found(encoded(entries).collect()),
            ReadOutcome::TimedOut(entries) => PassedOutcome::TimedOut(encoded(entries).collect()),
        }
    }
}

impl From<PassedOutcome> for ReadOutcome {
    fn from(outcome: PassedOutcome) -> Self {
        let decoded = |entries: Vec<Option<Encoded>>| {
            entries.into_iter().map(|entry| entry.map(|Encoded(bytes)| bytes)).collect()
        };
        match outcome {
            PassedOutcome::Found(entries) => ReadOutcome::Found(decoded(entries)),
            PassedOutcome::TimedOut(entries) => ReadOutcome::TimedOut(decoded(entries)),
        }
    }
}

/// What another instance says to a read.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    Read(Result<ReadOutcome, ServiceError>),
    /// It does not own the partition, or is not there.
    NotOwner,
}

/// Calls other instances.
#[derive(Debug)]
pub(super) struct Caller {
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Default for Caller {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIME_MAX));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIME_MAX)
            .pool_timer(TokioTimer::new())
            .build(connector);
        Caller { client }
    }
}

impl Caller {
    /// Asks the instance at `url`.
    pub(super) async fn call(&self, url: &str, read: &Read, ends_at: Instant) -> Answer {
        let passed = PassedRead::new(read, ends_at);
        let exchange = tokio::time::timeout_at(ends_at + 2 * ANSWER_GRACE, self.send(url, &passed));
        match exchange.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(reason)) => {
                tracing::debug!(url, %reason, "a read did not get through");
                Answer::NotOwner
            }
            Err(_) => Answer::Read(Err(ServiceError::NotInTime)),
        }
    }

    async fn send(
        &self,
        url: &str,
        read: &PassedRead,
    ) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let request = Request::post(format!("{url}{PATH}"))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(streams::json_bytes(read)))?;
        let response = self.client.request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await?.to_bytes();
        Ok(match status {
            StatusCode::OK => {
                let outcome: PassedOutcome = serde_json::from_slice(&body)?;
                Answer::Read(Ok(outcome.into()))
            }
            StatusCode::MISDIRECTED_REQUEST => Answer::NotOwner,
            StatusCode::GATEWAY_TIMEOUT => Answer::Read(Err(ServiceError::NotInTime)),
            StatusCode::SERVICE_UNAVAILABLE => Answer::Read(Err(ServiceError::Overloaded)),
            status => Answer::Read(Err(ServiceError::Unavailable {
                reason: format!("the owner at {url} answered {status}"),
                may_be_written: false,
            })),
        })
    }
}
