//! What is counted and timed during a run.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{Error, outcome::Failure};

/// Failures of more kinds than this are counted as one: their names come from the server.
const FAILURE_KINDS_MAX: usize = 100;
/// Longer latencies are counted as this long.
const LATENCY_MAX: Duration = Duration::from_secs(600);
/// Three digits: a value is at most 0.1 % off.
const SIGNIFICANT_DIGITS: u8 = 3;

/// A distribution of latencies, to the microsecond.
#[derive(Debug)]
pub(super) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(super) fn new() -> Result<Self, Error> {
        let max = u64::try_from(LATENCY_MAX.as_micros()).unwrap_or(u64::MAX);
        Ok(Self(Histogram::new_with_bounds(1, max, SIGNIFICANT_DIGITS)?))
    }

    /// Adds the time from `from` to `to`. An open loop passes the intended time of sending as
    /// `from`: time that a request spent waiting for its turn is the server's doing too.
    pub(super) fn record(&mut self, from: Instant, to: Instant) {
        let micros = to.saturating_duration_since(from).as_micros();
        self.0.saturating_record(u64::try_from(micros).unwrap_or(u64::MAX).max(1));
    }

    pub(super) fn clear(&mut self) {
        self.0.reset();
    }

    pub(super) fn percentiles(&self) -> Percentiles {
        let at = |quantile| millis(self.0.value_at_quantile(quantile));
        Percentiles {
            count: self.0.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: millis(self.0.max()),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 microseconds")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

/// A distribution in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// How many were measured.
    pub count: u64,
    /// Half are not above it.
    pub p50: f64,
    /// Nine of ten are not above it.
    pub p90: f64,
    /// 99 of 100 are not above it.
    pub p99: f64,
    /// 999 of 1,000 are not above it.
    #[serde(rename = "p99.9")]
    pub p99_9: f64,
    /// The longest.
    pub max: f64,
}

/// One order, done.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) sent: Instant,
    /// When the answer to the POST was there, if it was a good one.
    pub(super) posted: Option<Instant>,
    pub(super) ended: Instant,
    pub(super) outcome: Result<(), Failure>,
}

/// Everything counted in a run.
#[derive(Debug)]
pub(super) struct Measures {
    pub(super) send_delay: Latencies,
    pub(super) post: Latencies,
    pub(super) post_to_validated: Latencies,
    /// The same since the last progress line.
    pub(super) recent: Latencies,
    pub(super) validated: u64,
    pub(super) failed: u64,
    failures: BTreeMap<Failure, u64>,
    /// When the last order ended.
    pub(super) last_end: Option<Instant>,
}

impl Measures {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self {
            send_delay: Latencies::new()?,
            post: Latencies::new()?,
            post_to_validated: Latencies::new()?,
            recent: Latencies::new()?,
            validated: 0,
            failed: 0,
            failures: BTreeMap::new(),
            last_end: None,
        })
    }

    /// Counts an order; its latencies begin at `intended`.
    pub(super) fn count(&mut self, intended: Instant, exchange: Exchange) {
        self.send_delay.record(intended, exchange.sent);
        if let Some(posted) = exchange.posted {
            self.post.record(intended, posted);
        }
        match exchange.outcome {
            Ok(()) => {
                self.validated += 1;
                self.post_to_validated.record(intended, exchange.ended);
                self.recent.record(intended, exchange.ended);
            }
            Err(failure) => self.fail(failure, 1),
        }
        self.last_end = Some(exchange.ended);
    }

    pub(super) fn failures_by_name(&self) -> BTreeMap<String, u64> {
        self.failures.iter().map(|(failure, count)| (failure.to_string(), *count)).collect()
    }

    pub(super) fn fail(&mut self, failure: Failure, orders: u64) {
        self.failed += orders;
        let known = self.failures.contains_key(&failure);
        let key =
            if known || self.failures.len() < FAILURE_KINDS_MAX { failure } else { Failure::Other };
        *self.failures.entry(key).or_default() += orders;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock, load::outcome::Step};

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn near(value: f64, expected: f64) -> bool {
        (value - expected).abs() <= expected / 500.0
    }

    #[test]
    fn a_latency_counts_from_the_intended_time_not_from_the_sending() {
        // Given an order that was due, but sent 300 ms late and answered 2 ms after that
        let due = clock::now();
        let exchange = Exchange {
            sent: due + ms(300),
            posted: Some(due + ms(301)),
            ended: due + ms(302),
            outcome: Ok(()),
        };
        let mut measures = Measures::new().unwrap();

        // When it is counted
        measures.count(due, exchange);

        // Then the wait is in every latency
        assert!(near(measures.send_delay.percentiles().p50, 300.0));
        assert!(near(measures.post.percentiles().p50, 301.0));
        assert!(near(measures.post_to_validated.percentiles().p50, 302.0));
        assert_eq!((measures.validated, measures.failed), (1, 0));
    }

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let start = clock::now();
        let mut latencies = Latencies::new().unwrap();
        for count in 1..=1_000 {
            latencies.record(start, start + ms(count));
        }

        let percentiles = latencies.percentiles();

        assert_eq!(percentiles.count, 1_000);
        assert!(near(percentiles.p50, 500.0), "{percentiles:?}");
        assert!(near(percentiles.p90, 900.0), "{percentiles:?}");
        assert!(near(percentiles.p99, 990.0), "{percentiles:?}");
        assert!(near(percentiles.p99_9, 999.0), "{percentiles:?}");
        assert!(near(percentiles.max, 1_000.0), "{percentiles:?}");
    }

    #[test]
    fn a_latency_over_the_histogram_s_end_is_kept_as_its_longest() {
        let start = clock::now();
        let mut latencies = Latencies::new().unwrap();
        latencies.record(start, start + LATENCY_MAX * 2);
        assert!(near(latencies.percentiles().max, 600_000.0));
    }

    #[test]
    fn a_failed_order_has_no_latency_to_validated_and_is_counted_by_kind() {
        let start = clock::now();
        let failure = Failure::Transport { step: Step::Get, cause: "no answer in time" };
        let mut measures = Measures::new().unwrap();
        for posted in [Some(start + ms(1)), None] {
            let outcome = Err(failure.clone());
            measures.count(start, Exchange { sent: start, posted, ended: start, outcome });
        }

        assert_eq!(measures.post.percentiles().count, 1);
        assert_eq!(measures.post_to_validated.percentiles().count, 0);
        assert_eq!(measures.failures, BTreeMap::from([(failure, 2)]));
        assert_eq!((measures.validated, measures.failed), (0, 2));
    }

    #[test]
    fn kinds_beyond_the_most_are_counted_together() {
        let mut measures = Measures::new().unwrap();
        for status in 0..200 {
            measures.fail(Failure::Refused { step: Step::Post, status, code: String::new() }, 1);
        }

        assert_eq!(measures.failed, 200);
        assert_eq!(measures.failures.values().sum::<u64>(), 200);
        assert_eq!(measures.failures[&Failure::Other], 100);
    }
}
