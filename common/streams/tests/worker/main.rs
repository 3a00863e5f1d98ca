//! Workers, told step by step what became of their steps: what only comes up when things happen in
//! an unusual order.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod indexes;
mod passing_over;
mod script;
mod troubles;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use script::{PARTITION, REMINDERS, Script, VISITS, changelog, offsets_change, visit};
use streams::{
    CommitOutcome, CommitPosition, Error, Offset, Partition, QueryOutcome, Restored, StateBacking,
    Step, StepResult, TaskPositions, TopicPartition,
};

#[test]
fn a_failed_step_is_tried_again_even_if_the_clock_is_set_back() {
    let mut script = Script::new(StateBacking::Log);
    assert_eq!(script.step(), Step::Open);
    script.answer(StepResult::Failed { reason: "no answer".to_owned() });
    assert!(matches!(script.step(), Step::Wait(Some(_))));
    script.answer(StepResult::Done);

    script.now = script.now - 60 * 60 * 1_000;
    assert_eq!(script.step(), Step::Open);
}

#[test]
fn a_tick_comes_even_if_the_clock_is_set_back() {
    let mut script = Script::running_in_log();
    script.take_visit();
    script.now = script.now - 60 * 60 * 1_000;
    let source = TopicPartition::new(VISITS.name(), PARTITION);
    assert_eq!(script.next_but_fetch(), Step::LookUpEnds(vec![source]));
}

#[test]
fn an_entry_that_came_after_the_last_look_is_waited_for() {
    let mut script = Script::running_in_log();
    assert_eq!(script.next_but_fetch(), Step::Wait(None), "there is nothing to wait for");
    script.answer(StepResult::Done);

    script.take_visit();
    let Step::Wait(Some(until)) = script.next_but_fetch() else {
        panic!("a reminder is to come");
    };
    script.answer(StepResult::Done);
    script.now = until;
    assert!(matches!(script.next_but_fetch(), Step::LookUpEnds(_)));
    script.answer(StepResult::Ends(vec![Offset(1)]));
    let Step::Commit(batch) = script.step() else { panic!("the tick is taken") };
    assert_eq!(batch.tasks[0].outputs[0].destination.topic, REMINDERS.name());
}

#[test]
fn the_inputs_of_a_commit_are_those_of_its_batches() {
    let mut script = Script::running_in_log();
    assert!(matches!(script.step(), Step::Fetch(_)));
    script.answer(script.fetched(vec![visit(0), visit(1)]));
    assert!(matches!(script.step(), Step::Commit(_)));

    let [(partition, inputs)] = script.worker.batch_inputs().try_into().unwrap();
    assert_eq!(partition, PARTITION);
    assert_eq!((inputs.records, inputs.ticks), (vec![visit(0), visit(1)], 0));
    assert!(script.worker.batch_taken().eq(&[visit(0), visit(1)]));
    script.answer(StepResult::Committed(CommitOutcome::Fenced));
    assert_eq!(script.worker.batch_inputs(), [], "the task starts again");
}

#[test]
fn a_task_that_was_another_s_for_a_while_starts_again() {
    let mut script = Script::running_in_log();
    script.assign(vec![PARTITION], vec![]);
    assert!(matches!(script.step(), Step::Fetch(_)), "it has been the owner all the time");
    script.answer(script.fetched(vec![]));

    script.assign(vec![PARTITION], vec![PARTITION]);
    assert_eq!(script.step(), Step::LoadPositions(vec![PARTITION]));
}

#[test]
fn a_store_at_a_position_beyond_its_changelog_is_emptied() {
    let mut script = Script::new(StateBacking::Changelog);
    script.open();
    script
        .load_positions(TaskPositions { checkpoint: Some(Offset(9)), ..TaskPositions::default() });
    assert_eq!(script.step(), Step::LookUpEnds(vec![changelog()]));
    script.answer(StepResult::Ends(vec![Offset(3)]));
    assert_eq!(script.step(), Step::WipeStore(PARTITION));
    script.answer(StepResult::Done);
    let from_the_start = Step::ReadChangelog { partition: PARTITION, from: Offset(0) };
    assert_eq!(script.step(), from_the_start);
}

#[test]
fn a_worker_says_how_much_of_a_changelog_is_left_and_then_how_far_its_task_has_come() {
    let mut script = Script::new(StateBacking::Changelog);
    script.open();
    script
        .load_positions(TaskPositions { checkpoint: Some(Offset(2)), ..TaskPositions::default() });
    assert_eq!(script.health().restoring, []);
    assert_eq!(script.step(), Step::LookUpEnds(vec![changelog()]));
    script.answer(StepResult::Ends(vec![Offset(9)]));
    assert_eq!(script.health().restoring, [(PARTITION, 7)]);

    for (position, left) in [(6, vec![(PARTITION, 3)]), (9, vec![(PARTITION, 0)])] {
        assert!(matches!(script.step(), Step::ReadChangelog { .. }));
        let (changes, position) = (Vec::new(), Offset(position));
        script.answer(StepResult::Changelog(Restored { changes, position }));
        assert_eq!(script.health().restoring, left);
        assert!(matches!(script.step(), Step::WriteStores(_)));
        script.answer(StepResult::Done);
    }
    assert_eq!(script.health().positions, []);

    script.next_but_fetch();
    script.answer(StepResult::Done);
    assert_eq!(script.health().restoring, []);
    let source = TopicPartition::new(VISITS.name(), PARTITION);
    assert_eq!(script.health().positions, [(source, Offset(0))]);
    script.take_visit();
    assert_eq!(script.health().positions, [(source, Offset(1))]);
}

/// Brings the task up to where the group's offset is compared with the changelog's.
fn restore(script: &mut Script, group: u64, changelog_offset: u64) -> Result<Step, Error> {
    let committed = vec![(VISITS.name(), Offset(group))];
    script.load_positions(TaskPositions { committed, ..TaskPositions::default() });
    assert_eq!(script.step(), Step::LookUpEnds(vec![changelog()]));
    script.answer(StepResult::Ends(vec![Offset(1)]));
    assert!(matches!(script.step(), Step::ReadChangelog { .. }));
    let changes = vec![offsets_change(changelog_offset)];
    script.answer(StepResult::Changelog(Restored { changes, position: Offset(1) }));
    let Step::WriteStores(writes) = script.step() else { panic!("what was read is written") };
    writes.iter().for_each(|write| script.write(write));
    script.answer(StepResult::Done);
    script.try_next_but_fetch()
}

#[test]
fn offsets_that_a_commit_has_moved_between_two_looks_are_looked_at_again() {
    let mut script = Script::new(StateBacking::Changelog);
    script.open();
    assert_eq!(restore(&mut script, 4, 5), Ok(Step::LoadPositions(vec![PARTITION])));
    assert_eq!(restore(&mut script, 6, 7), Ok(Step::LoadPositions(vec![PARTITION])));
    assert_eq!(restore(&mut script, 7, 7), Ok(Step::Wait(None)), "it runs");
}

#[test]
fn offsets_that_differ_twice_alike_stop_the_worker() {
    let mut script = Script::new(StateBacking::Changelog);
    script.open();
    assert_eq!(restore(&mut script, 4, 5), Ok(Step::LoadPositions(vec![PARTITION])));
    let refused = restore(&mut script, 4, 5);
    assert!(matches!(refused, Err(Error::OffsetsDiffer { partition: Partition(0), .. })));
}

#[test]
fn an_answer_is_not_shown_before_what_a_former_owner_committed() {
    let mut script = Script::new(StateBacking::Log);
    script.open();
    let as_of = CommitPosition(7);
    script.load_positions(TaskPositions { as_of, ..TaskPositions::default() });
    script.ask(visit(0).key.unwrap());
    assert!(matches!(script.next_but_fetch(), Step::LookUpEnds(_)));
    script.answer(StepResult::Ends(vec![Offset(0)]));
    script.next_but_fetch();
    let answers = script.worker.take_answers();
    assert_eq!(answers[0].position, as_of);
}

/// The answers since the last call.
fn outcomes(script: &mut Script) -> Vec<QueryOutcome> {
    script.worker.take_answers().into_iter().map(|answer| answer.outcome).collect()
}

/// The entry of somebody who came.
fn found() -> QueryOutcome {
    QueryOutcome::Found(vec![visit(0).value])
}

#[test]
fn a_read_after_a_record_is_answered_by_the_commit_that_takes_it_without_a_look_up() {
    let mut script = Script::running_in_log();
    script.ask_when(visit(0).key.unwrap(), Some(Offset(0)), None);
    assert!(matches!(script.next_but_fetch(), Step::Wait(Some(_))));
    script.answer(StepResult::Done);
    assert_eq!(outcomes(&mut script), []);

    script.take_visit();
    assert!(matches!(script.next_but_fetch(), Step::Wait(_)));
    assert_eq!(outcomes(&mut script), [found()]);
}

#[test]
fn a_read_until_an_entry_changes_is_answered_by_the_commit_that_does_it_without_a_look_up() {
    let mut script = Script::running_in_log();
    script.take_visit();
    let holds = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&holds);
    let until = Arc::new(move |_: &[Option<Bytes>]| asked.load(Ordering::Relaxed));
    script.ask_when(visit(0).key.unwrap(), None, Some(until));
    assert!(matches!(script.next_but_fetch(), Step::Wait(Some(_))));
    script.answer(StepResult::Done);

    holds.store(true, Ordering::Relaxed);
    script.take_visit();
    assert!(matches!(script.next_but_fetch(), Step::Wait(_)));
    assert_eq!(outcomes(&mut script), [found()]);
}

#[test]
fn a_read_that_waits_for_a_record_in_vain_is_looked_up_at_its_deadline() {
    let mut script = Script::running_in_log();
    script.ask_when(visit(0).key.unwrap(), Some(Offset(0)), None);
    let Step::Wait(Some(deadline)) = script.next_but_fetch() else { panic!("it is waited for") };
    script.answer(StepResult::Done);

    script.now = deadline;
    assert!(matches!(script.next_but_fetch(), Step::LookUpEnds(_)));
    script.answer(StepResult::Ends(vec![Offset(1)]));
    script.next_but_fetch();
    assert_eq!(outcomes(&mut script), [QueryOutcome::Unavailable]);
}
