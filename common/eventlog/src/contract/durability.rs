//! What is on disk, and when.

use std::collections::BTreeSet;
use std::sync::mpsc::channel;

use bytes::Bytes;
use streams::{CommitPosition, Offset, Partition, StateReader, StoreName, TaskCommit};

use super::fixture::{Fixture, LogFactory, PARTITIONS, at, block_on, keys, put, record, task};
use crate::log::{RequestLog, Session};

/// A record appended from outside is durable once the log says so, and then every reader outside
/// sees it.
pub fn appended_records_are_durable_when_it_says_so(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let of = at(fixture.requests, 1);
    let appended = block_on(fixture.log.append(record(of, "request"))).expect("the log takes it");
    block_on(fixture.log.durable(appended.position)).expect("it becomes durable");

    let read = block_on(fixture.log.read(of, Offset(0), 10)).expect("in range");
    assert_eq!(keys(&read), ["request"]);
    assert_eq!(read[0].offset, appended.offset);
    block_on(fixture.log.durable(CommitPosition(0))).expect("nothing is durable at once");
    assert_eq!(fixture.log.health(), Ok(()));
}

/// Each callback is called once, with success, in the order of the positions.
pub fn callbacks_come_once_their_commit_is_durable(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let mut session = fixture.only_session();
    let (called, calls) = channel();
    for number in 0..20 {
        let outputs = vec![record(at(fixture.requests, 0), &number.to_string())];
        let position = session.commit(vec![TaskCommit { outputs, ..task(0) }]);
        let called = called.clone();
        let then = Box::new(move |result| called.send((number, result)).expect("listening"));
        session.session.when_durable(position, then);
    }
    drop(called);
    let calls: Vec<_> = calls.iter().collect();
    assert_eq!(calls, (0..20).map(|number| (number, Ok(()))).collect::<Vec<_>>());
}

/// Requests appended by many at once are each there once, at the offset that was answered.
pub fn concurrent_appends_are_each_there_once(factory: &impl LogFactory) {
    const WRITERS: usize = 4;
    const EACH: usize = 50;
    let fixture = Fixture::new(factory);
    let mut session = fixture.only_session();
    let of = at(fixture.requests, 0);
    let log = &fixture.log;
    let answered: BTreeSet<(Offset, String)> = std::thread::scope(|scope| {
        let write = |writer: usize| {
            move || {
                let append = |number: usize| {
                    let text = format!("{writer}/{number}");
                    let appended = block_on(log.append(record(of, &text))).expect("taken");
                    (appended.offset, text)
                };
                (0..EACH).map(append).collect::<Vec<_>>()
            }
        };
        let writers: Vec<_> = (0..WRITERS).map(|writer| scope.spawn(write(writer))).collect();
        writers.into_iter().flat_map(|writer| writer.join().expect("no panic")).collect()
    });

    let records = session.read(&[of], WRITERS * EACH);
    let offsets = records.iter().map(|record| record.offset);
    let read: BTreeSet<_> = offsets.zip(keys(&records)).collect();
    assert_eq!(read, answered);
}

/// Records, offsets, state and the sharing out of partitions outlast a restart, and the log goes
/// on where it was.
pub fn a_restart_keeps_everything(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let of = at(fixture.requests, 2);
    let commit = |text: &str| TaskCommit {
        outputs: vec![record(of, text)],
        changes: vec![put("stock", text, text)],
        offsets: vec![(fixture.lines, Offset(0))],
        ..task(2)
    };
    let mut session = fixture.only_session();
    session.commit(vec![commit("first")]);
    factory.housekeeping(&fixture.log);
    let position = session.commit(vec![commit("second")]);
    block_on(fixture.log.durable(position)).expect("it becomes durable");
    let changelog_ends = session.changelog_ends.clone();
    drop(session);

    let Some(fixture) = fixture.restarted(factory) else { return };
    let mut session = fixture.only_session();
    session.changelog_ends = changelog_ends;
    session.catch_up(Partition(2));
    assert_eq!(keys(&session.read(&[of], 2)), ["first", "second"]);
    for text in ["first", "second"] {
        let value = session.session.get(Partition(2), StoreName::new("stock"), text.as_bytes());
        assert_eq!(value, Ok(Some(Bytes::from_static(text.as_bytes()))));
    }
    let positions = session.session.positions(&[Partition(2)]).expect("an answer");
    assert_eq!(positions[0].committed, [(fixture.lines, Offset(0))]);
    let appended = block_on(fixture.log.append(record(of, "third"))).expect("the log takes it");
    block_on(fixture.log.durable(appended.position)).expect("it becomes durable");
    assert_eq!(keys(&session.read(&[of], 3)), ["first", "second", "third"]);
    assert_eq!(session.owned().len(), PARTITIONS as usize);
}
