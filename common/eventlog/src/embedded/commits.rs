//! How commits lie in the journal: what they are made of, and behind it the records, which are
//! encoded already.

use std::collections::BTreeMap;

use bytes::Bytes;
use streams::{Offset, StoreChange, StoreName, TopicName, TopicPartition};

use crate::encoding::{Malformed, Reader, write_bytes, write_number, write_optional};
use crate::log::TopicConfig;
use crate::prepared::{Prepared, PreparedTask};

/// The kinds of commit, as their first byte.
const APPEND: u8 = 0;
const BATCH: u8 = 1;

/// The bytes of a commit, in the pieces they are in.
#[derive(Debug)]
pub(crate) struct CommitBytes {
    frame: Vec<u8>,
    records: Vec<Bytes>,
}

impl CommitBytes {
    pub(crate) fn new(commit: &Prepared) -> Self {
        let mut frame = Vec::with_capacity(frame_bytes(commit));
        match commit.group {
            None => frame.push(APPEND),
            Some(group) => {
                frame.push(BATCH);
                write_bytes(&mut frame, group.as_bytes());
            }
        }
        write_number(&mut frame, commit.tasks.len() as u64);
        commit.tasks.iter().for_each(|task| write_task(&mut frame, task));
        let outputs = commit.tasks.iter().flat_map(|task| &task.outputs);
        CommitBytes { frame, records: outputs.map(|(_, record)| record.clone()).collect() }
    }

    pub(crate) fn len(&self) -> usize {
        self.frame.len() + self.records.iter().map(Bytes::len).sum::<usize>()
    }

    /// The pieces, in order.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(self.frame.as_slice()).chain(self.records.iter().map(Bytes::as_ref))
    }
}

/// About how long the frame of a commit is.
fn frame_bytes(commit: &Prepared) -> usize {
    const PLACE_BYTES: usize = 32;
    let of_task = |task: &PreparedTask| {
        let changes = task.changes.iter().map(|change| {
            PLACE_BYTES + change.key.len() + change.value.as_ref().map_or(0, Bytes::len)
        });
        (task.outputs.len() + task.offsets.len() + 1) * PLACE_BYTES + changes.sum::<usize>()
    };
    PLACE_BYTES + commit.tasks.iter().map(of_task).sum::<usize>()
}

fn write_task(frame: &mut Vec<u8>, task: &PreparedTask) {
    write_number(frame, u64::from(task.partition.0));
    write_number(frame, task.outputs.len() as u64);
    for (destination, record) in &task.outputs {
        write_bytes(frame, destination.topic.as_str().as_bytes());
        write_number(frame, u64::from(destination.partition.0));
        write_number(frame, record.len() as u64);
    }
    write_number(frame, task.changes.len() as u64);
    for change in &task.changes {
        write_bytes(frame, change.store.as_str().as_bytes());
        write_bytes(frame, &change.key);
        write_optional(frame, change.value.as_ref());
    }
    write_number(frame, task.offsets.len() as u64);
    for (topic, offset) in &task.offsets {
        write_bytes(frame, topic.as_str().as_bytes());
        write_number(frame, offset.0);
    }
}

/// The commit of these bytes.
pub(crate) fn read_commit(bytes: &[u8], names: &mut Names) -> Result<Prepared, Malformed> {
    let mut from = Reader(bytes);
    let group = match from.byte()? {
        APPEND => None,
        BATCH => Some(names.kept(from.text()?)),
        kind => return Err(Malformed(format!("{kind} is no kind of commit"))),
    };
    let mut lengths = Vec::new();
    let mut tasks = from.many(|from| read_task(from, names, &mut lengths))?;
    let outputs = tasks.iter_mut().flat_map(|task| &mut task.outputs);
    for ((_, record), length) in outputs.zip(lengths) {
        // A copy of its own: who keeps a record keeps no more than the record.
        *record = Bytes::copy_from_slice(from.take(length)?);
    }
    from.finished()?;
    Ok(Prepared { group, tasks })
}

/// A task, with the lengths of its records, which come later.
fn read_task(
    from: &mut Reader<'_>,
    names: &mut Names,
    lengths: &mut Vec<usize>,
) -> Result<PreparedTask, Malformed> {
    let partition = from.partition()?;
    let outputs = from.many(|from| {
        let topic = names.topic(from.text()?)?;
        let destination = TopicPartition::new(topic, from.partition()?);
        lengths.push(from.count()?);
        Ok((destination, Bytes::new()))
    })?;
    let changes = from.many(|from| {
        Ok(StoreChange {
            store: StoreName::new(names.kept(from.text()?)),
            key: Bytes::copy_from_slice(from.bytes()?),
            value: from.optional()?.map(Bytes::copy_from_slice),
        })
    })?;
    let offsets = from.many(|from| Ok((names.topic(from.text()?)?, Offset(from.number()?))))?;
    Ok(PreparedTask { partition, outputs, changes, offsets })
}

/// The names that commits on disk speak of. Those of groups and stores are kept for the life of
/// the process; there are as many as the topologies have.
#[derive(Debug)]
pub(crate) struct Names {
    topics: BTreeMap<&'static str, TopicName>,
    kept: BTreeMap<String, &'static str>,
}

impl Names {
    pub(crate) fn new(topics: &[TopicConfig]) -> Self {
        let topics = topics.iter().map(|topic| (topic.name.as_str(), topic.name)).collect();
        Names { topics, kept: BTreeMap::new() }
    }

    pub(crate) fn topic(&self, name: &str) -> Result<TopicName, Malformed> {
        let topic = self.topics.get(name).copied();
        topic.ok_or_else(|| Malformed(format!("it has a topic {name:?} that is not configured")))
    }

    pub(crate) fn kept(&mut self, name: &str) -> &'static str {
        if let Some(kept) = self.kept.get(name) {
            return kept;
        }
        let kept: &'static str = Box::leak(name.to_owned().into_boxed_str());
        self.kept.insert(name.to_owned(), kept);
        kept
    }
}
