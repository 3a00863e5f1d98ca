//! The four services in the simulator. The system as it is stays clean whatever goes wrong; with a
//! guard taken out, it does not for long.

use e2e_tests::simulation::{Ending, Endings, Shop};
use events::order::{OrderState, Reason};
use sim::{Failure, Mode, Mutation, Options, Report, Setup};

/// How many seeds of each mode a test run tries; the `sim` program tries many more.
const CLEAN_SEEDS: u64 = 20;
/// Within how many seeds a missing guard must be found.
const MUTATION_SEEDS: u64 = 1_000;

fn run(setup: Setup, endings: &Endings) -> Result<Report, Box<Failure>> {
    sim::run(setup, |options, random| Shop::new(options, random, endings))
}

#[test]
fn the_invariants_hold_and_orders_end_in_every_way() {
    let endings = Endings::default();
    for mode in [Mode::Embedded, Mode::Kafka] {
        for seed in 0..CLEAN_SEEDS {
            let setup = Setup { seed, mode, mutation: None };
            if let Err(failure) = run(setup, &endings) {
                panic!("{:?}\n{}\n{failure}", setup.options(), failure.trace.join("\n"));
            }
        }
    }
    let failed = |reason| (OrderState::Failed, Some(reason));
    let expected: [Ending; 10] = [
        (OrderState::Paid, None),
        (OrderState::Shipped, None),
        (OrderState::Cancelled, None),
        failed(Reason::UnknownProduct),
        failed(Reason::PriceChanged),
        failed(Reason::CurrencyMismatch),
        failed(Reason::InsufficientStock),
        failed(Reason::SpendingLimit),
        failed(Reason::PaymentDeclined),
        failed(Reason::Timeout),
    ];
    for ending in expected {
        assert!(endings.of(ending) > 0, "{ending:?} is not among {endings}");
    }
    for unsettled in [OrderState::Created, OrderState::Validated] {
        assert_eq!(endings.of((unsettled, None)), 0, "{endings}");
    }
}

#[test]
fn a_seed_replays_to_the_same_end() {
    let report = |mode| {
        let endings = Endings::default();
        let setup = Setup { seed: 7, mode, mutation: None };
        let report = run(setup, &endings).expect("the seed is clean");
        (report, endings.to_string())
    };
    for mode in [Mode::Embedded, Mode::Kafka] {
        assert_eq!(report(mode), report(mode));
    }
}

/// The first seed that shows that a guard is missing.
fn found(mode: Mode, mutation: Mutation) -> Result<Option<u64>, Box<Failure>> {
    let make = |options: &Options, random| Shop::new(options, random, &Endings::default());
    sim::first_seed_without(mutation, mode, 0..MUTATION_SEEDS, make)
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
        let seed = found(Mode::Embedded, mutation).unwrap();
        println!("{mutation}: {seed:?}");
        assert!(seed.is_some(), "{mutation} is not found");
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
        Mutation::LossUntold,
    ] {
        let seed = found(Mode::Kafka, mutation).unwrap();
        println!("{mutation}: {seed:?}");
        assert!(seed.is_some(), "{mutation} is not found");
    }
}
