//! Numbers as OpenMetrics text, which Prometheus reads, and those of every HTTP server.
#![warn(missing_docs)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
pub use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

/// The media type of the text.
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Methods that are counted each for itself; all others together.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "HEAD", "OTHER"];
/// Statuses that are counted each for itself; all others together, as 0.
const STATUSES: [u16; 17] =
    [200, 201, 202, 204, 304, 400, 404, 405, 408, 409, 413, 415, 422, 500, 503, 504, 0];
/// Bounds between requests that took shorter and longer, in seconds. The longest are waits.
const REQUEST_SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Counts of all requests so far.
#[derive(Debug)]
pub struct Metrics {
    started: Instant,
    routes: RwLock<BTreeMap<String, Arc<Route>>>,
}

/// The requests of one route.
#[derive(Debug)]
struct Route {
    answers: [[AtomicU64; STATUSES.len()]; METHODS.len()],
    seconds: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics { started: Instant::now(), routes: RwLock::default() }
    }
}

impl Default for Route {
    fn default() -> Self {
        Route { answers: Default::default(), seconds: Histogram::new(REQUEST_SECONDS) }
    }
}

impl Metrics {
    /// Counts an answer that took so long. `route` is the pattern that the path matched, of which
    /// there are few.
    pub fn count(&self, route: &str, method: &str, status: u16, took: Duration) {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = routes.get(route) {
            known.count(method, status, took);
            return;
        }
        drop(routes);
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        routes.entry(route.to_owned()).or_default().count(method, status, took);
    }

    /// All of it.
    pub fn samples(&self) -> Vec<Sample> {
        let uptime = Value::gauge(self.started.elapsed().as_secs());
        let mut samples = vec![Sample::new("uptime_seconds", "Time since the start.", uptime)];
        for (name, route) in &*self.routes.read().unwrap_or_else(PoisonError::into_inner) {
            samples.extend(route.samples(name));
        }
        samples
    }
}

impl Route {
    fn count(&self, method: &str, status: u16, took: Duration) {
        let method = METHODS.iter().position(|name| *name == method);
        let status = STATUSES.iter().position(|code| *code == status);
        let method = method.unwrap_or(METHODS.len() - 1);
        let status = status.unwrap_or(STATUSES.len() - 1);
        self.answers[method][status].fetch_add(1, Ordering::Relaxed);
        self.seconds.observe(took.as_secs_f64());
    }

    fn samples(&self, route: &str) -> Vec<Sample> {
        let mut samples = vec![
            Sample::new(
                "http_request_duration_seconds",
                "Time from the head of a request to the head of its answer, waits and all.",
                Value::Histogram(self.seconds.clone()),
            )
            .with("route", route.to_owned()),
        ];
        for (method, counts) in METHODS.iter().zip(&self.answers) {
            for (status, count) in STATUSES.iter().zip(counts) {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    let value = Value::Counter(count);
                    let sample = Sample::new("http_requests_total", "Requests answered.", value);
                    let sample = sample.with("route", route.to_owned()).with("method", *method);
                    samples.push(sample.with("status", status.to_string()));
                }
            }
        }
        samples
    }
}

/// One number of a part of the program.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its name; a unit comes last, and `_total` after a counter's.
    pub name: &'static str,
    /// What tells it from others of its name in the process: names and values of labels.
    pub labels: Vec<(&'static str, Cow<'static, str>)>,
    /// What it means, for people, as a sentence.
    pub help: &'static str,
    /// What it is now.
    pub value: Value,
}

/// What a number is now. All numbers of one name are of one kind.
#[derive(Clone, Debug)]
pub enum Value {
    /// It only grows, but for restarts.
    Counter(u64),
    /// It goes up and down.
    Gauge(i64),
    /// How many things were how large or took how long. Has a label at least.
    Histogram(Histogram),
}

impl Sample {
    /// A number without labels.
    pub const fn new(name: &'static str, help: &'static str, value: Value) -> Self {
        Sample { name, labels: Vec::new(), help, value }
    }

    /// The same with one more label.
    pub fn with(mut self, label: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.labels.push((label, value.into()));
        self
    }
}

impl Value {
    /// A number that goes up and down.
    pub fn gauge(number: impl TryInto<i64>) -> Self {
        Value::Gauge(number.try_into().unwrap_or(i64::MAX))
    }

    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        match self {
            Value::Counter(count) => encoder.encode_counter::<NoLabelSet, _, f64>(count, None),
            Value::Gauge(number) => encoder.encode_gauge(number),
            Value::Histogram(histogram) => histogram.encode(encoder),
        }
    }

    const fn kind(&self) -> MetricType {
        match self {
            Value::Counter(_) => MetricType::Counter,
            Value::Gauge(_) => MetricType::Gauge,
            Value::Histogram(_) => MetricType::Histogram,
        }
    }
}

/// Numbers as text.
pub fn render(mut samples: Vec<Sample>) -> String {
    // All numbers of one name stand together, whichever parts they come from.
    samples.sort_by_key(|sample| sample.name);
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Samples(samples)));
    let mut text = String::new();
    // Writing to a string never fails.
    let _ = encode(&mut text, &registry);
    text
}

/// Numbers in order of name.
#[derive(Debug)]
struct Samples(Vec<Sample>);

impl Collector for Samples {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for of_one_name in self.0.chunk_by(|one, next| one.name == next.name) {
            let Some(Sample { name, help, value, .. }) = of_one_name.first() else { continue };
            // It is written after each count again.
            let name = name.strip_suffix("_total").unwrap_or(name);
            let mut metric = encoder.encode_descriptor(name, help, None, value.kind())?;
            for Sample { labels, value, .. } in of_one_name {
                match (labels.is_empty(), value) {
                    (true, Value::Counter(count)) => {
                        metric.encode_counter::<NoLabelSet, _, f64>(count, None)?;
                    }
                    (true, Value::Gauge(number)) => metric.encode_gauge(number)?,
                    _ => value.encode(metric.encode_family(labels)?)?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
