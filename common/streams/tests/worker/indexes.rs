//! What is only kept to be read is committed with others, and in time for whoever reads.

use bytes::Bytes;
use streams::{
    CommitBatch, ConsumedRecord, Offset, QueryOutcome, Step, StepResult, TopicPartition,
};

use crate::script::{PARTITION, SIGHTINGS, Script, VISITS, visit};

fn sighting(offset: u64) -> ConsumedRecord {
    let source = TopicPartition::new(SIGHTINGS.name(), PARTITION);
    ConsumedRecord { source, key: Some("bob".into()), ..visit(offset) }
}

/// Up to where a commit has taken the visits and the sightings.
fn committed(batch: &CommitBatch) -> [u64; 2] {
    let [task] = &batch.tasks[..] else { panic!("one task commits") };
    [VISITS.name(), SIGHTINGS.name()].map(|topic| {
        let offset = task.offsets.iter().find(|(of, _)| *of == topic);
        offset.unwrap().1.0
    })
}

/// A worker that waits with a sighting, and until when.
fn waiting() -> (Script, streams::Timestamp) {
    let mut script = Script::with_index();
    script.give(vec![sighting(0)]);
    let Step::Wait(Some(until)) = script.next_but_fetch() else { panic!("it waits for others") };
    script.answer(StepResult::Done);
    (script, until)
}

/// The one answer that there is.
fn answer(script: &mut Script) -> QueryOutcome {
    script.next_but_fetch();
    let answers = script.worker.take_answers();
    let [answer] = &answers[..] else { panic!("one answer, not {answers:?}") };
    answer.outcome.clone()
}

#[test]
fn what_is_only_indexed_is_committed_with_what_comes_next() {
    let (mut script, _) = waiting();

    script.give(vec![visit(0)]);

    let Step::Commit(batch) = script.step() else { panic!("the visit is committed") };
    assert_eq!(committed(&batch), [1, 1]);
}

#[test]
fn what_is_only_indexed_does_not_wait_for_ever() {
    let (mut script, until) = waiting();
    script.now = script.now + 60;
    assert_eq!(script.next_but_fetch(), Step::Wait(Some(until)), "counted from the first");
    script.answer(StepResult::Done);

    script.now = until;

    let Step::Commit(batch) = script.next_but_fetch() else { panic!("the sighting is due") };
    assert_eq!(committed(&batch), [0, 1]);
    script.commit(&batch);
    let Step::Wait(Some(tick)) = script.next_but_fetch() else { panic!("a tick may be wanted") };
    assert!(tick > until, "nothing else is left to do");
}

#[test]
fn what_is_only_indexed_waits_no_longer_when_the_clock_is_set_back() {
    let (mut script, _) = waiting();

    script.now = script.now - 60 * 60 * 1_000;

    assert!(matches!(script.next_but_fetch(), Step::Commit(_)));
}

#[test]
fn a_read_finds_what_was_written_before_it_came() {
    let (mut script, _) = waiting();
    let sightings = TopicPartition::new(SIGHTINGS.name(), PARTITION);

    script.ask(Bytes::from_static(b"bob"));

    let Step::LookUpEnds(of) = script.step() else { panic!("it may miss something") };
    assert!(of.contains(&sightings), "{of:?}");
    let end_of = |of: &TopicPartition| Offset(u64::from(*of == sightings));
    script.answer(StepResult::Ends(of.iter().map(end_of).collect()));
    let Step::Commit(batch) = script.next_but_fetch() else { panic!("somebody reads") };
    assert_eq!(committed(&batch), [0, 1]);
    script.commit(&batch);
    assert_eq!(answer(&mut script), QueryOutcome::Found(vec![Some("1".into())]));
}

#[test]
fn a_read_that_misses_is_certain_when_all_is_taken_that_was_written_before() {
    let mut script = Script::with_index();
    script.ask(Bytes::from_static(b"eve"));
    let Step::LookUpEnds(of) = script.step() else { panic!("it may miss something") };
    let end_of = |of: &TopicPartition| Offset(u64::from(of.topic == SIGHTINGS.name()));
    script.answer(StepResult::Ends(of.iter().map(end_of).collect()));
    assert!(script.worker.take_answers().is_empty());

    script.give(vec![sighting(0)]);

    let Step::Commit(batch) = script.step() else { panic!("somebody reads") };
    script.commit(&batch);
    assert_eq!(answer(&mut script), QueryOutcome::Found(vec![None]));
}
