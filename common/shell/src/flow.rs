//! How many records a service reads and writes, by topic, and in which commits.

use std::sync::{Mutex, OnceLock, PoisonError};

use streams::TopicName;
use traces::Traces;

use crate::commits::Commits;
use crate::health::Report;
use crate::metrics::{Sample, Value};

/// Records of one service so far, its workers and its routes together, and its workers' commits.
pub(crate) struct Flow {
    service: &'static str,
    read: Counts,
    written: Counts,
    commits: Commits,
    /// Where spans are wanted.
    traces: OnceLock<Traces>,
}

/// Records by topic. A service has a handful of topics, so that looking through them all costs less
/// than finding one in a map; a batch takes the lock once.
#[derive(Debug, Default)]
struct Counts(Mutex<Vec<(TopicName, u64)>>);

impl Flow {
    pub(crate) fn new(service: &'static str) -> Self {
        Flow {
            service,
            read: Counts::default(),
            written: Counts::default(),
            commits: Commits::default(),
            traces: OnceLock::new(),
        }
    }

    pub(crate) const fn service(&self) -> &'static str {
        self.service
    }

    /// From now on spans are wanted here. They are wanted in one place, the first that says so.
    pub(crate) fn trace(&self, traces: Traces) {
        let _ = self.traces.set(traces);
    }

    pub(crate) fn traces(&self) -> Option<&Traces> {
        self.traces.get()
    }

    /// Counts what a fetch brought. A record that is fetched again, after a commit that did not
    /// hold, is counted again: it is work done.
    pub(crate) fn read(&self, topics: impl Iterator<Item = TopicName>) {
        self.read.add(topics.map(|topic| (topic, 1)));
    }

    /// Counts what is committed, and nothing else.
    pub(crate) fn written(&self, records: impl IntoIterator<Item = (TopicName, u64)>) {
        self.written.add(records.into_iter());
    }

    pub(crate) const fn commits(&self) -> &Commits {
        &self.commits
    }
}

impl Counts {
    fn add(&self, records: impl Iterator<Item = (TopicName, u64)>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (topic, more) in records {
            add(&mut counts, topic, more);
        }
    }

    fn get(&self) -> Vec<(TopicName, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn add(counts: &mut Vec<(TopicName, u64)>, topic: TopicName, more: u64) {
    match counts.iter_mut().find(|(counted, _)| *counted == topic) {
        Some((_, count)) => *count += more,
        None => counts.push((topic, more)),
    }
}

/// How many there are of each topic.
pub(crate) fn by_topic(topics: impl Iterator<Item = TopicName>) -> Vec<(TopicName, u64)> {
    let mut counts = Vec::new();
    for topic in topics {
        add(&mut counts, topic, 1);
    }
    counts
}

impl Report for Flow {
    fn samples(&self) -> Vec<Sample> {
        let sample = |name, help, (topic, count): (TopicName, u64)| {
            let sample = Sample::new(name, help, Value::Counter(count));
            sample.with("service", self.service).with("topic", topic.as_str())
        };
        let read = self.read.get().into_iter().map(|count| {
            sample("streams_records_read_total", "Records that the service fetched.", count)
        });
        let written = self.written.get().into_iter().map(|count| {
            sample("streams_records_written_total", "Records that the service committed.", count)
        });
        read.chain(written).chain(self.commits.samples(self.service)).collect()
    }
}
