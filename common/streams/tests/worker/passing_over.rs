//! Events that mean nothing to a task cost no commit of their own.

use streams::{CommitBatch, ConsumedRecord, Partition, Step, StepResult, TopicPartition};

use crate::script::{NEWS, PARTITION, QUESTIONS, Script, VISITS, visit};

/// A record of a topic that means nothing to the task.
fn nothing(topic: streams::TopicName, offset: u64) -> ConsumedRecord {
    ConsumedRecord { source: TopicPartition::new(topic, PARTITION), ..visit(offset) }
}

fn committed(batch: &CommitBatch) -> [u64; 3] {
    let [task] = &batch.tasks[..] else { panic!("one task commits") };
    assert_eq!(task.partition, Partition(0));
    [VISITS.name(), NEWS.name(), QUESTIONS.name()].map(|topic| {
        let offset = task.offsets.iter().find(|(of, _)| *of == topic);
        offset.unwrap().1.0
    })
}

#[test]
fn events_that_mean_nothing_are_committed_with_what_comes_next() {
    let mut script = Script::with_news();
    script.give(vec![nothing(NEWS.name(), 0), nothing(NEWS.name(), 1)]);
    assert!(matches!(script.next_but_fetch(), Step::Wait(_)));
    script.answer(StepResult::Done);

    script.give(vec![visit(0)]);

    let Step::Commit(batch) = script.step() else { panic!("the visit is committed") };
    assert_eq!(committed(&batch), [1, 2, 0]);
    assert_eq!(script.worker.batch_records(), 3);
    script.commit(&batch);
    assert_eq!(script.worker.batch_records(), 0);
}

#[test]
fn positions_are_committed_alone_when_nothing_comes_for_a_while() {
    let mut script = Script::with_news();
    script.give(vec![nothing(NEWS.name(), 0)]);
    let Step::Wait(Some(until)) = script.next_but_fetch() else { panic!("not for ever") };
    script.answer(StepResult::Done);
    script.now = script.now + 400;
    script.give(vec![nothing(NEWS.name(), 1)]);
    assert_eq!(script.next_but_fetch(), Step::Wait(Some(until)), "counted from the first");
    script.answer(StepResult::Done);

    script.now = until;

    let Step::Commit(batch) = script.next_but_fetch() else { panic!("the positions are due") };
    assert_eq!(committed(&batch), [0, 2, 0]);
    assert_eq!((batch.tasks[0].outputs.len(), batch.tasks[0].changes.len()), (0, 0));
    script.commit(&batch);
    let Step::Wait(Some(tick)) = script.next_but_fetch() else { panic!("a tick may be wanted") };
    script.answer(StepResult::Done);
    script.now = tick;
    assert_eq!(script.next_but_fetch(), Step::Wait(None), "nothing else is left to do");
}

#[test]
fn positions_wait_no_longer_when_the_clock_is_set_back() {
    let mut script = Script::with_news();
    script.give(vec![nothing(NEWS.name(), 0)]);
    assert!(matches!(script.next_but_fetch(), Step::Wait(Some(_))));
    script.answer(StepResult::Done);

    script.now = script.now - 60 * 60 * 1_000;

    assert!(matches!(script.next_but_fetch(), Step::Commit(_)));
}

#[test]
fn a_request_is_committed_at_once_since_somebody_may_wait_for_it() {
    let mut script = Script::with_news();
    script.give(vec![nothing(NEWS.name(), 0), nothing(QUESTIONS.name(), 0)]);

    let Step::Commit(batch) = script.step() else { panic!("the request is committed") };

    assert_eq!(committed(&batch), [0, 1, 1]);
}

#[test]
fn an_event_that_changes_something_or_says_something_is_committed_at_once() {
    for value in ["2", "3"] {
        let mut script = Script::with_news();
        let news = ConsumedRecord { value: Some(value.into()), ..nothing(NEWS.name(), 0) };
        script.give(vec![news]);

        let Step::Commit(batch) = script.step() else { panic!("the event is committed") };

        assert_eq!(committed(&batch), [0, 1, 0]);
    }
}
