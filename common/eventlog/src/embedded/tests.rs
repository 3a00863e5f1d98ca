//! The embedded log keeps the contract, and says clearly why it cannot be opened.

use std::fs;
use std::sync::Mutex;

use bytes::Bytes;
use streams::{Headers, Partition, Timestamp, TopicName};
use tempfile::TempDir;

use super::power::{Faults, PoweredFile, Supply};
use super::*;
use crate::contract::{LogFactory, block_on};
use crate::log::Retention;

const PARTITIONS: u32 = 2;
const REQUESTS: TopicName = TopicName::new("requests");

/// Logs in directories of their own.
#[derive(Default)]
struct OnDisk {
    kept: Mutex<Vec<(TempDir, Vec<TopicConfig>)>>,
}

impl LogFactory for OnDisk {
    type Log = EmbeddedLog;

    fn make(&self, topics: Vec<TopicConfig>, partitions: u32) -> EmbeddedLog {
        let directory = TempDir::new().unwrap();
        let log = EmbeddedLog::open(directory.path(), topics.clone(), partitions).unwrap();
        self.kept.lock().unwrap().push((directory, topics));
        log
    }

    fn restart(&self, log: EmbeddedLog) -> Option<EmbeddedLog> {
        let path = log.shared().directory.clone();
        let partitions = log.partitions();
        drop(log);
        let kept = self.kept.lock().unwrap();
        let (_, topics) = kept.iter().find(|(directory, _)| directory.path() == path)?;
        Some(EmbeddedLog::open(&path, topics.clone(), partitions).unwrap())
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

/// The power can go while the files are made for the first time.
#[test]
fn unfinished_files_are_made_anew() {
    let directory = TempDir::new().unwrap();
    for file in ["journal.unfinished", "store.unfinished"] {
        fs::write(directory.path().join(file), [0; 10_000]).unwrap();
    }
    drop(open(directory.path()).unwrap());
    fs::remove_file(directory.path().join("store.redb")).unwrap();
    let log = open(directory.path()).unwrap();
    assert_eq!(block_on(log.append(request("first"))).unwrap().offset, Offset(0));
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

/// The contents of journal and store after a request was kept.
fn contents_of_a_log(checkpoint: bool) -> [Vec<u8>; 2] {
    let directory = directory_with_a_log(checkpoint);
    ["journal.redb", "store.redb"].map(|file| fs::read(directory.path().join(file)).unwrap())
}

/// The request, read from a log with these contents.
fn read_from(contents: [Vec<u8>; 2]) -> Result<String, Error> {
    let supply = Supply::new(contents.to_vec(), Faults::NONE);
    let files = (PoweredFile::new(&supply, 0), PoweredFile::new(&supply, 1));
    read(&EmbeddedLog::open_on(files, (topics(), PARTITIONS), usize::MAX)?)
}

/// The contents with some byte of one of them changed, for many bytes.
fn damaged(
    contents: &[Vec<u8>; 2],
    file: usize,
) -> impl Iterator<Item = (usize, [Vec<u8>; 2])> + '_ {
    (0..contents[file].len()).step_by(83).map(move |at| {
        let mut damaged = contents.clone();
        damaged[file][at] ^= 0xff;
        (at, damaged)
    })
}

/// The journal is checked as a whole when it is opened.
#[test]
fn a_damaged_journal_is_an_error_or_has_lost_nothing() {
    let contents = contents_of_a_log(false);
    let mut errors = 0;
    for (at, contents) in damaged(&contents, 0) {
        match read_from(contents) {
            Ok(value) => assert_eq!(value, "kept", "with byte {at} changed"),
            Err(Error::Corrupt { .. }) => errors += 1,
            Err(error) => panic!("with byte {at} changed: {error}"),
        }
    }
    assert!(errors > 0, "no damage was noticed");
}

/// The store can be too large to check all of it when it is opened. Where damage breaks what is
/// read of it, that is an error.
#[test]
fn a_damaged_store_is_never_a_panic() {
    let contents = contents_of_a_log(true);
    let results = damaged(&contents, 1).map(|(_, contents)| read_from(contents));
    assert!(results.filter(Result::is_err).count() > 0, "no damage was noticed");
}

#[test]
fn a_file_that_is_cut_short_or_another_one_is_an_error() {
    for file in ["journal.redb", "store.redb"] {
        let directory = directory_with_a_log(file == "store.redb");
        let path = directory.path().join(file);
        let whole = fs::read(&path).unwrap();
        let cut = (1..whole.len()).step_by(4_099).map(|length| whole[..length].to_vec());
        for content in cut.chain([b"not a store".to_vec(), vec![0; 100_000]]) {
            fs::write(&path, &content).unwrap();
            let error = open_and_read(directory.path()).unwrap_err();
            assert!(matches!(error, Error::Corrupt { .. }), "{file}: {error}");
        }
    }
}

fn open_and_read(directory: &Path) -> Result<String, Error> {
    read(&open(directory)?)
}

fn read(log: &EmbeddedLog) -> Result<String, Error> {
    let of = TopicPartition::new(REQUESTS, Partition(0));
    let records = block_on(log.read(of, Offset(0), 1))?;
    let value = records.into_iter().find_map(|record| record.value).unwrap_or_default();
    Ok(String::from_utf8_lossy(&value).into_owned())
}
