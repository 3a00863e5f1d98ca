//! The embedded log keeps the contract, and says clearly why it cannot be opened.

use std::fs;
use std::sync::Mutex;

use bytes::Bytes;
use streams::{Headers, Partition, Timestamp, TopicName};
use tempfile::TempDir;

use super::*;
use crate::contract::{LogFactory, block_on};
use crate::log::Retention;

const PARTITIONS: u32 = 2;
const REQUESTS: TopicName = TopicName::new("requests");

/// Logs in directories of their own.
#[derive(Default)]
struct OnDisk {
    directories: Mutex<Vec<TempDir>>,
}

impl LogFactory for OnDisk {
    type Log = EmbeddedLog;

    fn make(&self, topics: Vec<TopicConfig>, partitions: u32) -> EmbeddedLog {
        let directory = TempDir::new().unwrap();
        let log = EmbeddedLog::open(directory.path(), topics, partitions).unwrap();
        self.directories.lock().unwrap().push(directory);
        log
    }

    fn restart(&self, log: EmbeddedLog) -> Option<EmbeddedLog> {
        let directory = log.shared().directory.clone();
        let topics = log.shared().topics.clone();
        let partitions = log.partitions();
        drop(log);
        Some(EmbeddedLog::open(&directory, topics, partitions).unwrap())
    }

    fn housekeeping(&self, log: &EmbeddedLog) {
        log.checkpoint().unwrap();
    }
}

crate::contract_tests!(OnDisk::default());

fn topics() -> Vec<TopicConfig> {
    vec![TopicConfig { name: REQUESTS, retention: Retention::Forever }]
}

fn open(directory: &Path) -> Result<EmbeddedLog, Error> {
    EmbeddedLog::open(directory, topics(), PARTITIONS)
}

fn request(text: &str) -> ProducedRecord {
    ProducedRecord {
        destination: TopicPartition::new(REQUESTS, Partition(0)),
        timestamp: Timestamp::EPOCH,
        key: None,
        value: Some(Bytes::copy_from_slice(text.as_bytes())),
        headers: Headers::default(),
    }
}

/// A directory with a closed log that holds one request, in the store where `checkpoint` says so,
/// and else in the journal.
fn directory_with_a_log(checkpoint: bool) -> TempDir {
    let directory = TempDir::new().unwrap();
    let log = open(directory.path()).unwrap();
    let appended = block_on(log.append(request("kept"))).unwrap();
    block_on(log.durable(appended.position)).unwrap();
    if checkpoint {
        log.checkpoint().unwrap();
    }
    directory
}

#[test]
fn a_second_process_is_told_that_the_directory_is_in_use() {
    let directory = TempDir::new().unwrap();
    let _first = open(directory.path()).unwrap();
    let second = open(directory.path()).unwrap_err();
    assert_eq!(second, Error::InUse { path: directory.path().to_owned() });
}

#[test]
fn a_file_in_the_place_of_the_directory_is_an_error() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "not a directory").unwrap();
    let error = open(&path.join("below")).unwrap_err();
    assert!(matches!(error, Error::Directory { .. }), "{error}");
}

#[test]
fn another_number_of_partitions_is_an_error() {
    let directory = directory_with_a_log(false);
    let error = EmbeddedLog::open(directory.path(), topics(), 3).unwrap_err();
    let path = directory.path().to_owned();
    assert_eq!(error, Error::Partitions { path, found: PARTITIONS, wanted: 3 });
}

#[test]
fn a_topic_that_is_not_configured_any_more_is_an_error_that_names_it() {
    for checkpoint in [false, true] {
        let directory = directory_with_a_log(checkpoint);
        let error = EmbeddedLog::open(directory.path(), Vec::new(), PARTITIONS).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains("\"requests\""), "{error}");
    }
}

#[test]
fn a_topic_can_be_added() {
    let directory = directory_with_a_log(true);
    let added = TopicConfig { name: TopicName::new("added"), retention: Retention::Compacted };
    let all = [topics(), vec![added]].concat();
    let log = EmbeddedLog::open(directory.path(), all, PARTITIONS).unwrap();
    let record = ProducedRecord {
        destination: TopicPartition::new(TopicName::new("added"), Partition(1)),
        ..request("new")
    };
    let appended = block_on(log.append(record)).unwrap();
    assert_eq!(appended.offset, Offset(0));
}

#[test]
fn a_lost_journal_is_an_error() {
    let directory = directory_with_a_log(true);
    fs::remove_file(directory.path().join("journal.redb")).unwrap();
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn a_lost_store_is_an_error() {
    let directory = directory_with_a_log(true);
    let log = open(directory.path()).unwrap();
    // The first row of the journal is removed with the second commit after the checkpoint.
    for text in ["second", "third"] {
        let appended = block_on(log.append(request(text))).unwrap();
        block_on(log.durable(appended.position)).unwrap();
        log.checkpoint().unwrap();
    }
    drop(log);
    fs::remove_file(directory.path().join("store.redb")).unwrap();
    let error = open(directory.path()).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains("missing"), "{error}");
}

/// Whatever is damaged, there is an error or the request is there: never a panic, never a log that
/// has silently lost it.
#[test]
fn a_damaged_file_is_an_error_and_never_a_panic() {
    for file in ["journal.redb", "store.redb"] {
        let directory = directory_with_a_log(file == "store.redb");
        let path = directory.path().join(file);
        let whole = fs::read(&path).unwrap();
        let damages = (0..whole.len()).step_by(509);
        let mut errors = 0;
        for at in damages {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            fs::write(&path, damaged).unwrap();
            match open_and_read(directory.path()) {
                Ok(value) => assert_eq!(value, "kept", "{file} with byte {at} changed"),
                Err(Error::Corrupt { .. }) => errors += 1,
                Err(error) => panic!("{file} with byte {at} changed: {error}"),
            }
        }
        for length in (1..whole.len()).step_by(4_099) {
            fs::write(&path, &whole[..length]).unwrap();
            let error = open_and_read(directory.path()).unwrap_err();
            assert!(matches!(error, Error::Corrupt { .. }), "{file} cut to {length}: {error}");
        }
        assert!(errors > 0, "no damage to {file} was noticed");
        fs::write(&path, "not a store").unwrap();
        let error = open(directory.path()).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    }
}

fn open_and_read(directory: &Path) -> Result<String, Error> {
    let log = open(directory)?;
    let of = TopicPartition::new(REQUESTS, Partition(0));
    let records = block_on(log.read(of, Offset(0), 1))?;
    let value = records.into_iter().find_map(|record| record.value).unwrap_or_default();
    Ok(String::from_utf8_lossy(&value).into_owned())
}
