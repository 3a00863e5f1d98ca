//! Atomic, ordered, committed only.

use bytes::Bytes;
use streams::{
    CommitBatch, CommitOutcome, Headers, Offset, Partition, ProducedRecord, StateReader, StoreName,
    TaskCommit, Timestamp,
};

use super::fixture::{Fixture, LogFactory, at, keys, put, record, task};
use crate::log::{Membership, Session};

const STORE: StoreName = StoreName::new("stock");

/// Outputs to several topics, store changes and offsets of several tasks hold together.
pub fn a_batch_shows_as_a_whole(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let mut session = fixture.only_session();

    session.commit(vec![
        TaskCommit {
            outputs: vec![
                record(at(fixture.lines, 1), "line"),
                record(at(fixture.levels, 2), "level"),
            ],
            changes: vec![put("stock", "jumper", "7")],
            offsets: vec![(fixture.requests, Offset(0)), (fixture.lines, Offset(0))],
            ..task(0)
        },
        TaskCommit {
            changes: vec![put("stock", "socks", "8")],
            offsets: vec![(fixture.requests, Offset(0))],
            ..task(3)
        },
    ]);

    assert_eq!(keys(&session.read(&[at(fixture.lines, 1)], 1)), ["line"]);
    assert_eq!(keys(&session.read(&[at(fixture.levels, 2)], 1)), ["level"]);
    let jumper = session.session.get(Partition(0), STORE, b"jumper");
    assert_eq!(jumper, Ok(Some(Bytes::from_static(b"7"))));
    let socks = session.session.get(Partition(3), STORE, b"socks");
    assert_eq!(socks, Ok(Some(Bytes::from_static(b"8"))));
    let positions = session.session.positions(&[Partition(0), Partition(3)]).expect("an answer");
    let mut first = positions[0].committed.clone();
    first.sort_unstable();
    let mut committed = [(fixture.requests, Offset(0)), (fixture.lines, Offset(0))];
    committed.sort_unstable();
    assert_eq!(first, committed);
    assert_eq!(positions[1].committed, [(fixture.requests, Offset(0))]);
}

/// A batch with one task whose partition is another's leaves nothing of its other tasks either.
pub fn a_refused_batch_leaves_nothing(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let mut session = fixture.only_session();
    let mut other = fixture.join();
    let owned = session.until_it_owns(2);
    let lost = other.until_it_owns(2);

    let good = TaskCommit {
        outputs: vec![record(at(fixture.lines, 0), "torn")],
        changes: vec![put("stock", "torn", "1")],
        offsets: vec![(fixture.requests, Offset(0))],
        ..task(owned[0].0)
    };
    let outcome = session.session.commit(CommitBatch { tasks: vec![good, task(lost[0].0)] });

    assert_eq!(outcome, CommitOutcome::Fenced);
    session.session.open().expect("a new start is possible");
    session.catch_up(owned[0]);
    assert_eq!(keys(&session.read_to_end(at(fixture.lines, 0))), [""; 0]);
    assert_eq!(session.session.get(owned[0], STORE, b"torn"), Ok(None));
    let positions = session.session.positions(&owned).expect("an answer");
    assert_eq!(positions[0].committed, []);
}

/// Records of a partition are read in the order they were given, and as they were given.
pub fn records_keep_their_order_and_content(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let mut session = fixture.only_session();
    let of = at(fixture.requests, 2);
    let mut headers = Headers::default();
    headers.add("ce_type", "OrderCreated");
    headers.add("traceparent", "00-1");
    headers.add("ce_type", "the same name again");
    let odd = ProducedRecord {
        timestamp: Timestamp::from_millis(1_700_000_000_001),
        key: None,
        value: Some(Bytes::from_static(&[0, 0xff, 0xfe])),
        headers,
        ..record(of, "odd")
    };
    let tombstone = ProducedRecord { value: None, ..record(of, "tombstone") };
    let given = [record(of, "first"), odd, tombstone, record(of, "last")];

    session.commit(vec![TaskCommit { outputs: given[..1].to_vec(), ..task(0) }]);
    session.commit(vec![
        TaskCommit { outputs: given[1..3].to_vec(), ..task(1) },
        TaskCommit { outputs: given[3..].to_vec(), ..task(2) },
    ]);

    let read = session.read(&[of], 4);
    assert!(read.windows(2).all(|pair| pair[0].offset < pair[1].offset));
    for (read, given) in read.into_iter().zip(given) {
        assert_eq!(read.source, of);
        assert_eq!(read.timestamp, given.timestamp);
        assert_eq!(read.key, given.key);
        assert_eq!(read.value, given.value);
        assert_eq!(read.headers, given.headers);
    }
}

/// Each group has its own offsets, each partition its own, and the last one committed counts.
pub fn offsets_are_kept_for_each_group(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let mut session = fixture.only_session();
    let of = at(fixture.requests, 1);
    let outputs = vec![record(of, "a"), record(of, "b")];
    session.commit(vec![TaskCommit { outputs, ..task(1) }]);
    let after: Vec<_> = session.read(&[of], 2).iter().map(|record| record.offset.next()).collect();

    for position in &after {
        let offsets = vec![(fixture.requests, *position)];
        session.commit(vec![TaskCommit { offsets, ..task(1) }]);
    }

    let membership = Membership { group: fixture.other_group, sources: vec![fixture.requests] };
    let mut other = fixture.join_as(membership);
    other.until_it_owns(super::fixture::PARTITIONS as usize);
    let mine = session.session.positions(&[Partition(0), Partition(1)]).expect("an answer");
    let others = other.session.positions(&[Partition(1)]).expect("an answer");
    assert_eq!(mine[0].committed, []);
    assert_eq!(mine[1].committed, [(fixture.requests, after[1])]);
    assert_eq!(others[0].committed, []);
}
