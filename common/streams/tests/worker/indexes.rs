//! What is only kept to be read is there for whoever reads after it was written.

use bytes::Bytes;
use streams::{ConsumedRecord, Offset, QueryOutcome, Step, StepResult, TopicPartition};

use crate::script::{PARTITION, SIGHTINGS, Script, visit};

/// A worker that is asked for the sightings of a name when one of bob was written that it has not
/// fetched yet.
fn asked_for(name: &'static [u8]) -> Script {
    let mut script = Script::with_index();
    script.ask(Bytes::from_static(name));
    let Step::LookUpEnds(of) = script.step() else { panic!("it may miss something") };
    let end_of = |of: &TopicPartition| Offset(u64::from(of.topic == SIGHTINGS.name()));
    script.answer(StepResult::Ends(of.iter().map(end_of).collect()));
    script
}

/// The answer when that sighting is fetched and committed.
fn answer(mut script: Script) -> QueryOutcome {
    let source = TopicPartition::new(SIGHTINGS.name(), PARTITION);
    script.give(vec![ConsumedRecord { source, key: Some("bob".into()), ..visit(0) }]);
    assert!(script.worker.take_answers().is_empty(), "it waits for what was written before");
    let Step::Commit(batch) = script.step() else { panic!("the sighting is taken") };
    script.commit(&batch);
    script.next_but_fetch();
    let answers = script.worker.take_answers();
    let [answer] = &answers[..] else { panic!("one answer, not {answers:?}") };
    answer.outcome.clone()
}

#[test]
fn a_read_finds_what_was_written_before_it_came() {
    assert_eq!(answer(asked_for(b"bob")), QueryOutcome::Found(vec![Some("1".into())]));
}

#[test]
fn a_read_that_misses_is_certain_when_all_is_taken_that_was_written_before() {
    assert_eq!(answer(asked_for(b"eve")), QueryOutcome::Found(vec![None]));
}
