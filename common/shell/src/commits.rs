//! A service's commits: how many, how large, how long they take, and who is shown what they hold.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use streams::{CommitBatch, CommitOutcome, ProducedRecord, Timestamp, TopicName};
use tokio::time::Instant;
use traces::{Commit, Deed, Processing, Span, Traces};

use crate::clock;
use crate::flow::{Flow, by_topic};
use crate::health::Report;
use crate::metrics::{Histogram, Sample, Value};

/// Bounds between commits that took shorter and longer, in seconds: from a write to memory to the
/// longest transaction.
const COMMIT_SECONDS: [f64; 12] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0];
/// Bounds between smaller and larger batches, in records.
const BATCH_RECORDS: [f64; 9] = [0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0];
/// What becomes of commits.
const OUTCOMES: [&str; 4] = ["committed", "aborted", "unknown", "fenced"];

/// Is shown what a service has committed.
pub trait Observer: Report {
    /// Whether it wants to see a record. It is asked of each one, so this looks at no more than
    /// the topic and a header.
    fn wants(&self, record: &ProducedRecord) -> bool;

    /// Those records that it wants of a commit, in order. The commit holds since `at`, by the wall
    /// clock; on a log that is on disk later than that, it need not be there yet.
    fn committed(&self, records: Vec<ProducedRecord>, at: Timestamp);
}

/// The commits of one service so far.
pub(crate) struct Commits {
    outcomes: [AtomicU64; OUTCOMES.len()],
    seconds: Histogram,
    records: Histogram,
    observer: OnceLock<Arc<dyn Observer>>,
}

impl Default for Commits {
    fn default() -> Self {
        Commits {
            outcomes: Default::default(),
            seconds: Histogram::new(COMMIT_SECONDS),
            records: Histogram::new(BATCH_RECORDS),
            observer: OnceLock::new(),
        }
    }
}

impl Commits {
    /// From now on this one is shown what is committed; `false` where there is another already.
    pub(crate) fn observe(&self, observer: Arc<dyn Observer>) -> bool {
        self.observer.set(observer).is_ok()
    }

    pub(crate) fn samples(&self, service: &'static str) -> Vec<Sample> {
        let outcomes = OUTCOMES.iter().zip(&self.outcomes).map(|(outcome, count)| {
            let count = Value::Counter(count.load(Ordering::Relaxed));
            Sample::new("streams_commits_total", "Commits by what became of them.", count)
                .with("service", service)
                .with("outcome", *outcome)
        });
        let histogram = |name, help, histogram: &Histogram| {
            Sample::new(name, help, Value::Histogram(histogram.clone())).with("service", service)
        };
        let sizes = [
            histogram(
                "streams_commit_duration_seconds",
                "Time from the begin of a commit to its outcome.",
                &self.seconds,
            ),
            histogram(
                "streams_batch_records",
                "Records processed, by the commit that they were processed for.",
                &self.records,
            ),
        ];
        outcomes.chain(sizes).collect()
    }
}

/// A commit that is under way.
pub(crate) struct Committing<'a> {
    flow: &'a Flow,
    began: Instant,
    records: usize,
    written: Vec<(TopicName, u64)>,
    observed: Vec<ProducedRecord>,
    traced: Option<Traced<'a>>,
}

/// What of a commit is told as spans.
struct Traced<'a> {
    traces: &'a Traces,
    processed: Vec<Processing>,
    batch_began: SystemTime,
    began: SystemTime,
}

impl<'a> Committing<'a> {
    /// The commit of a batch for which so many records were processed begins.
    pub(crate) fn begin(flow: &'a Flow, batch: &CommitBatch, records: usize) -> Self {
        let outputs = || batch.tasks.iter().flat_map(|task| &task.outputs);
        let observed = match flow.commits().observer.get() {
            Some(observer) => outputs().filter(|output| observer.wants(output)).cloned().collect(),
            None => Vec::new(),
        };
        let written = by_topic(outputs().map(|output| output.destination.topic));
        Committing { flow, began: Instant::now(), records, written, observed, traced: None }
    }

    /// Spans of what was processed for it since then are told if it holds. They are not even looked
    /// for where nobody wants any.
    pub(crate) fn traced(
        self,
        batch_began: SystemTime,
        processed: impl FnOnce() -> Vec<Processing>,
    ) -> Self {
        let traced = self.flow.traces().map(|traces| {
            let (processed, began) = (processed(), clock::precise());
            Traced { traces, processed, batch_began, began }
        });
        Committing { traced: traced.filter(|traced| !traced.processed.is_empty()), ..self }
    }

    /// It has ended.
    pub(crate) fn end(self, outcome: &CommitOutcome) {
        let Committing { flow, began, records, written, observed, traced } = self;
        let commits = flow.commits();
        let outcome = match outcome {
            CommitOutcome::Committed { .. } => 0,
            CommitOutcome::Aborted { .. } => 1,
            CommitOutcome::Unknown { .. } => 2,
            CommitOutcome::Fenced => 3,
        };
        commits.outcomes[outcome].fetch_add(1, Ordering::Relaxed);
        commits.seconds.observe(began.elapsed().as_secs_f64());
        if outcome > 0 {
            return;
        }
        commits.records.observe(records as f64);
        if let Some(traced) = traced {
            let outputs = written.iter().map(|(_, count)| *count).sum();
            traced.tell(flow.service(), records as u64, outputs);
        }
        flow.written(written);
        if !observed.is_empty()
            && let Some(observer) = commits.observer.get()
        {
            observer.committed(observed, clock::now());
        }
    }
}

impl Traced<'_> {
    /// The commit, of so many records taken and written, holds.
    fn tell(self, service: &'static str, records: u64, outputs: u64) {
        let Traced { traces, processed, batch_began, began } = self;
        let ended = clock::precise();
        let commit = traces.new_trace();
        let deed = Deed::Commit(Commit { span: commit, records, outputs });
        traces.tell(Span { service, began, ended, deed });
        for processing in processed {
            let deed = Deed::Processing { processing, commit };
            traces.tell(Span { service, began: batch_began, ended, deed });
        }
    }
}
