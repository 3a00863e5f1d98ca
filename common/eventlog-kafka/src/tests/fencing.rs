//! A session that does not know yet that it was replaced commits nothing.

use eventlog::Session;
use rdkafka::TopicPartitionList;
use streams::{CommitOutcome, ProducedRecord};
use tempfile::TempDir;

use super::setup::{PARTITIONS, Setup};
use crate::producers::{Failure, Positions, Producers};
use crate::records::{list, raw_partition};

const ALL: usize = PARTITIONS as usize;

/// What a batch writes, for producers that ask nobody.
fn contents(setup: &Setup, text: &str) -> (Vec<ProducedRecord>, TopicPartitionList) {
    let batch = setup.batch(text, 1);
    let outputs = batch.tasks[0].outputs.clone();
    let mut offsets = list([]).unwrap();
    offsets
        .add_partition_offset(
            setup.requests.as_str(),
            raw_partition(batch.tasks[0].partition),
            rdkafka::Offset::Offset(1),
        )
        .unwrap();
    (outputs, offsets)
}

#[test]
fn one_that_left_its_group_without_knowing_is_refused_by_the_broker() {
    let Some(setup) = Setup::find() else { return };
    let log = setup.connect();
    let zombie = setup.join(&log, ALL);
    let member = zombie.member.ownership().metadata().unwrap();
    let settings = setup.settings();
    let mut producers = Producers::open(&settings, "zombie", setup.service.changelog).unwrap();
    drop(zombie);
    let mut owner = setup.join(&log, ALL);

    let (outputs, offsets) = contents(&setup, "late");
    let positions = Positions { offsets: &offsets, member: &member };
    let refused = producers.commit(&outputs, &positions);

    assert!(matches!(refused, Err(Failure::NotMember)), "{refused:?}");
    setup.commit(&mut owner, "new");
    assert_eq!(setup.decided(&mut owner), ["new"]);
}

#[test]
fn one_that_has_not_heard_of_a_change_in_its_group_is_refused_and_tries_again() {
    let Some(setup) = Setup::find() else { return };
    let log = setup.connect();
    let mut session = setup.join(&log, ALL);
    let member = session.member.ownership().metadata().unwrap();
    let settings = setup.settings();
    let mut producers = Producers::open(&settings, "stale", setup.service.changelog).unwrap();
    // Its user is not asked: after a while partitions go without it.
    let other = setup.join(&log, ALL / 2);

    let (outputs, offsets) = contents(&setup, "late");
    let positions = Positions { offsets: &offsets, member: &member };
    let refused = producers.commit(&outputs, &positions);
    assert!(matches!(refused, Err(Failure::Aborted(_))), "{refused:?}");

    drop(other);
    let again = producers.commit(&outputs, &positions);
    assert!(matches!(again, Err(Failure::Aborted(_))), "the producers go on: {again:?}");
    assert_eq!(setup.decided(&mut session), [""; 0]);
}

#[test]
fn one_whose_place_was_taken_by_a_restart_does_not_know_what_became_of_its_commit() {
    let Some(setup) = Setup::find() else { return };
    let log = setup.connect();
    let mut former = setup.join(&log, ALL);
    setup.commit(&mut former, "before");
    let id = format!("{}-{}-0", setup.service.group, log.shared.slot.id);

    let restarted = Producers::open(&setup.settings(), &id, setup.service.changelog).unwrap();
    let outcomes = [former.commit(setup.batch("late", 0)), former.commit(setup.batch("later", 0))];

    let is_unknown = |outcome: &CommitOutcome| matches!(outcome, CommitOutcome::Unknown { .. });
    assert!(outcomes.iter().all(is_unknown), "{outcomes:?}");
    drop(restarted);
    former.open().unwrap();
    setup.commit(&mut former, "after");
    assert_eq!(setup.decided(&mut former), ["before", "after"]);
}

#[test]
fn two_processes_on_one_state_directory_do_not_fence_each_other() {
    let Some(setup) = Setup::find() else { return };
    let directory = TempDir::new().unwrap();
    let logs = [setup.connect_in(directory.path()), setup.connect_in(directory.path())];
    let mut first = setup.join(&logs[0], ALL);
    let second = setup.join(&logs[1], ALL / 2);
    drop(second);
    while first.assignment().unwrap().partitions.len() < ALL {
        std::thread::yield_now();
    }
    setup.commit(&mut first, "first");
    setup.commit(&mut first, "second");
    assert_eq!(setup.decided(&mut first), ["first", "second"]);
}
