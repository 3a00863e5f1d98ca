//! What is told of: everything that was done and is certain.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use streams::{
    CommitBatch, ConsumedRecord, Offset, ProducedRecord, TopicName, TopicPartition, TraceParent,
    cloud_event,
};

/// Something that was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The service that did it.
    pub service: &'static str,
    /// When it began.
    pub began: SystemTime,
    /// When it was done.
    pub ended: SystemTime,
    /// What it was.
    pub deed: Deed,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A request of a client was answered.
    Request(Request),
    /// Records were processed and what came of them was committed, as one transaction.
    Commit(Commit),
    /// One of those records was processed.
    Processing {
        /// The record.
        processing: Processing,
        /// The span of the commit.
        commit: TraceParent,
    },
}

/// A request that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The client's span, where it says one.
    pub parent: Option<TraceParent>,
    /// The span of the request.
    pub span: TraceParent,
    /// Its method.
    pub method: String,
    /// The pattern that its path matched.
    pub route: String,
    /// Its path.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
    /// The id of what it was about.
    pub id: Option<String>,
}

/// A commit that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its span, the only one of its trace.
    pub span: TraceParent,
    /// How many records were processed for it, of whatever trace or none.
    pub records: u64,
    /// How many records it has written.
    pub outputs: u64,
}

/// A record of a recorded trace that was processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processing {
    /// The span that the record was written in.
    pub parent: TraceParent,
    /// The span of what was done for it, as the records say that were made of it.
    pub span: TraceParent,
    /// Where the record was read.
    pub source: TopicPartition,
    /// Its offset there.
    pub offset: Offset,
    /// What was made of it, in order: topics and types of events.
    pub outputs: Vec<(TopicName, Option<Bytes>)>,
}

/// What a service has done for those of the records taken for a commit that belong to recorded
/// traces.
pub fn processed<'a>(
    service: &str,
    taken: impl Iterator<Item = &'a ConsumedRecord>,
    commit: &CommitBatch,
) -> Vec<Processing> {
    let mut processed: Vec<Processing> =
        taken.filter_map(|record| processing(service, record)).collect();
    if processed.is_empty() {
        return processed;
    }
    let mut outputs = by_span(commit);
    for Processing { span, outputs: of_span, .. } in &mut processed {
        *of_span = outputs.remove(&span.to_header()).unwrap_or_default();
    }
    processed
}

fn processing(service: &str, record: &ConsumedRecord) -> Option<Processing> {
    let parent = TraceParent::parse(record.headers.get(cloud_event::TRACE_PARENT)?)?;
    let span = parent.processing(service, record);
    let (source, offset, outputs) = (record.source, record.offset, Vec::new());
    parent.is_sampled().then_some(Processing { parent, span, source, offset, outputs })
}

/// What a commit writes, by the span that it says it was made in.
fn by_span(commit: &CommitBatch) -> BTreeMap<&Bytes, Vec<(TopicName, Option<Bytes>)>> {
    let mut outputs: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let written = commit.tasks.iter().flat_map(|task| &task.outputs);
    for ProducedRecord { destination, headers, .. } in written {
        if let Some(span) = headers.get(cloud_event::TRACE_PARENT) {
            let output = (destination.topic, headers.get(cloud_event::TYPE).cloned());
            outputs.entry(span).or_default().push(output);
        }
    }
    outputs
}

#[cfg(test)]
mod tests {
    use streams::{Headers, Partition, TaskCommit, Timestamp};

    use super::*;

    const RECORDED: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const NOT_RECORDED: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    const REQUESTS: TopicPartition = TopicPartition::new(TopicName::new("requests"), Partition(2));
    const EVENTS: TopicPartition = TopicPartition::new(TopicName::new("events"), Partition(0));

    fn headers(trace_parent: Option<&[u8]>) -> Headers {
        let mut headers = Headers::default();
        headers.add(cloud_event::TYPE, "Happened");
        if let Some(header) = trace_parent {
            headers.add(cloud_event::TRACE_PARENT, Bytes::copy_from_slice(header));
        }
        headers
    }

    fn taken(offset: u64, trace_parent: Option<&[u8]>) -> ConsumedRecord {
        ConsumedRecord {
            source: REQUESTS,
            offset: Offset(offset),
            timestamp: Timestamp::EPOCH,
            key: None,
            value: None,
            headers: headers(trace_parent),
        }
    }

    fn written(trace_parent: Option<&[u8]>) -> ProducedRecord {
        ProducedRecord {
            destination: EVENTS,
            timestamp: Timestamp::EPOCH,
            key: None,
            value: None,
            headers: headers(trace_parent),
        }
    }

    fn commit(outputs: Vec<ProducedRecord>) -> CommitBatch {
        let (changes, offsets) = (Vec::new(), Vec::new());
        let partition = Partition(2);
        CommitBatch { tasks: vec![TaskCommit { partition, outputs, changes, offsets }] }
    }

    #[test]
    fn each_record_of_a_recorded_trace_is_told_with_what_was_made_of_it() {
        let records = [taken(7, Some(RECORDED)), taken(8, None), taken(9, Some(RECORDED))];
        let parent = TraceParent::parse(RECORDED).unwrap();
        let spans = [0, 2].map(|number| parent.processing("counter", &records[number]));
        let header = spans[1].to_header();
        let commit = commit(vec![written(None), written(Some(&header)), written(Some(&header))]);

        let processed = processed("counter", records.iter(), &commit);

        let output = || (EVENTS.topic, Some(Bytes::from_static(b"Happened")));
        let told = |offset, span, outputs| {
            let (source, offset) = (REQUESTS, Offset(offset));
            Processing { parent, span, source, offset, outputs }
        };
        assert_eq!(
            processed,
            [told(7, spans[0], vec![]), told(9, spans[1], vec![output(), output()])]
        );
    }

    #[test]
    fn a_record_of_no_trace_or_of_one_that_is_not_recorded_is_not_told() {
        for header in [None, Some(NOT_RECORDED), Some(&b"00-1-1-01"[..])] {
            let records = [taken(7, header)];
            assert_eq!(processed("counter", records.iter(), &commit(vec![])), [], "{header:?}");
        }
    }
}
