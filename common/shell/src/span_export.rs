//! Where the spans of a process go.

use std::env;

use traces::{Export, Settings, Traces};

use crate::health::Report;
use crate::metrics::{Sample, Value};
use crate::service::ServiceHandle;

/// The export of what services do, where the environment says who collects it.
#[derive(Debug)]
pub struct SpanExport(Option<Export>);

impl SpanExport {
    /// From now on these services, which are all of the process, tell what they do. Spans call the
    /// log under them by this name. Where the environment is not valid, nothing is exported, and a
    /// warning says so: requests are worth more than spans.
    pub fn start(services: &[ServiceHandle], messaging_system: &'static str) -> Self {
        let Some(settings) = Settings::read(&|name| env::var(name).ok()) else {
            return SpanExport(None);
        };
        let names: Vec<&'static str> = services.iter().map(ServiceHandle::name).collect();
        let export = match Export::start(&settings, &names, messaging_system) {
            Ok(export) => export,
            Err(error) => {
                tracing::warn!(%error, "spans are not exported");
                return SpanExport(None);
            }
        };
        for service in services {
            service.flow().trace(export.traces().clone());
        }
        if let Some(service) = services.first() {
            service.add_part(std::sync::Arc::new(Exported(export.traces().clone())));
        }
        tracing::info!(endpoint = settings.shown_endpoint(), "spans are exported");
        SpanExport(Some(export))
    }

    /// Exports what is left, as far as that is soon done. To be called when nothing is done any
    /// more.
    pub async fn stop(self) {
        if let Some(export) = self.0 {
            export.stop().await;
        }
    }
}

/// What became of spans, as numbers.
struct Exported(Traces);

impl Report for Exported {
    fn samples(&self) -> Vec<Sample> {
        let sample = |(outcome, count)| {
            let help = "Spans, by whether they were exported, not taken by the collector, or \
                dropped because too many were waiting.";
            Sample::new("trace_spans_total", help, Value::Counter(count)).with("outcome", outcome)
        };
        self.0.counts().by_outcome().map(sample).into()
    }
}
