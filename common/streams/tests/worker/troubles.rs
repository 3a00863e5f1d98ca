//! Steps that fail, commits that do not hold, and a changelog that another task wrote to.

use bytes::Bytes;
use streams::{
    CommitOutcome, CommitPosition, ConsumedRecord, Fetched, Offset, Partition, QueryOutcome,
    Restored, StateBacking, Step, StepResult, StoreWrite, TaskPositions, TopicPartition,
};

use crate::restore;
use crate::script::{
    GUESTS, PARTITION, REMINDERS, Script, VISITS, changelog, offsets_change, visit,
};

fn failed() -> StepResult {
    StepResult::Failed { reason: "no answer".to_owned() }
}

/// Lets a step fail, and gives the one that follows when the worker has waited a little.
fn fail(script: &mut Script) -> Step {
    script.answer(failed());
    let Step::Wait(Some(until)) = script.step() else { panic!("it waits before it tries again") };
    script.now = until;
    script.answer(StepResult::Done);
    script.step()
}

/// A worker that is about to commit one visit.
fn committing() -> (Script, Step) {
    let mut script = Script::running_in_log();
    assert!(matches!(script.step(), Step::Fetch(_)));
    script.answer(script.fetched(vec![visit(0)]));
    let commit = script.step();
    assert!(matches!(commit, Step::Commit(_)));
    (script, commit)
}

/// A worker whose task runs beside a changelog that it knows up to offset 1.
fn running_beside_changelog() -> Script {
    let mut script = Script::new(StateBacking::Changelog);
    script.open();
    assert_eq!(restore(&mut script, 7, 7), Ok(Step::Wait(None)), "it runs");
    script.answer(StepResult::Done);
    script
}

/// It waits a moment, and its tasks start again.
fn starts_again(script: &mut Script) {
    let Step::Wait(Some(until)) = script.step() else { panic!("it waits before it tries again") };
    assert_eq!(until, script.now + 50);
    script.now = until;
    script.answer(StepResult::Done);
    assert_eq!(script.step(), Step::Open);
    script.answer(StepResult::Done);
    assert_eq!(script.step(), Step::LoadPositions(vec![PARTITION]));
}

#[test]
fn the_reason_of_a_failure_is_told_until_a_step_of_its_kind_succeeds() {
    let mut script = Script::running_in_log();
    assert_eq!(script.next_but_fetch(), Step::Wait(None));
    script.answer(StepResult::Done);
    assert!(matches!(script.step(), Step::Fetch(_)));
    assert!(matches!(fail(&mut script), Step::Fetch(_)));
    assert_eq!(script.health().trouble.as_deref(), Some("no answer"));

    script.answer(script.fetched(vec![visit(0)]));
    assert_eq!(script.health().trouble, None);
}

#[test]
fn steps_of_another_kind_do_not_hide_a_failure() {
    let mut script = Script::new(StateBacking::Changelog);
    script.open();
    script.load_positions(TaskPositions::default());
    assert_eq!(script.step(), Step::LookUpEnds(vec![changelog()]));
    script.answer(StepResult::Ends(vec![Offset(9)]));
    assert!(matches!(script.step(), Step::ReadChangelog { .. }));
    script.answer(failed());

    assert!(matches!(script.step(), Step::Fetch(_)));
    script.answer(script.fetched(vec![]));
    let Step::Wait(Some(until)) = script.step() else { panic!("it waits before it tries again") };
    assert_eq!(script.health().trouble.as_deref(), Some("no answer"));
    script.now = until;
    script.answer(StepResult::Done);
    assert!(matches!(script.next_but_fetch(), Step::ReadChangelog { .. }));
    script.answer(StepResult::Changelog(Restored::default()));
    assert_eq!(script.health().trouble, None);
}

#[test]
fn a_failure_is_forgotten_when_nothing_is_left_to_be_done() {
    let (mut script, _) = committing();
    let outcome = CommitOutcome::Unknown { reason: "no answer".to_owned() };
    script.answer(StepResult::Committed(outcome));
    starts_again(&mut script);
    assert_eq!(script.health().trouble.as_deref(), Some("no answer"));

    // The commit did hold, and nothing has come since.
    let committed = vec![(VISITS.name(), Offset(1))];
    script.answer(StepResult::Positions(vec![TaskPositions {
        committed,
        ..TaskPositions::default()
    }]));
    assert!(matches!(script.next_but_fetch(), Step::Wait(_)));
    assert_eq!(script.health().trouble, None);
}

#[test]
fn a_commit_without_a_sure_answer_starts_everything_again() {
    let (mut script, _) = committing();
    let outcome = CommitOutcome::Unknown { reason: "no answer".to_owned() };
    script.answer(StepResult::Committed(outcome));
    starts_again(&mut script);
}

#[test]
fn a_commit_that_could_not_be_made_starts_everything_again() {
    let (mut script, _) = committing();
    script.answer(failed());
    starts_again(&mut script);
}

#[test]
fn what_was_looked_up_for_a_read_is_forgotten_when_its_task_starts_again() {
    let mut script = Script::running_in_log();
    script.take_visit();
    script.ask_when(Bytes::from_static(b"bob"), Some(Offset(0)), None);
    assert!(matches!(script.next_but_fetch(), Step::LookUpEnds(_)), "the visit has been taken");
    script.answer(StepResult::Ends(vec![Offset(5)]));
    assert!(matches!(script.step(), Step::Fetch(_)), "bob may be among those to come");
    script.answer(script.fetched(vec![visit(1)]));
    assert!(matches!(script.step(), Step::Commit(_)));

    script.answer(failed());
    starts_again(&mut script);
    let committed = vec![(VISITS.name(), Offset(1))];
    script.load_positions(TaskPositions { committed, ..TaskPositions::default() });
    assert!(matches!(script.next_but_fetch(), Step::LookUpEnds(_)));
}

#[test]
fn an_aborted_commit_is_made_again() {
    let (mut script, commit) = committing();
    let outcome = CommitOutcome::Aborted { reason: "the log said so".to_owned() };
    script.answer(StepResult::Committed(outcome));
    let Step::Wait(Some(until)) = script.step() else { panic!("it waits before it tries again") };
    script.now = until;
    script.answer(StepResult::Done);
    assert_eq!(script.next_but_fetch(), commit);
}

#[test]
fn a_failed_look_up_for_a_read_is_made_again() {
    let mut script = Script::running_in_log();
    script.ask(visit(0).key.unwrap());
    let look_up = script.next_but_fetch();
    assert!(matches!(look_up, Step::LookUpEnds(_)));
    assert_eq!(fail(&mut script), look_up);
}

#[test]
fn a_failed_look_up_for_a_tick_is_made_again() {
    let mut script = Script::running_in_log();
    script.take_visit();
    script.now = script.now + 1_000;
    let look_up = script.next_but_fetch();
    assert!(matches!(look_up, Step::LookUpEnds(_)));
    assert_eq!(fail(&mut script), look_up);
}

#[test]
fn a_tick_comes_after_what_was_there_when_it_was_due() {
    let mut script = Script::running_in_log();
    script.take_visit();
    script.now = script.now + 1_000;
    assert!(matches!(script.next_but_fetch(), Step::LookUpEnds(_)));
    script.answer(StepResult::Ends(vec![Offset(2)]));
    assert!(matches!(script.next_but_fetch(), Step::Wait(_)), "there is another visit to take");
    script.answer(StepResult::Done);

    script.take_visit();
    let Step::Commit(batch) = script.next_but_fetch() else { panic!("the tick is taken") };
    assert_eq!(batch.tasks[0].outputs[0].destination.topic, REMINDERS.name());
}

#[test]
fn a_tick_is_not_taken_within_a_batch() {
    let mut script = Script::running_in_log();
    script.take_visit();
    assert!(matches!(script.step(), Step::Fetch(_)));
    script.answer(script.fetched((1..=200).map(visit).collect()));
    assert_eq!(script.step(), Step::Continue, "the batch is not finished");
    script.answer(StepResult::Done);
    script.now = script.now + 1_000;
    assert!(matches!(script.step(), Step::LookUpEnds(_)));
    script.answer(StepResult::Ends(vec![Offset(1)]));

    let Step::Commit(batch) = script.step() else { panic!("the batch has taken long enough") };
    assert_eq!(batch.tasks[0].outputs, []);
}

#[test]
fn a_store_whose_changelog_no_longer_reaches_back_to_it_is_emptied() {
    let mut script = Script::new(StateBacking::Changelog);
    script.open();
    let checkpoint = Some(Offset(2));
    script.load_positions(TaskPositions { checkpoint, ..TaskPositions::default() });
    assert_eq!(script.step(), Step::LookUpEnds(vec![changelog()]));
    script.answer(StepResult::Ends(vec![Offset(9)]));
    let from_the_store = Step::ReadChangelog { partition: PARTITION, from: Offset(2) };
    assert_eq!(script.step(), from_the_store);
    script.answer(StepResult::OutOfRange { reason: "position 2 is out of range".to_owned() });
    assert_eq!(script.step(), Step::WipeStore(PARTITION));
}

/// A read comes, and there is more in the changelog than the task has written.
fn a_gap_shows(script: &mut Script) {
    script.ask(visit(0).key.unwrap());
    let Step::LookUpEnds(of) = script.next_but_fetch() else { panic!("a read looks up the ends") };
    let end = |of| if of == changelog() { Offset(3) } else { Offset(7) };
    script.answer(StepResult::Ends(of.into_iter().map(end).collect()));
    let the_rest = Step::ReadChangelog { partition: PARTITION, from: Offset(1) };
    assert_eq!(script.next_but_fetch(), the_rest);
}

#[test]
fn a_task_whose_changelog_another_wrote_to_starts_again_and_answers_nothing() {
    let mut script = running_beside_changelog();
    a_gap_shows(&mut script);
    let changes = vec![offsets_change(8)];
    script.answer(StepResult::Changelog(Restored { changes, position: Offset(3) }));
    assert_eq!(script.step(), Step::LoadPositions(vec![PARTITION]));
    assert_eq!(script.worker.take_answers(), []);
}

#[test]
fn a_task_whose_changelog_has_but_aborted_records_more_goes_on_and_answers() {
    let mut script = running_beside_changelog();
    a_gap_shows(&mut script);
    let changes = Vec::new();
    script.answer(StepResult::Changelog(Restored { changes, position: Offset(3) }));
    script.next_but_fetch();
    let answers = script.worker.take_answers();
    assert_eq!(answers[0].outcome, QueryOutcome::Found(vec![None]));
}

#[test]
fn offsets_that_differed_once_may_do_so_again_when_the_task_has_run_since() {
    let mut script = Script::new(StateBacking::Changelog);
    script.open();
    assert_eq!(restore(&mut script, 4, 5), Ok(Step::LoadPositions(vec![PARTITION])));
    assert_eq!(restore(&mut script, 5, 5), Ok(Step::Wait(None)), "it runs");
    script.answer(StepResult::Done);
    let outcome = CommitOutcome::Fenced;
    assert!(matches!(script.step(), Step::Fetch(_)));
    script.answer(script.fetched(vec![visit(5)]));
    assert!(matches!(script.step(), Step::Commit(_)));
    script.answer(StepResult::Committed(outcome));
    starts_again(&mut script);
    assert_eq!(restore(&mut script, 4, 5), Ok(Step::LoadPositions(vec![PARTITION])));
}

#[test]
fn an_answer_is_not_shown_before_the_commit_that_made_it() {
    let mut script = Script::running_in_log();
    script.take_visit();
    script.ask(visit(0).key.unwrap());
    assert!(matches!(script.next_but_fetch(), Step::LookUpEnds(_)));
    script.answer(StepResult::Ends(vec![Offset(1)]));
    script.next_but_fetch();
    let answers = script.worker.take_answers();
    assert_eq!(answers[0].position, CommitPosition(1));
}

#[test]
fn a_page_of_a_table_is_not_shown_before_what_was_fetched() {
    let mut script = Script::running_in_log();
    assert!(matches!(script.step(), Step::Fetch(_)));
    let StepResult::Fetched(mut fetched) = script.fetched(Vec::new()) else {
        panic!("a fetch was asked for");
    };
    fetched.as_of = CommitPosition(9);
    script.answer(StepResult::Fetched(fetched));
    let (_, as_of) = script.worker.table_page(VISITS.name(), b"", 1);
    assert_eq!(as_of, CommitPosition(9));
}

/// A commit of the task ends its changelog at 4, and is in the local store.
fn commits_beside_changelog(script: &mut Script, commit: Step) {
    assert!(matches!(commit, Step::Commit(_)), "{commit:?}");
    let (position, changelog_ends) = (CommitPosition(1), vec![(PARTITION, Offset(4))]);
    let outcome = CommitOutcome::Committed { position, changelog_ends };
    script.answer(StepResult::Committed(outcome));
    let Step::WriteStores(writes) = script.step() else { panic!("the commit is written") };
    let positions = writes.iter().map(|write| (write.partition, write.position));
    assert_eq!(positions.collect::<Vec<_>>(), [(PARTITION, Offset(4))]);
    assert_eq!(script.worker.take_answers(), []);
    writes.iter().for_each(|write| script.write(write));
    script.answer(StepResult::Done);
}

/// A worker that wants to write what the tasks of two partitions have committed.
fn about_to_write_two_stores() -> (Script, Vec<StoreWrite>) {
    let both = vec![PARTITION, Partition(1)];
    let mut script = Script::new(StateBacking::Changelog);
    script.assign(both.clone(), vec![]);
    assert_eq!(script.step(), Step::Open);
    script.answer(StepResult::Done);
    assert_eq!(script.step(), Step::LoadPositions(both.clone()));
    script.answer(StepResult::Positions(vec![TaskPositions::default(); 2]));
    assert!(matches!(script.step(), Step::LookUpEnds(_)));
    script.answer(StepResult::Ends(vec![Offset(0); 2]));
    let of_the_other = TopicPartition::new(VISITS.name(), Partition(1));
    script.give(vec![visit(0), ConsumedRecord { source: of_the_other, ..visit(0) }]);
    assert!(matches!(script.step(), Step::Commit(_)));
    let changelog_ends = both.into_iter().map(|of| (of, Offset(4))).collect();
    let position = CommitPosition(1);
    let outcome = CommitOutcome::Committed { position, changelog_ends };
    script.answer(StepResult::Committed(outcome));
    let Step::WriteStores(writes) = script.step() else { panic!("the commit is written") };
    (script, writes)
}

#[test]
fn the_stores_of_a_commit_are_written_in_one_piece_until_that_holds() {
    let (mut script, writes) = about_to_write_two_stores();
    let partitions: Vec<_> = writes.iter().map(|write| write.partition).collect();
    assert_eq!(partitions, [PARTITION, Partition(1)]);

    assert_eq!(fail(&mut script), Step::WriteStores(writes));

    script.answer(StepResult::Done);
    assert!(!matches!(script.next_but_fetch(), Step::WriteStores(_)));
}

#[test]
fn a_partition_that_is_lost_before_its_store_is_written_is_left_out() {
    let (mut script, writes) = about_to_write_two_stores();
    assert_eq!(fail(&mut script), Step::WriteStores(writes.clone()));

    script.answer(failed());
    script.assign(vec![Partition(1)], vec![]);
    let Step::Wait(Some(until)) = script.step() else { panic!("it waits before it tries again") };
    script.now = until;
    script.answer(StepResult::Done);

    assert_eq!(script.step(), Step::WriteStores(writes[1..].to_vec()));
}

#[test]
fn a_commit_is_shown_when_the_local_store_has_it() {
    let mut script = running_beside_changelog();
    script.ask(visit(7).key.unwrap());
    let Step::LookUpEnds(of) = script.next_but_fetch() else { panic!("a read looks up the ends") };
    let end = |of| Offset(if of == changelog() { 1 } else { 8 });
    script.answer(StepResult::Ends(of.into_iter().map(end).collect()));
    assert!(matches!(script.step(), Step::Fetch(_)), "what was there is to be taken first");
    script.answer(script.fetched(vec![visit(7)]));
    let commit = script.step();

    commits_beside_changelog(&mut script, commit);

    script.next_but_fetch();
    assert_eq!(script.worker.take_answers().len(), 1);
}

/// What a worker does after a commit that ends its changelog at 4, when a read shows that the
/// changelog ends there.
fn reads_after_a_commit(changelog_end: u64) -> Step {
    let mut script = running_beside_changelog();
    while !matches!(script.step(), Step::Fetch(_)) {
        script.answer(StepResult::Done);
    }
    script.answer(script.fetched(vec![visit(7)]));
    let commit = script.step();
    commits_beside_changelog(&mut script, commit);
    script.ask(visit(7).key.unwrap());
    let Step::LookUpEnds(of) = script.next_but_fetch() else { panic!("a read looks up the ends") };
    let end = |of| Offset(if of == changelog() { changelog_end } else { 8 });
    script.answer(StepResult::Ends(of.into_iter().map(end).collect()));
    script.next_but_fetch()
}

#[test]
fn the_marker_of_its_own_commit_is_no_gap_and_anything_beyond_it_is() {
    assert!(matches!(reads_after_a_commit(4), Step::Wait(_)));
    assert!(matches!(reads_after_a_commit(5), Step::Wait(_)));
    let the_rest = Step::ReadChangelog { partition: PARTITION, from: Offset(4) };
    assert_eq!(reads_after_a_commit(6), the_rest);
}

#[test]
fn a_task_that_was_another_s_for_a_while_has_nothing_left_to_write() {
    let mut script = running_beside_changelog();
    assert!(matches!(script.step(), Step::Fetch(_)));
    script.answer(script.fetched(vec![visit(7)]));
    assert!(matches!(script.step(), Step::Commit(_)));
    let (position, changelog_ends) = (CommitPosition(1), vec![(PARTITION, Offset(4))]);
    let outcome = CommitOutcome::Committed { position, changelog_ends };
    script.answer(StepResult::Committed(outcome));
    script.assign(vec![PARTITION], vec![PARTITION]);
    assert_eq!(script.step(), Step::LoadPositions(vec![PARTITION]));
}

#[test]
fn offsets_that_the_group_has_lost_are_committed_again() {
    let mut script = Script::new(StateBacking::Changelog);
    script.open();
    script.load_positions(TaskPositions::default());
    assert_eq!(script.step(), Step::LookUpEnds(vec![changelog()]));
    script.answer(StepResult::Ends(vec![Offset(1)]));
    assert!(matches!(script.step(), Step::ReadChangelog { .. }));
    let changes = vec![offsets_change(7)];
    script.answer(StepResult::Changelog(Restored { changes, position: Offset(1) }));
    let Step::WriteStores(writes) = script.step() else { panic!("what was read is written") };
    writes.iter().for_each(|write| script.write(write));
    script.answer(StepResult::Done);
    let Step::Commit(batch) = script.next_but_fetch() else { panic!("they are committed") };
    assert_eq!(batch.tasks[0].offsets, [(VISITS.name(), Offset(7))]);
}

/// A worker that looks up where its table ends.
fn about_to_read_its_table() -> Script {
    let mut script = Script::with_table();
    script.open();
    script.load_positions(TaskPositions::default());
    let guests = TopicPartition::new(GUESTS.name(), PARTITION);
    assert_eq!(script.step(), Step::LookUpEnds(vec![guests]));
    script
}

#[test]
fn no_record_is_taken_before_the_tables_are_read_to_their_ends() {
    let mut script = about_to_read_its_table();
    script.answer(StepResult::Ends(vec![Offset(2)]));
    assert!(matches!(script.step(), Step::Fetch(_)));
    script.answer(script.fetched(vec![visit(0)]));
    let wait = script.next_but_fetch();
    let Step::Wait(Some(until)) = wait else {
        panic!("the table is not read to its end: {wait:?}")
    };
    assert!(until <= script.now + 10, "nobody wakes a worker for the marker at the end of a table");
    script.answer(StepResult::Done);
    assert!(matches!(script.step(), Step::Fetch(_)));

    let guests = TopicPartition::new(GUESTS.name(), PARTITION);
    let positions = vec![(guests, Offset(2))];
    script.answer(StepResult::Fetched(Fetched { positions, ..Fetched::default() }));
    assert!(matches!(script.step(), Step::Commit(_)));
}

#[test]
fn a_failed_look_up_for_the_tables_is_made_again() {
    let mut script = about_to_read_its_table();
    let guests = TopicPartition::new(GUESTS.name(), PARTITION);
    assert_eq!(fail(&mut script), Step::LookUpEnds(vec![guests]));
}

#[test]
fn a_fetch_out_of_range_starts_tasks_again_and_stops_the_worker_when_that_does_not_help() {
    let mut script = Script::running_in_log();
    let out_of_range = || StepResult::OutOfRange { reason: "position 7 of visits/0".to_owned() };
    script.worker.news();
    assert!(matches!(script.step(), Step::Fetch(_)));
    script.answer(out_of_range());
    starts_again(&mut script);
    script.load_positions(TaskPositions::default());
    while !matches!(script.step(), Step::Fetch(_)) {
        script.answer(StepResult::Done);
    }

    let stopped = script.try_answer(out_of_range());

    assert!(
        matches!(stopped, Err(streams::Error::OutOfRange { reason }) if reason.contains("visits/0"))
    );
}
