//! Assignment and fencing.

use std::time::Duration;

use streams::{CommitBatch, CommitOutcome, Offset, Partition, TaskCommit};

use super::fixture::{Fixture, LogFactory, PARTITIONS, at, block_on, keys, record, task};
use crate::log::{RequestLog, Session};

/// When nothing has come for so long, nothing is on its way.
const QUIET: Duration = Duration::from_millis(200);
/// What is to wake somebody does so within this time.
const WOKEN_WITHIN: Duration = Duration::from_secs(30);

/// Every partition has one owner among the sessions of a group, also after one has left.
pub fn partitions_are_shared_out_and_passed_on(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let mut first = fixture.only_session();
    let alone = first.session.assignment().expect("an answer");
    assert_eq!(alone.partitions, (0..PARTITIONS).map(Partition).collect::<Vec<_>>());

    let mut second = fixture.join();
    let mut all = first.until_it_owns(2);
    all.extend(second.until_it_owns(2));
    all.sort_unstable();
    assert_eq!(all, alone.partitions);
    let shared = first.session.assignment().expect("an answer");
    assert!(shared.generation > alone.generation);

    drop(first);
    assert_eq!(second.until_it_owns(PARTITIONS as usize), alone.partitions);
}

/// A commit for a partition that another session owns by now is refused; what the session still
/// owns, it can commit.
pub fn a_former_owner_is_fenced(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let mut former = fixture.only_session();
    let mut other = fixture.join();
    let kept = former.until_it_owns(2);
    let lost = other.until_it_owns(2);
    let output = |text| vec![record(at(fixture.levels, 0), text)];

    let late = TaskCommit { outputs: output("late"), ..task(lost[0].0) };
    let outcome = former.session.commit(CommitBatch { tasks: vec![late] });
    assert_eq!(outcome, CommitOutcome::Fenced);

    former.session.open().expect("a new start is possible");
    former.commit(vec![TaskCommit { outputs: output("kept"), ..task(kept[0].0) }]);
    other.commit(vec![TaskCommit { outputs: output("new"), ..task(lost[0].0) }]);
    assert_eq!(keys(&other.read(&[at(fixture.levels, 0)], 2)), ["kept", "new"]);
}

/// A session that lost a partition and has it again is told so, and commits nothing for it before:
/// what it knows of the partition is stale.
pub fn a_partition_lost_for_a_while_is_told(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let mut session = fixture.only_session();
    let mut other = fixture.join();
    let lost = other.until_it_owns(2)[0];
    other.commit(vec![task(lost.0)]);
    drop(other);

    let stale = CommitBatch { tasks: vec![task(lost.0)] };
    assert_eq!(session.session.commit(stale), CommitOutcome::Fenced);
    let mut told = false;
    session.until("the partition is owned again", |session| {
        let assignment = session.assignment().expect("the log answers");
        let is_owned = assignment.partitions.contains(&lost);
        told |= !is_owned || assignment.regained.contains(&lost);
        is_owned.then_some(())
    });
    assert!(told);
    session.session.open().expect("a new start is possible");
    session.commit(vec![task(lost.0)]);
    assert_eq!(session.session.assignment().expect("an answer").regained, []);
}

/// A waker is called for new records on the session's partitions of its sources, and when its
/// partitions change.
pub fn sessions_are_woken_for_records_and_assignments(factory: &impl LogFactory) {
    let fixture = Fixture::new(factory);
    let mut session = fixture.only_session();
    let of = at(fixture.requests, 3);
    assert_eq!(keys(&session.read_to_end(of)), [""; 0]);
    // A signal may be of something that is no record: whoever is woken has to look.
    while session.woken.recv_timeout(QUIET).is_ok() {
        assert_eq!(session.session.fetch(&[(of, Offset(0))], 1).expect("in range").records, []);
    }

    block_on(fixture.log.append(record(of, "request"))).expect("the log takes it");
    let mut found = Vec::new();
    while found.is_empty() {
        session.woken.recv_timeout(WOKEN_WITHIN).expect("woken for the record");
        found = session.session.fetch(&[(of, Offset(0))], 1).expect("in range").records;
    }
    assert_eq!(keys(&found), ["request"]);

    session.woken.try_iter().for_each(drop);
    let other = fixture.join();
    session.woken.recv_timeout(WOKEN_WITHIN).expect("woken for the partitions that go");
    session.until_it_owns(2);
    drop(other);
    session.until_it_owns(PARTITIONS as usize);
}
