//! What every group has consumed is deleted, and nothing else.

use std::time::Duration;

use bytes::Bytes;
use eventlog::contract::unique_name;
use eventlog::{RequestLog, Retention, Session, TopicConfig};
use futures_executor::block_on;
use streams::{
    CommitBatch, CommitOutcome, Headers, Offset, ProducedRecord, TaskCommit, Timestamp,
    TopicPartition,
};

use super::setup::{Setup, TASK};
use crate::purge::{Purged, purge};
use crate::{KafkaLog, KafkaSession, Settings};

/// Puts ten requests on the log.
fn ten_requests(setup: &Setup, log: &KafkaLog) -> TopicPartition {
    let destination = TopicPartition::new(setup.requests, TASK);
    for _ in 0..10 {
        let record = ProducedRecord {
            destination,
            timestamp: Timestamp::from_millis(1_700_000_000_000),
            key: None,
            value: Some(Bytes::from_static(b"request")),
            headers: Headers::default(),
        };
        block_on(log.append(record)).unwrap();
    }
    destination
}

/// Commits that the requests before this position have been taken.
fn take_until(session: &mut KafkaSession, of: TopicPartition, position: u64) {
    let (outputs, changes) = (Vec::new(), Vec::new());
    let offsets = vec![(of.topic, Offset(position))];
    let task = TaskCommit { partition: of.partition, outputs, changes, offsets };
    let outcome = session.commit(CommitBatch { tasks: vec![task] });
    assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
}

fn begin(log: &KafkaLog, of: TopicPartition) -> Offset {
    log.shared.ends.extents(&[of]).unwrap()[&of].start
}

#[test]
fn what_all_groups_have_consumed_is_purged_and_the_rest_is_kept() {
    let Some(setup) = Setup::find() else { return };
    let log = setup.connect();
    let of = ten_requests(&setup, &log);
    let mut session = setup.join(&log, 2);
    let group = setup.service.group;
    let by: &'static [&'static str] = Box::leak(Box::new([group]));
    let by_two: &'static [&'static str] = Box::leak(Box::new([group, unique_name("other")]));

    purge(&setup.settings(), &Purged { topic: of.topic, by }).unwrap();
    assert_eq!(begin(&log, of), Offset(0));

    take_until(&mut session, of, 7);
    purge(&setup.settings(), &Purged { topic: of.topic, by: by_two }).unwrap();
    assert_eq!(begin(&log, of), Offset(0), "another group has not begun");

    purge(&setup.settings(), &Purged { topic: of.topic, by }).unwrap();
    assert_eq!(begin(&log, of), Offset(7));
    assert_eq!(block_on(log.read(of, Offset(7), 100)).unwrap().len(), 3);
}

#[test]
fn a_log_purges_by_itself() {
    let Some(setup) = Setup::find() else { return };
    let by = Box::leak(Box::new([setup.service.group]));
    let topics = [
        TopicConfig { name: setup.requests, retention: Retention::UntilConsumed { by } },
        TopicConfig { name: setup.decisions, retention: Retention::Forever },
    ];
    let settings = Settings { purge_pause: Duration::from_millis(50), ..setup.settings() };
    let log = KafkaLog::connect(settings, &topics, std::slice::from_ref(&setup.service)).unwrap();
    let of = ten_requests(&setup, &log);
    let mut session = setup.join(&log, 2);

    take_until(&mut session, of, 10);

    while begin(&log, of) < Offset(10) {
        std::thread::yield_now();
    }
}
