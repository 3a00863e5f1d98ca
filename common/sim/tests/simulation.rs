//! Clients click counters on simulated instances. The system as it is stays clean whatever goes
//! wrong; with a guard taken out, it does not for long.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod counters;

use counters::Counters;
use sim::{Failure, Mode, Mutation, Setup};

/// How many seeds of each mode a test run tries.
const CLEAN_SEEDS: u64 = 40;
/// Within how many seeds a missing guard must be found.
const MUTATION_SEEDS: u64 = 1_000;

#[test]
fn nothing_is_lost_or_doubled_and_no_read_goes_back() {
    for mode in [Mode::Embedded, Mode::Kafka] {
        for seed in 0..CLEAN_SEEDS {
            let setup = Setup { seed, mode, mutation: None };
            if let Err(failure) = sim::run(setup, Counters::new) {
                panic!("{:?}\n{}\n{failure}", setup.options(), failure.trace.join("\n"));
            }
        }
    }
}

#[test]
fn a_seed_replays_to_the_same_end() {
    let events = |mode| {
        let setup = Setup { seed: 7, mode, mutation: None };
        sim::run(setup, Counters::new).map(|report| report.events).expect("the seed is clean")
    };
    for mode in [Mode::Embedded, Mode::Kafka] {
        assert_eq!(events(mode), events(mode));
    }
}

/// The first seed that shows that a guard is missing.
fn found(mode: Mode, mutation: Mutation) -> Result<Option<u64>, Box<Failure>> {
    sim::first_seed_without(mutation, mode, 0..MUTATION_SEEDS, Counters::new)
}

#[test]
fn a_guard_that_the_embedded_log_lacks_is_missed() {
    for mutation in [
        Mutation::NoFencing,
        Mutation::OffsetsOutsideTransaction,
        Mutation::StoreBeforeCommit,
        Mutation::AnswerBeforeSync,
        Mutation::ReadWithoutLookUp,
    ] {
        assert!(found(Mode::Embedded, mutation).unwrap().is_some(), "{mutation} is not found");
    }
}

#[test]
fn a_guard_that_kafka_lacks_is_missed() {
    for mutation in [
        Mutation::NoFencing,
        Mutation::OffsetsOutsideTransaction,
        Mutation::StoreBeforeCommit,
        Mutation::RestoreToLastStable,
        Mutation::UnknownTakenAsAborted,
        Mutation::ReadWithoutLookUp,
        Mutation::UnstableOffsets,
    ] {
        let seed = found(Mode::Kafka, mutation).unwrap();
        println!("{mutation}: {seed:?}");
        assert!(seed.is_some(), "{mutation} is not found");
    }
}
