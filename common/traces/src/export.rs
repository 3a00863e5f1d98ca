//! From the threads that work to whoever collects spans: by way of a queue with an end, so that a
//! collector that is slow, or gone, costs spans and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use streams::TraceParent;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use crate::otlp;
use crate::settings::Settings;
use crate::span::Span;

/// How many spans wait for their export at most: some megabytes.
const QUEUE_SPANS_MAX: usize = 8_192;
/// How many spans one call to the collector takes at most.
const BATCH_SPANS_MAX: usize = 512;
/// How long spans are gathered before they are exported.
const PAUSE: Duration = Duration::from_millis(200);
/// How long the end of the process waits for what is left.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(2);
/// How long nothing is said of a collector that goes on not answering.
const WARNING_PAUSE: Duration = Duration::from_secs(60);

/// The way to whoever collects spans. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Traces {
    queue: mpsc::Sender<Span>,
    counts: Arc<Counts>,
    /// The share of the traces begun here that are recorded.
    ratio: f64,
}

/// What became of spans so far.
#[derive(Debug, Default)]
pub struct Counts {
    exported: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
}

impl Counts {
    /// What can become of spans, and of how many it did: `exported`; `failed` where the collector
    /// did not take them; `dropped` where too many were waiting.
    pub fn by_outcome(&self) -> [(&'static str, u64); 3] {
        [("exported", &self.exported), ("failed", &self.failed), ("dropped", &self.dropped)]
            .map(|(outcome, count)| (outcome, count.load(Ordering::Relaxed)))
    }
}

impl Traces {
    /// A way to whoever holds the other end, along which so many spans may wait. Of the traces
    /// begun here this share is recorded.
    pub fn new(ratio: f64, spans_max: usize) -> (Self, mpsc::Receiver<Span>) {
        let (queue, spans) = mpsc::channel(spans_max);
        (Traces { queue, counts: Arc::default(), ratio }, spans)
    }

    /// Tells of something that was done. Never waits: where too much is waiting, it is not told.
    pub fn tell(&self, span: Span) {
        if self.queue.try_send(span).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What became of spans so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// A new span: in the trace of its parent, or else in a new trace, which is recorded or not as
    /// the settings have it.
    pub fn new_span(&self, parent: Option<TraceParent>) -> TraceParent {
        let span_id = low_bits(Uuid::new_v4());
        match parent {
            Some(parent) => TraceParent { span_id, ..parent },
            None => {
                let trace_id = Uuid::new_v4();
                // Whoever begins a part of the trace elsewhere decides alike: by its last 56 bits.
                let share = (low_bits(trace_id) << 8) as f64 / 2f64.powi(64);
                let flags = if share < self.ratio { TraceParent::SAMPLED } else { 0 };
                TraceParent { trace_id: trace_id.as_u128(), span_id, flags }
            }
        }
    }

    /// A new span in a trace of its own, recorded whatever the settings have it.
    pub fn new_trace(&self) -> TraceParent {
        TraceParent { flags: TraceParent::SAMPLED, ..self.new_span(None) }
    }
}

/// The half of an id that is random, but for two bits at its begin.
const fn low_bits(id: Uuid) -> u64 {
    id.as_u64_pair().1
}

/// The export of a process.
#[derive(Debug)]
pub struct Export {
    traces: Traces,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Export {
    /// Begins to export what these services do, which are all services of the process. The
    /// messaging system is the log under them, as spans call it.
    ///
    /// # Errors
    /// Where the settings, or other variables that OpenTelemetry has, are not valid.
    pub fn start(
        settings: &Settings,
        services: &[&'static str],
        messaging_system: &'static str,
    ) -> Result<Self, ExporterBuildError> {
        let exporter = |service: &&'static str| {
            let builder = SpanExporter::builder().with_http().with_endpoint(&settings.endpoint);
            let mut exporter = builder.build()?;
            exporter.set_resource(&resource(settings, service, services.len()));
            Ok((*service, exporter))
        };
        let exporters = services.iter().map(exporter).collect::<Result<_, _>>()?;
        let (traces, spans) = Traces::new(settings.ratio, QUEUE_SPANS_MAX);
        let (stop, stopped) = oneshot::channel();
        let exporting = Exporting {
            spans,
            exporters,
            messaging_system,
            counts: Arc::clone(&traces.counts),
            endpoint: settings.shown_endpoint(),
            warned_at: None,
        };
        let task = tokio::spawn(exporting.run(stopped));
        Ok(Export { traces, stop, task })
    }

    /// The way to it.
    pub const fn traces(&self) -> &Traces {
        &self.traces
    }

    /// Exports what is left, as far as that is soon done.
    pub async fn stop(self) {
        let Export { stop, task, .. } = self;
        // Where nobody listens, the task has ended already.
        let _ = stop.send(());
        let abort = task.abort_handle();
        if tokio::time::timeout(FLUSH_TIME_MAX, task).await.is_err() {
            abort.abort();
            tracing::warn!("ended with spans that were not exported");
        }
    }
}

/// Who did it. A process with one service may have a name of its own; where there are several, that
/// name is what they have in common.
fn resource(settings: &Settings, service: &'static str, services: usize) -> Resource {
    let resource = Resource::builder();
    match &settings.service_name {
        Some(name) if services == 1 => resource.with_service_name(name.clone()),
        Some(name) => {
            let namespace = opentelemetry::KeyValue::new("service.namespace", name.clone());
            resource.with_service_name(service).with_attribute(namespace)
        }
        None => resource.with_service_name(service),
    }
    .build()
}

/// The task that exports.
struct Exporting {
    spans: mpsc::Receiver<Span>,
    exporters: Vec<(&'static str, SpanExporter)>,
    messaging_system: &'static str,
    counts: Arc<Counts>,
    endpoint: String,
    warned_at: Option<Instant>,
}

impl Exporting {
    async fn run(mut self, mut stop: oneshot::Receiver<()>) {
        let mut stopped = false;
        while !stopped {
            stopped = tokio::time::timeout(PAUSE, &mut stop).await.is_ok();
            if stopped {
                self.spans.close();
            }
            // What came meanwhile is gathered for the next time, while there is one.
            let enough = if stopped { 1 } else { BATCH_SPANS_MAX };
            while self.export_batch().await >= enough {}
        }
    }

    /// Exports what waits, or as much of it as one call takes, and says how many spans that was.
    async fn export_batch(&mut self) -> usize {
        let mut batch = Vec::new();
        while batch.len() < BATCH_SPANS_MAX
            && let Ok(span) = self.spans.try_recv()
        {
            batch.push(span);
        }
        let spans = batch.len();
        for number in 0..self.exporters.len() {
            let (service, exporter) = &self.exporters[number];
            let of_service: Vec<SpanData> = batch
                .extract_if(.., |span| span.service == *service)
                .map(|span| otlp::span_data(span, self.messaging_system))
                .collect();
            if of_service.is_empty() {
                continue;
            }
            let count = of_service.len() as u64;
            match exporter.export(of_service).await {
                Ok(()) => self.counts.exported.fetch_add(count, Ordering::Relaxed),
                Err(error) => {
                    self.warn(&error);
                    self.counts.failed.fetch_add(count, Ordering::Relaxed)
                }
            };
        }
        spans
    }

    fn warn(&mut self, error: &OTelSdkError) {
        let now = Instant::now();
        if self.warned_at.is_none_or(|warned_at| now >= warned_at + WARNING_PAUSE) {
            self.warned_at = Some(now);
            tracing::warn!(endpoint = self.endpoint, %error, "spans are not taken");
        }
    }
}

#[cfg(test)]
mod tests;
