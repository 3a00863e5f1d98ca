//! The trace of a request.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use streams::TraceParent;

use crate::export::Traces;

tokio::task_local! {
    /// The trace of the request that this task answers. Handlers would only hand it through to
    /// whatever writes a record for them.
    static CURRENT: Option<Arc<RequestTrace>>;
}

/// The trace of a request: the client's, or else one that begins when the request writes something.
#[derive(Debug)]
pub struct RequestTrace {
    parent: Option<TraceParent>,
    /// Where spans are wanted, the request's own.
    span: OnceLock<TraceParent>,
    /// The service that has written something for it.
    service: OnceLock<&'static str>,
}

impl RequestTrace {
    /// The trace of a request with this header. `None`, which costs nothing, where the client sends
    /// none that is valid and nobody wants spans.
    pub fn of(header: Option<&[u8]>, traces: Option<&Traces>) -> Option<Arc<Self>> {
        let parent = header.and_then(TraceParent::parse);
        let is_of_use = parent.is_some() || traces.is_some();
        let trace = || RequestTrace { parent, span: OnceLock::new(), service: OnceLock::new() };
        is_of_use.then(|| Arc::new(trace()))
    }

    /// Answers the request for this trace.
    pub async fn scope<F: Future>(trace: Option<Arc<Self>>, answer: F) -> F::Output {
        CURRENT.scope(trace, answer).await
    }

    /// The header of what a service writes for the request that is answered in this task.
    pub fn header_of_current(service: &'static str, traces: Option<&Traces>) -> Option<Bytes> {
        CURRENT.try_with(|trace| trace.as_ref()?.header(service, traces)).ok().flatten()
    }

    fn header(&self, service: &'static str, traces: Option<&Traces>) -> Option<Bytes> {
        let _ = self.service.set(service);
        let own = match traces {
            Some(traces) if self.is_recorded() => Some(self.span(traces)),
            _ => self.parent,
        };
        // What is not recorded has no need of a header, unless the client wants it on its way.
        own.filter(|own| own.is_sampled() || self.parent.is_some()).map(TraceParent::to_header)
    }

    fn is_recorded(&self) -> bool {
        self.parent.is_none_or(|parent| parent.is_sampled())
    }

    /// The span of the request, from now on.
    fn span(&self, traces: &Traces) -> TraceParent {
        *self.span.get_or_init(|| traces.new_span(self.parent))
    }

    /// The id of the trace, where there is one.
    pub fn trace_id(&self) -> Option<u128> {
        self.span.get().or(self.parent.as_ref()).map(|known| known.trace_id)
    }

    /// The client's span and the request's own, once it is answered: `None` where it is not
    /// recorded. One that has written nothing is recorded for a client that asks for it.
    pub fn end(&self, traces: &Traces) -> Option<(Option<TraceParent>, TraceParent)> {
        if self.parent.is_some_and(|parent| parent.is_sampled()) {
            self.span(traces);
        }
        let span = self.span.get().copied().filter(TraceParent::is_sampled)?;
        Some((self.parent, span))
    }

    /// The service that has written something for it.
    pub fn service(&self) -> Option<&'static str> {
        self.service.get().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const NOT_RECORDED: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

    /// What a service writes as the header of a record for a request with this header, and what is
    /// told of the request then.
    async fn write(
        header: Option<&[u8]>,
        traces: Option<&Traces>,
    ) -> (Option<Bytes>, Option<(Option<TraceParent>, TraceParent)>) {
        let trace = RequestTrace::of(header, traces);
        let write = async { RequestTrace::header_of_current("counter", traces) };
        let written = RequestTrace::scope(trace.clone(), write).await;
        (written, trace.zip(traces).and_then(|(trace, traces)| trace.end(traces)))
    }

    #[tokio::test]
    async fn where_nobody_wants_spans_the_trace_of_the_client_is_handed_on_as_it_is() {
        for header in [RECORDED, NOT_RECORDED] {
            assert_eq!(write(Some(header), None).await, (Some(Bytes::from_static(header)), None));
        }
        assert_eq!(write(None, None).await, (None, None));
        assert!(RequestTrace::of(None, None).is_none());
        assert!(RequestTrace::of(Some(b"00-1-1-01"), None).is_none());
    }

    #[tokio::test]
    async fn the_record_of_a_request_names_the_span_of_the_request() {
        let (traces, _spans) = Traces::new(1.0, 1);
        let client = TraceParent::parse(RECORDED).unwrap();

        let (written, told) = write(Some(RECORDED), Some(&traces)).await;
        let (parent, span) = told.unwrap();
        assert_eq!((parent, span.trace_id), (Some(client), client.trace_id));
        assert_eq!(written, Some(span.to_header()));

        let (written, told) = write(None, Some(&traces)).await;
        let (parent, span) = told.unwrap();
        assert_eq!((parent, written), (None, Some(span.to_header())));
    }

    #[tokio::test]
    async fn a_trace_that_is_not_recorded_is_told_to_nobody() {
        let (traces, _spans) = Traces::new(1.0, 1);
        let as_it_is = Some(Bytes::from_static(NOT_RECORDED));
        assert_eq!(write(Some(NOT_RECORDED), Some(&traces)).await, (as_it_is, None));

        let (traces, _spans) = Traces::new(0.0, 1);
        assert_eq!(write(None, Some(&traces)).await, (None, None));
    }

    #[tokio::test]
    async fn a_request_that_writes_nothing_is_told_to_a_client_that_has_it_recorded() {
        let (traces, _spans) = Traces::new(1.0, 1);
        let end = |header| RequestTrace::of(header, Some(&traces)).unwrap().end(&traces);

        assert!(end(Some(RECORDED)).is_some());
        assert_eq!(end(Some(NOT_RECORDED)), None);
        assert_eq!(end(None), None);
    }
}
