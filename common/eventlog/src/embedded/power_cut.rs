//! What is on disk after a power cut: a whole number of commits, at least those that were reported
//! durable.
//!
//! A log runs on two files with one power supply. The supply is cut at a random operation of
//! either; the log is opened again on what the cut has left, and compared with a log in memory
//! that has made as many commits. Then it goes on, up to the next cut.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use streams::{
    CommitBatch, CommitOutcome, CommitPosition, ConsumedRecord, Headers, KeyRange, Offset,
    Partition, ProducedRecord, StateReader, StoreChange, StoreName, TaskCommit, Timestamp,
    TopicName, TopicPartition,
};

use super::EmbeddedLog;
use super::power::{Cut, Faults, PoweredFile, Random, Supply};
use crate::contract::block_on;
use crate::error::Error;
use crate::log::{Log, Membership, RequestLog, Retention, Session, TopicConfig};
use crate::memory::MemoryLog;

const PARTITIONS: u32 = 2;
const ORDERS: TopicName = TopicName::new("orders");
const LINES: TopicName = TopicName::new("lines");
const LEVELS: TopicName = TopicName::new("levels");
const GROUP: &str = "group";
/// So many that there are some in most of the slots that take turns.
const STORES: [StoreName; 8] = [
    StoreName::new("a"),
    StoreName::new("b"),
    StoreName::new("c"),
    StoreName::new("d"),
    StoreName::new("e"),
    StoreName::new("f"),
    StoreName::new("g"),
    StoreName::new("h"),
];
/// Where a test run keeps the number of the last commit.
const LAST: &[u8] = b"last";

/// So small that a few commits make a checkpoint.
const CHECKPOINT_BYTES: usize = 10_000;
/// After this many operations the power goes at the latest.
const OPERATIONS_MAX: usize = 400;
const CUTS_EACH: usize = 3;
/// A log that has made so many commits does not fail any more.
const COMMITS_MAX: u64 = 20_000;

fn topics() -> Vec<TopicConfig> {
    vec![
        TopicConfig { name: ORDERS, retention: Retention::Forever },
        TopicConfig { name: LINES, retention: Retention::UntilConsumed { by: &[GROUP] } },
        TopicConfig { name: LEVELS, retention: Retention::Compacted },
    ]
}

fn membership() -> Membership {
    Membership { group: GROUP, sources: vec![ORDERS, LINES] }
}

fn open(supply: &Arc<Mutex<Supply>>) -> Result<EmbeddedLog, Error> {
    let files = (PoweredFile::new(supply, 0), PoweredFile::new(supply, 1));
    EmbeddedLog::open_on(files, (topics(), PARTITIONS), CHECKPOINT_BYTES)
}

/// The commit of a number: always the same one, and large ones among them.
fn commit(number: u64) -> CommitBatch {
    let partition = Partition((number % 2) as u32);
    let record = |topic, key: u64, value_bytes: usize| ProducedRecord {
        destination: TopicPartition::new(topic, partition),
        timestamp: Timestamp::EPOCH + number,
        key: Some(Bytes::from(format!("key-{key}"))),
        value: Some(Bytes::from(format!("{number} ").repeat(value_bytes / 4))),
        headers: Headers::default(),
    };
    let change = |store, key: Bytes, value: String| StoreChange {
        store,
        key,
        value: Some(Bytes::from(value)),
    };
    let store = STORES[number as usize % STORES.len()];
    let size = Random(number).below(3_000);
    let deleted = StoreChange {
        value: None,
        ..change(store, Bytes::from(format!("key-{}", number.wrapping_sub(8))), String::new())
    };
    let tasks = vec![
        TaskCommit {
            partition,
            outputs: vec![
                record(ORDERS, number, size),
                record(LINES, number, 100),
                record(LEVELS, number % 5, 100),
                record(ORDERS, number, 10),
            ],
            changes: vec![
                change(store, Bytes::from(format!("key-{number}")), number.to_string()),
                deleted,
            ],
            offsets: vec![(LINES, Offset(number / 4))],
        },
        TaskCommit {
            partition: Partition(0),
            outputs: Vec::new(),
            changes: vec![change(STORES[0], Bytes::from_static(LAST), number.to_string())],
            offsets: Vec::new(),
        },
    ];
    CommitBatch { tasks }
}

/// Commits, one number after the other, until the log fails. Returns the number of the last commit
/// that was reported durable.
fn commit_until_it_fails(log: &EmbeddedLog, first: u64, random: &mut Random) -> u64 {
    let mut session = log.join(membership(), Arc::new(|| ())).unwrap();
    let durable = Arc::new(AtomicU64::new(first - 1));
    for number in first.. {
        assert!(number < COMMITS_MAX, "the log goes on without its files");
        let CommitOutcome::Committed { position, .. } = session.commit(commit(number)) else {
            break;
        };
        assert_eq!(position.0, number, "commits are numbered without a gap");
        let reported = Arc::clone(&durable);
        let then = move |result: Result<(), Error>| {
            if result.is_ok() {
                reported.fetch_max(number, Ordering::SeqCst);
            }
        };
        session.when_durable(position, Box::new(then));
        if random.below(4) == 0 && block_on(log.durable(position)).is_err() {
            break;
        }
    }
    durable.load(Ordering::SeqCst)
}

/// All that can be read of a log.
#[derive(Debug, PartialEq)]
struct Content {
    records: Vec<ConsumedRecord>,
    newest_levels: Vec<ConsumedRecord>,
    entries: Vec<(Bytes, Bytes)>,
    offsets: Vec<(TopicName, Offset)>,
    ends: Vec<Offset>,
}

fn content(log: &impl Log) -> Content {
    let mut session = log.join(membership(), Arc::new(|| ())).unwrap();
    let partitions = [Partition(0), Partition(1)];
    let of = |topic| partitions.map(|partition| TopicPartition::new(topic, partition));
    let mut content = Content {
        records: Vec::new(),
        newest_levels: Vec::new(),
        entries: Vec::new(),
        offsets: Vec::new(),
        ends: session.ends(&[of(ORDERS), of(LINES), of(LEVELS)].concat()).unwrap(),
    };
    for (partition, positions) in partitions.iter().zip(session.positions(&partitions).unwrap()) {
        for store in STORES {
            let entries = session.range(*partition, store, &KeyRange::all(), usize::MAX).unwrap();
            content.entries.extend(entries);
        }
        let read = |session: &mut _, topic, from| {
            records(session, TopicPartition::new(topic, *partition), from)
        };
        content.records.extend(read(&mut session, ORDERS, Offset(0)));
        let consumed = positions.committed.first().map_or(Offset(0), |(_, offset)| *offset);
        content.records.extend(read(&mut session, LINES, consumed));
        let mut levels = read(&mut session, LEVELS, Offset(0));
        levels.reverse();
        levels.sort_by_key(|record| record.key.clone());
        levels.dedup_by_key(|record| record.key.clone());
        content.newest_levels.extend(levels);
        content.offsets.extend(positions.committed);
    }
    content
}

fn records(session: &mut impl Session, of: TopicPartition, from: Offset) -> Vec<ConsumedRecord> {
    let mut records = Vec::new();
    let mut positions = vec![(of, from)];
    loop {
        let fetched = session.fetch(&positions, 50).unwrap();
        if fetched.records.is_empty() {
            return records;
        }
        positions = fetched.positions;
        records.extend(fetched.records);
    }
}

/// The number of the last commit in a log.
fn last_commit(log: &EmbeddedLog) -> u64 {
    let session = log.join(membership(), Arc::new(|| ())).unwrap();
    let last = session.get(Partition(0), STORES[0], LAST).unwrap();
    last.map_or(0, |last| String::from_utf8_lossy(&last).parse().unwrap())
}

/// A log in memory that has made all commits up to a number.
fn model(last: u64) -> MemoryLog {
    let log = MemoryLog::new(topics(), PARTITIONS);
    let mut session = log.join(membership(), Arc::new(|| ())).unwrap();
    for number in 1..=last {
        session.commit(commit(number));
    }
    log
}

/// What was wrong after a cut.
type Damage = String;

/// Runs a log from cut to cut. `Ok` where each left a whole number of commits, and all those that
/// were reported durable.
fn survive_cuts(seed: u64, syncs_do_nothing: bool) -> Result<Vec<Cut>, Damage> {
    let mut random = Random(seed);
    let mut disks = new_disks();
    let mut last = 0;
    let mut cuts = Vec::new();
    for _ in 0..CUTS_EACH {
        let cut_after = 1 + random.below(OPERATIONS_MAX) as u64;
        let faults = Faults { cut_after, syncs_do_nothing, ..Faults::NONE };
        let supply = Supply::new(disks, faults);
        // The power may go while the log is being opened.
        let durable = match open(&supply) {
            Ok(log) => commit_until_it_fails(&log, last + 1, &mut random),
            Err(_) => last,
        };
        let (cut, left) = supply.lock().unwrap().after_the_cut(&mut random);
        disks = left;
        cuts.push(cut);
        last = check(&disks, durable).map_err(|damage| format!("after {cuts:?}: {damage}"))?;
    }
    Ok(cuts)
}

/// Two files as they are after the log was opened for the first time.
fn new_disks() -> Vec<Vec<u8>> {
    let supply = Supply::new(vec![Vec::new(), Vec::new()], Faults::NONE);
    drop(open(&supply).unwrap());
    supply.lock().unwrap().contents()
}

/// Opens what is on the disks, and says how many commits it is.
fn check(disks: &[Vec<u8>], durable: u64) -> Result<u64, Damage> {
    let supply = Supply::new(disks.to_vec(), Faults::NONE);
    let log = open(&supply).map_err(|error| format!("it does not open: {error}"))?;
    let last = last_commit(&log);
    if last < durable {
        return Err(format!("commits {} to {durable} are lost", last + 1));
    }
    if content(&log) != content(&model(last)) {
        return Err(format!("it is not what {last} commits leave"));
    }
    Ok(last)
}

#[test]
fn after_a_power_cut_every_durable_commit_is_there_and_whole() {
    let mut seen = Vec::new();
    for seed in 0..200 {
        match survive_cuts(seed, false) {
            Ok(cuts) => seen.extend(cuts),
            Err(damage) => panic!("seed {seed}, {damage}"),
        }
    }
    for cut in [Cut::Synced, Cut::Prefix, Cut::ZeroedPages, Cut::Pieces] {
        assert!(seen.contains(&cut), "no cut was of the kind {cut:?}");
    }
}

/// The test above is worth something: it sees that syncs are missing.
#[test]
fn a_log_whose_syncs_do_nothing_is_found_out() {
    let found = (0..40).filter(|seed| survive_cuts(*seed, true).is_err()).count();
    assert!(found >= 38, "only {found} of 40 were found out");
}

/// After a sync that failed, another one could succeed with the data gone.
#[test]
fn after_a_failed_sync_nothing_is_reported_durable_any_more() {
    // Early on the journal is what is synced; among so many there are syncs of the store.
    for failing_sync in 1..60 {
        let faults = Faults { failing_sync: Some(failing_sync), ..Faults::NONE };
        let supply = Supply::new(new_disks(), faults);
        // A sync of the opening can be the one that fails.
        let Ok(log) = open(&supply) else { continue };
        commit_until_it_fails(&log, 1, &mut Random(failing_sync));
        let durable = log.shared().lock().core.durable().0;

        let failure = log.health().unwrap_err();
        assert!(failure.to_string().contains("the disk gave up"), "{failure}");
        let of = TopicPartition::new(ORDERS, Partition(0));
        let request = commit(1).tasks[0].outputs[0].clone();
        assert_eq!(block_on(log.append(request)), Err(failure.clone()));
        assert_eq!(block_on(log.durable(CommitPosition(u64::MAX))), Err(failure.clone()));
        let shown = block_on(log.read(of, Offset(0), usize::MAX)).unwrap_or_default();
        let last = shown.last().map_or(0, |record| record.timestamp.as_millis());
        assert!(last.unsigned_abs() <= durable, "{last} is shown, {durable} is durable");

        let (_, left) = supply.lock().unwrap().after_the_cut(&mut Random(failing_sync));
        drop(log);
        check(&left, durable).unwrap();
    }
}
