//! A session that does not know yet that it was replaced commits nothing.

use std::time::Duration;

use eventlog::Session;
use krafka::producer::TopicPartitionOffset;
use streams::{CommitOutcome, Offset, Partition, ProducedRecord, TopicPartition};
use tempfile::TempDir;

use super::setup::{PARTITIONS, Setup, TASK, WITHIN};
use crate::clock::Deadline;
use crate::producers::{Failure, Positions, Producers};
use crate::records::taken;

const ALL: usize = PARTITIONS as usize;

/// What a batch of a partition writes, for producers that ask nobody.
fn contents(setup: &Setup, of: Partition) -> (Vec<ProducedRecord>, [TopicPartitionOffset; 1]) {
    let outputs = setup.batch("late", 1).tasks[0].outputs.clone();
    (outputs, [taken(TopicPartition::new(setup.requests, of), Offset(1))])
}

#[test]
fn partitions_go_after_the_commit_that_is_under_way_and_never_in_its_middle() {
    let Some(setup) = Setup::find() else { return };
    let log = setup.connect();
    let session = setup.join(&log, ALL);
    let commit_under_way = session.member.ownership();

    let mut other = setup.join(&log, 0);
    let enough_for_a_rebalance = Deadline::after(Duration::from_secs(4));
    while !enough_for_a_rebalance.has_passed() {
        assert_eq!(other.assignment().unwrap().partitions, []);
        std::thread::yield_now();
    }

    drop(commit_under_way);
    let deadline = Deadline::after(WITHIN);
    while other.assignment().unwrap().partitions.is_empty() {
        assert!(!deadline.has_passed(), "the partitions never go");
        std::thread::yield_now();
    }
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

    let (outputs, offsets) = contents(&setup, TASK);
    let positions = Positions { offsets: &offsets, member: &member, is_current: &|| true };
    let refused = producers.commit(&outputs, &positions);

    assert!(matches!(refused, Err(Failure::NotMember)), "{refused:?}");
    setup.commit(&mut owner, "new");
    assert_eq!(setup.decided(&mut owner), ["new"]);
}

#[test]
fn one_that_has_not_heard_that_a_partition_has_gone_is_refused_until_it_is_doubted() {
    let Some(setup) = Setup::find() else { return };
    let log = setup.connect();
    let mut session = setup.join(&log, ALL);
    let member = session.member.ownership().metadata().unwrap();
    let settings = setup.settings();
    let mut producers = Producers::open(&settings, "stale", setup.service.changelog).unwrap();
    // The first session's user is not asked: after a while a partition goes without it.
    let mut other = setup.join(&log, ALL / 2);
    let gone = other.assignment().unwrap().partitions[0];

    let (outputs, offsets) = contents(&setup, gone);
    let positions = Positions { offsets: &offsets, member: &member, is_current: &|| false };
    let mut aborted = 0;
    // Each of the two several times over; then they are given up, since they may be of no use.
    while let Err(Failure::Aborted(_)) = producers.commit(&outputs, &positions) {
        aborted += 1;
        assert!(aborted < 100, "nobody doubts the producers");
    }
    assert!(aborted > 2, "{aborted}");
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
