//! What the server counts, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::{Method, StatusCode};
use tokio::time::Instant;

use crate::admission::Admission;
use crate::health::Report;

/// Methods that are counted each for itself; all others together.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "HEAD", "OTHER"];
/// Statuses that are counted each for itself; all others together, as 0.
const STATUSES: [u16; 17] =
    [200, 201, 202, 204, 304, 400, 404, 405, 408, 409, 413, 415, 422, 500, 503, 504, 0];

/// Counts of all requests so far.
#[derive(Debug)]
pub struct Metrics {
    started: Instant,
    routes: RwLock<BTreeMap<String, Arc<RouteCounts>>>,
}

/// Counts of the requests of one route.
#[derive(Debug, Default)]
struct RouteCounts([[AtomicU64; STATUSES.len()]; METHODS.len()]);

impl Default for Metrics {
    fn default() -> Self {
        Metrics { started: Instant::now(), routes: RwLock::default() }
    }
}

impl Metrics {
    /// Counts an answer. `route` is the pattern that the path matched, of which there are few.
    pub fn count(&self, route: &str, method: &Method, status: StatusCode) {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(counts) = routes.get(route) {
            counts.count(method, status);
            return;
        }
        drop(routes);
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        routes.entry(route.to_owned()).or_default().count(method, status);
    }

    /// All of it as text, and what these parts count.
    pub fn render(&self, admission: &Admission, parts: &[Arc<dyn Report>]) -> String {
        let mut text = String::new();
        let mut samples: Vec<Sample> = parts.iter().flat_map(|part| part.samples()).collect();
        // All numbers of one name stand together, whichever parts they come from.
        samples.sort_by_key(|sample| sample.name);
        // Writing to a string never fails.
        let _ = self.write(&mut text, admission);
        for of_one_name in samples.chunk_by(|one, next| one.name == next.name) {
            let _ = write_samples(&mut text, of_one_name);
        }
        text
    }

    fn write(&self, text: &mut String, admission: &Admission) -> fmt::Result {
        head(text, "http_requests_total", "counter", "Requests answered.")?;
        for (route, counts) in &*self.routes.read().unwrap_or_else(PoisonError::into_inner) {
            for (method, status, count) in counts.nonzero() {
                writeln!(
                    text,
                    "http_requests_total{{route=\"{route}\",method=\"{method}\",\
                     status=\"{status}\"}} {count}"
                )?;
            }
        }
        head(text, "http_requests_working", "gauge", "Requests being worked on.")?;
        writeln!(text, "http_requests_working {}", admission.working())?;
        head(text, "http_requests_arriving", "gauge", "Requests whose bodies still arrive.")?;
        writeln!(text, "http_requests_arriving {}", admission.arriving())?;
        head(text, "http_requests_waiting", "gauge", "Requests waiting for something to happen.")?;
        writeln!(text, "http_requests_waiting {}", admission.waiting())?;
        head(text, "http_streams_open", "gauge", "Answers that go on as long as there is news.")?;
        writeln!(text, "http_streams_open {}", admission.streams())?;
        head(text, "uptime_seconds", "gauge", "Time since the start.")?;
        writeln!(text, "uptime_seconds {:.3}", self.started.elapsed().as_secs_f64())
    }
}

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, but for restarts.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// One number of a part of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Its name; a unit comes last, and `_total` after a counter's.
    pub name: &'static str,
    /// What tells it from others of its name in the process: names and values of labels.
    pub labels: Vec<(&'static str, &'static str)>,
    /// What it means.
    pub kind: Kind,
    /// The same for people, as a sentence.
    pub help: &'static str,
    /// The number.
    pub value: u64,
}

/// Writes samples that have one name, and with it one kind and one help.
fn write_samples(text: &mut String, samples: &[Sample]) -> fmt::Result {
    let Some(Sample { name, kind, help, .. }) = samples.first() else { return Ok(()) };
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    head(text, name, kind, help)?;
    for Sample { labels, value, .. } in samples {
        text.push_str(name);
        for (number, (label, content)) in labels.iter().enumerate() {
            let before = if number == 0 { '{' } else { ',' };
            write!(text, "{before}{label}=\"{content}\"")?;
        }
        let after = if labels.is_empty() { "" } else { "}" };
        writeln!(text, "{after} {value}")?;
    }
    Ok(())
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

impl RouteCounts {
    fn count(&self, method: &Method, status: StatusCode) {
        let method = METHODS.iter().position(|name| *name == method.as_str());
        let status = STATUSES.iter().position(|code| *code == status.as_u16());
        let method = method.unwrap_or(METHODS.len() - 1);
        let status = status.unwrap_or(STATUSES.len() - 1);
        self.0[method][status].fetch_add(1, Ordering::Relaxed);
    }

    fn nonzero(&self) -> impl Iterator<Item = (&'static str, u16, u64)> {
        METHODS.iter().zip(&self.0).flat_map(|(method, counts)| {
            STATUSES
                .iter()
                .zip(counts)
                .map(|(status, count)| (*method, *status, count.load(Ordering::Relaxed)))
                .filter(|(_, _, count)| *count > 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Limits;

    #[test]
    fn answers_are_counted_by_route_method_and_status() {
        let metrics = Metrics::default();
        metrics.count("/v1/orders", &Method::POST, StatusCode::CREATED);
        metrics.count("/v1/orders", &Method::POST, StatusCode::CREATED);
        metrics.count("/v1/orders", &Method::PATCH, StatusCode::IM_A_TEAPOT);

        let text = metrics.render(&Admission::new(Limits::default()), &[]);

        let line = |method: &str, status: u16, count: u64| {
            format!(
                "http_requests_total{{route=\"/v1/orders\",method=\"{method}\",\
                 status=\"{status}\"}} {count}\n"
            )
        };
        assert!(text.contains(&(line("POST", 201, 2) + &line("OTHER", 0, 1))), "{text}");
        assert!(text.contains("# TYPE uptime_seconds gauge\nuptime_seconds "), "{text}");
    }

    /// A part that counts `sheep_total` by meadow, and something of its own.
    struct Shepherd(&'static str, u64);

    impl Report for Shepherd {
        fn samples(&self) -> Vec<Sample> {
            let sheep = Sample {
                name: "sheep_total",
                labels: vec![("meadow", self.0), ("kind", "black")],
                kind: Kind::Counter,
                help: "Sheep seen.",
                value: self.1,
            };
            let dogs = Sample { name: "dogs", labels: Vec::new(), kind: Kind::Gauge, ..sheep };
            vec![sheep, Sample { help: "Dogs.", ..dogs }]
        }
    }

    #[test]
    fn samples_of_one_name_stand_together_under_one_head() {
        let parts: [Arc<dyn Report>; 2] = [Arc::new(Shepherd("a", 1)), Arc::new(Shepherd("b", 2))];

        let text = Metrics::default().render(&Admission::new(Limits::default()), &parts);

        let expected = "# HELP dogs Dogs.\n# TYPE dogs gauge\ndogs 1\ndogs 2\n\
            # HELP sheep_total Sheep seen.\n# TYPE sheep_total counter\n\
            sheep_total{meadow=\"a\",kind=\"black\"} 1\n\
            sheep_total{meadow=\"b\",kind=\"black\"} 2\n";
        assert!(text.ends_with(expected), "{text}");
    }
}
