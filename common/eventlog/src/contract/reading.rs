//! Fetching, ends and what becomes of records.

use streams::{Offset, Partition, ProducedRecord, TaskCommit, TopicName, TopicPartition};

use super::fixture::{Fixture, LogFactory, PARTITIONS, at, block_on, keys, record, task};
use crate::error::Error;
use crate::log::{Log, Membership, RequestLog, Session};

/// An end is never below a record of a commit that was answered.
pub fn ends_cover_what_was_committed(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let mut session = fixture.only_session();
    let of = at(fixture.requests, 0);
    for number in 0..5_u64 {
        let outputs = vec![record(of, &number.to_string())];
        session.commit(vec![TaskCommit { outputs, ..task(0) }]);
        let ends = session.session.ends(&[of, at(fixture.lines, 0)]).expect("an answer");
        assert!(ends[0].0 > number, "{} records end at {}", number + 1, ends[0]);
        assert_eq!(ends[1], Offset(0));
    }
    let last = session.read(&[of], 5)[4].offset;
    assert!(session.session.ends(&[of]).expect("an answer")[0] > last);
}

/// A reader that has everything gets nothing and stays; what comes later it gets from there.
pub fn a_reader_at_the_end_waits_there(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let mut session = fixture.only_session();
    let of = at(fixture.requests, 0);
    let before = block_on(fixture.log.append(record(of, "before"))).expect("the log takes it");
    assert_eq!(keys(&session.read_to_end(of)), ["before"]);

    let from = [(of, before.offset.next())];
    let nothing = session.session.fetch(&from, 10).expect("in range");
    assert_eq!(nothing.records, []);
    assert!(nothing.positions[0].1 >= before.offset.next());

    let after = block_on(fixture.log.append(record(of, "after"))).expect("the log takes it");
    assert!(after.offset > before.offset);
    assert_eq!(after.partition, Partition(0));
    assert_eq!(keys(&session.read_from(&nothing.positions, 1)), ["after"]);
}

/// A long partition does not keep the others from being read.
pub fn a_fetch_starves_no_partition(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let mut session = fixture.only_session();
    let long = at(fixture.requests, 0);
    let short = at(fixture.requests, 1);
    let mut outputs: Vec<_> = (0..200).map(|_| record(long, "long")).collect();
    outputs.push(record(short, "short"));
    session.commit(vec![TaskCommit { outputs, ..task(0) }]);

    let from = [(long, Offset(0)), (short, Offset(0))];
    let mut fetched = 0;
    session.until("the short partition is read", |session| {
        let found = session.fetch(&from, 20).expect("in range");
        fetched = found.records.len();
        assert!(found.positions.iter().all(|(of, _)| *of == long || *of == short));
        found.records.iter().any(|record| record.source == short).then_some(())
    });
    assert!(fetched <= 40, "about 20 records were asked for, {fetched} came");
}

/// The newest record of each key is kept, whatever housekeeping does, and a reader from the start
/// sees it last.
pub fn a_compacted_topic_keeps_the_newest_of_each_key(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let mut session = fixture.only_session();
    let of = at(fixture.levels, 0);
    for round in ["first", "second", "third"] {
        let level = |key| {
            let value = Some(round.as_bytes().to_vec().into());
            ProducedRecord { value, ..record(of, key) }
        };
        let outputs = vec![level("jumper"), level("socks")];
        session.commit(vec![TaskCommit { outputs, ..task(0) }]);
        if round != "third" {
            factory.housekeeping(&fixture.log);
        }
    }

    let records = session.read_to_end(of);
    for key in ["jumper", "socks"] {
        let newest = records.iter().rfind(|record| record.key.as_deref() == Some(key.as_bytes()));
        let value = newest.and_then(|record| record.value.as_deref());
        assert_eq!(value, Some(b"third".as_slice()), "{key}");
    }
    let durable = block_on(fixture.log.append(record(of, "hat"))).expect("the log takes it");
    block_on(fixture.log.durable(durable.position)).expect("it becomes durable");
    let read = block_on(fixture.log.read(of, Offset(0), 100)).expect("in range");
    assert_eq!(keys(&read).last().map(String::as_str), Some("hat"));
}

/// Who follows partitions gets every record of each once, going on where the read before ended, and
/// hears of what comes while it waits.
pub fn a_follower_misses_nothing_and_repeats_nothing(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let of = [at(fixture.requests, 0), at(fixture.requests, 1)];
    let mut from = of.map(|of| (of, Offset(0))).to_vec();
    let mut followed = Vec::new();
    for round in 0..4 {
        let numbers = 10..60;
        let expected: Vec<String> = numbers.map(|number| format!("{round}-{number}")).collect();
        for (number, key) in expected.iter().enumerate() {
            let appended = fixture.log.append(record(of[number % 2], key));
            block_on(appended).expect("the log takes it");
        }
        followed.clear();
        while followed.len() < expected.len() {
            let fetched = block_on(fixture.log.follow(&from, 20)).expect("in range");
            assert!(fetched.records.len() <= 40, "{} came", fetched.records.len());
            followed.extend(keys(&fetched.records));
            from = fetched.positions;
        }
        followed.sort();
        assert_eq!(followed, expected);
    }
    let ends = block_on(fixture.log.ends(&of)).expect("an answer");
    assert!(from.iter().zip(ends).all(|((_, position), end)| *position <= end));

    let beyond = (of[0], Offset(1_000));
    let out_of_range = Err(Error::OutOfRange { of: beyond.0, position: beyond.1 });
    assert_eq!(block_on(fixture.log.follow(&[beyond], 1)), out_of_range);
}

/// What a consuming group has not committed past is there, however old; what it has may go.
pub fn unread_records_outlast_housekeeping(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let mut session = fixture.only_session();
    let of = at(fixture.lines, 0);
    let outputs = ["a", "b", "c"].map(|text| record(of, text)).to_vec();
    session.commit(vec![TaskCommit { outputs, ..task(0) }]);
    factory.housekeeping(&fixture.log);
    let records = session.read(&[of], 3);
    assert_eq!(keys(&records), ["a", "b", "c"]);

    let after_first = records[0].offset.next();
    let offsets = vec![(fixture.lines, after_first)];
    session.commit(vec![TaskCommit { offsets, ..task(0) }]);
    factory.housekeeping(&fixture.log);

    assert_eq!(keys(&session.read_from(&[(of, after_first)], 2)), ["b", "c"]);
}

/// Topics and positions that are not there are errors that name them.
pub fn unknown_places_are_errors(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let mut session = fixture.only_session();
    let nowhere = TopicName::new("nowhere");

    let membership = Membership { group: fixture.group, sources: vec![nowhere] };
    let joined = fixture.log.join(membership, std::sync::Arc::new(|| ()));
    assert_eq!(joined.err(), Some(Error::UnknownTopic(nowhere)));
    let appended = block_on(fixture.log.append(record(at(nowhere, 0), "lost")));
    assert_eq!(appended, Err(Error::UnknownTopic(nowhere)));

    let of = TopicPartition::new(fixture.requests, Partition(0));
    let beyond = Offset(1_000);
    let out_of_range = Err(Error::OutOfRange { of, position: beyond });
    assert_eq!(session.session.fetch(&[(of, beyond)], 1), out_of_range);
    assert_eq!(fixture.log.partitions(), PARTITIONS);
}
