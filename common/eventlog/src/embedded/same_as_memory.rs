//! A log on disk is the same log as one in memory, whatever it has moved where.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use proptest::prelude::*;
use streams::{
    CommitBatch, CommitOutcome, Headers, KeyRange, Offset, Partition, ProducedRecord, StateReader,
    StoreChange, StoreName, TaskCommit, Timestamp, TopicName, TopicPartition,
};

use super::EmbeddedLog;
use super::power::{Faults, PoweredFile, Random, Supply};
use crate::log::{Log, Membership, Retention, Session, TopicConfig};
use crate::memory::{MemoryLog, MemorySession};

const PARTITIONS: u32 = 2;
const ORDERS: TopicName = TopicName::new("orders");
const LINES: TopicName = TopicName::new("lines");
const LEVELS: TopicName = TopicName::new("levels");
const TOPICS: [TopicName; 3] = [ORDERS, LINES, LEVELS];
/// So many that there are some in most of the slots that take turns.
const STORES: [StoreName; 6] = [
    StoreName::new("stock"),
    StoreName::new("reserved"),
    StoreName::new("orders"),
    StoreName::new("open-orders"),
    StoreName::new("spending"),
    StoreName::new("accounts"),
];
const GROUPS: [&str; 2] = ["inventory", "orders"];

fn topics() -> Vec<TopicConfig> {
    let retentions =
        [Retention::Forever, Retention::UntilConsumed { by: &GROUPS }, Retention::Compacted];
    let both = TOPICS.into_iter().zip(retentions);
    both.map(|(name, retention)| TopicConfig { name, retention }).collect()
}

fn open(files: &Arc<Mutex<Supply>>) -> EmbeddedLog {
    let files = (PoweredFile::new(files, 0), PoweredFile::new(files, 1));
    EmbeddedLog::open_on(files, (topics(), PARTITIONS), usize::MAX).unwrap()
}

/// What happens to the two logs.
#[derive(Clone, Debug)]
enum Step {
    /// A session of the group commits.
    Commit { group: usize, task: Task },
    /// The log on disk makes a checkpoint.
    Checkpoint,
    /// It is closed and opened again.
    Restart,
    /// A session reads from a position, as a share of what there is, in hundredths.
    Fetch { topic: usize, partition: u32, from: u64, records_max: usize },
    /// A session reads a key.
    Get { group: usize, partition: u32, store: usize, key: u8 },
    /// A session reads a range of keys.
    Range { group: usize, partition: u32, store: usize, keys: (u8, u8), limit: usize },
}

/// A commit of one task.
#[derive(Clone, Debug)]
struct Task {
    partition: u32,
    /// Topic, key and size of each record.
    outputs: Vec<(usize, u8, usize)>,
    /// Store, key and value, 0 for deleted, of each change.
    changes: Vec<(usize, u8, u8)>,
    /// How far the group has consumed its lines, in hundredths of those there are.
    consumed: u64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let partition = 0..PARTITIONS;
    let task = (
        partition.clone(),
        prop::collection::vec((0..3_usize, 0..9_u8, 0..9_000_usize), 0..6),
        prop::collection::vec((0..6_usize, 0..20_u8, 0..4_u8), 0..9),
        0..=100_u64,
    );
    let task = task.prop_map(|(partition, outputs, changes, consumed)| Task {
        partition,
        outputs,
        changes,
        consumed,
    });
    let commit = (0..2_usize, task).prop_map(|(group, task)| Step::Commit { group, task });
    let fetch = (0..3_usize, partition.clone(), 0..=100_u64, 1..20_usize);
    let fetch = fetch.prop_map(|(topic, partition, from, records_max)| Step::Fetch {
        topic,
        partition,
        from,
        records_max,
    });
    let get = (0..2_usize, partition.clone(), 0..6_usize, 0..20_u8);
    let get =
        get.prop_map(|(group, partition, store, key)| Step::Get { group, partition, store, key });
    let range = (0..2_usize, partition, 0..6_usize, (0..20_u8, 0..20_u8), 0..9_usize);
    let range = range.prop_map(|(group, partition, store, keys, limit)| Step::Range {
        group,
        partition,
        store,
        keys,
        limit,
    });
    let step = prop_oneof![
        8 => commit,
        3 => Just(Step::Checkpoint),
        1 => Just(Step::Restart),
        2 => fetch,
        2 => get,
        2 => range,
    ];
    prop::collection::vec(step, 1..150)
}

/// A log with a session of each group.
struct Joined<L: Log> {
    log: L,
    sessions: Vec<L::Session>,
}

impl<L: Log> Joined<L> {
    fn new(log: L) -> Self {
        let join = |group: &&'static str| {
            let membership = Membership { group, sources: vec![LINES] };
            log.join(membership, Arc::new(|| ())).unwrap()
        };
        let sessions = GROUPS.iter().map(join).collect();
        Joined { log, sessions }
    }
}

/// The log on disk, which is in memory here too, the one that knows no disk, and how far each
/// group has consumed.
struct Both {
    files: Arc<Mutex<Supply>>,
    disk: Joined<EmbeddedLog>,
    memory: Joined<MemoryLog>,
    number: u64,
}

impl Both {
    fn new() -> Self {
        let files = Supply::new(vec![Vec::new(), Vec::new()], Faults::NONE);
        Both {
            disk: Joined::new(open(&files)),
            files,
            memory: Joined::new(MemoryLog::new(topics(), PARTITIONS)),
            number: 0,
        }
    }

    fn take(mut self, step: &Step) -> Self {
        match step {
            Step::Commit { group, task } => self.commit(*group, task),
            Step::Checkpoint => self.disk.log.checkpoint().unwrap(),
            Step::Restart => return self.restarted(),
            Step::Fetch { topic, partition, from, records_max } => {
                let of = TopicPartition::new(TOPICS[*topic], Partition(*partition));
                self.fetch(of, *from, *records_max);
            }
            Step::Get { group, partition, store, key } => {
                let get = |session: &dyn StateReader| {
                    session.get(Partition(*partition), STORES[*store], &[*key]).unwrap()
                };
                let (disk, memory) = self.sessions(*group);
                assert_eq!(get(disk), get(memory));
            }
            Step::Range { group, partition, store, keys, limit } => {
                let keys = [keys.0, keys.1].map(|key| Bytes::copy_from_slice(&[key]));
                let [from, until] = keys;
                let range = KeyRange { from, until: Some(until) };
                self.compare_ranges(
                    *group,
                    Partition(*partition),
                    STORES[*store],
                    (&range, *limit),
                );
            }
        }
        self
    }

    fn sessions(&mut self, group: usize) -> (&mut super::EmbeddedSession, &mut MemorySession) {
        (&mut self.disk.sessions[group], &mut self.memory.sessions[group])
    }

    fn commit(&mut self, group: usize, task: &Task) {
        self.number += 1;
        let number = self.number;
        let of_lines = TopicPartition::new(LINES, Partition(task.partition));
        let record = |(topic, key, size): &(usize, u8, usize)| {
            let mut headers = Headers::default();
            headers.add("ce_type", Bytes::from(number.to_string()));
            ProducedRecord {
                destination: TopicPartition::new(TOPICS[*topic], Partition(task.partition)),
                timestamp: Timestamp::EPOCH + number,
                key: (*key > 0).then(|| Bytes::copy_from_slice(&[*key])),
                value: (*size > 0).then(|| noise(number, *size)),
                headers,
            }
        };
        let change = |(store, key, value): &(usize, u8, u8)| StoreChange {
            store: STORES[*store],
            key: Bytes::copy_from_slice(&[*key]),
            value: (*value > 0).then(|| Bytes::copy_from_slice(&[*value])),
        };
        let (_, memory) = self.sessions(group);
        let end = memory.ends(&[of_lines]).unwrap()[0].0;
        let before = self.consumed(group, of_lines.partition);
        let tasks = vec![TaskCommit {
            partition: of_lines.partition,
            outputs: task.outputs.iter().map(record).collect(),
            changes: task.changes.iter().map(change).collect(),
            offsets: vec![(LINES, Offset(before.max(end * task.consumed / 100)))],
        }];
        let batch = CommitBatch { tasks };
        let (disk, memory) = self.sessions(group);
        let outcome = disk.commit(batch.clone());
        assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
        assert_eq!(outcome, memory.commit(batch));
    }

    fn consumed(&mut self, group: usize, partition: Partition) -> u64 {
        let (_, memory) = self.sessions(group);
        let positions = memory.positions(&[partition]).unwrap();
        positions[0].committed.first().map_or(0, |(_, offset)| offset.0)
    }

    fn restarted(self) -> Self {
        let Both { files, disk, memory, number } = self;
        drop(disk);
        Both { disk: Joined::new(open(&files)), files, memory, number }
    }

    /// Compares what is read from a position on, as far as it is kept: of a compacted topic the
    /// newest of each key, of a consumed one what a group has still to read.
    fn fetch(&mut self, of: TopicPartition, share: u64, records_max: usize) {
        let (_, memory) = self.sessions(0);
        let end = memory.ends(&[of]).unwrap()[0].0;
        let kept = (0..GROUPS.len()).map(|group| self.consumed(group, of.partition)).min();
        let first = if of.topic == LINES { kept.unwrap_or(0) } else { 0 };
        let from = Offset(first + (end - first) * share / 100);
        let (disk, memory) = self.sessions(0);
        assert_eq!(disk.ends(&[of]).unwrap(), memory.ends(&[of]).unwrap());
        let mut records = read(disk, of, from, records_max);
        let mut expected = read(memory, of, from, usize::MAX);
        if of.topic == LEVELS {
            for records in [&mut records, &mut expected] {
                records.reverse();
                records.sort_by_key(|record| record.key.clone());
                records.dedup_by_key(|record| record.key.clone());
            }
        }
        assert_eq!(records, expected, "{of} from {from}");
    }

    fn compare_ranges(
        &mut self,
        group: usize,
        partition: Partition,
        store: StoreName,
        (range, limit): (&KeyRange, usize),
    ) {
        let (disk, memory) = self.sessions(group);
        let expected = memory.range(partition, store, range, limit).unwrap();
        assert_eq!(disk.range(partition, store, range, limit).unwrap(), expected);
    }

    fn compare_all(&mut self) {
        for partition in [Partition(0), Partition(1)] {
            for topic in TOPICS {
                self.fetch(TopicPartition::new(topic, partition), 0, 7);
            }
            for group in 0..GROUPS.len() {
                for store in STORES {
                    self.compare_ranges(group, partition, store, (&KeyRange::all(), usize::MAX));
                }
                let (disk, memory) = self.sessions(group);
                let expected = memory.positions(&[partition]).unwrap();
                assert_eq!(disk.positions(&[partition]).unwrap(), expected);
            }
        }
    }
}

/// Bytes that cannot be packed, so that there are many blocks.
fn noise(seed: u64, size: usize) -> Bytes {
    let mut random = Random(seed);
    (0..size.div_ceil(8)).flat_map(|_| random.next().to_le_bytes()).collect()
}

/// All records from a position on, some at a time.
fn read(
    session: &mut impl Session,
    of: TopicPartition,
    from: Offset,
    records_max: usize,
) -> Vec<streams::ConsumedRecord> {
    let mut records = Vec::new();
    let mut positions = vec![(of, from)];
    loop {
        let fetched = session.fetch(&positions, records_max).unwrap();
        if fetched.records.is_empty() {
            return records;
        }
        positions = fetched.positions;
        records.extend(fetched.records);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_log_on_disk_reads_like_one_in_memory(steps in steps()) {
        let mut both = steps.iter().fold(Both::new(), Both::take);
        both.compare_all();
        let mut both = both.restarted();
        both.compare_all();
    }
}
