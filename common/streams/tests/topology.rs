//! Topologies run by the driver: processors, stores, tables, timers, sessions and bad records.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::Cell;

use bytes::Bytes;
use streams::testing::TopologyDriver;
use streams::{
    Codec, ConsumedRecord, Context, DecodeError, Encoded, Headers, Json, Key, KeyRange, Offset,
    Partition, ProcessError, ProducedRecord, Record, SessionStore, SessionWindows, Store, Tick,
    Timestamp, Topic, TopicName, TopicPartition, Topology, TopologyBuilder, TopologyError,
    dead_letter,
};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name(String);

impl Key for Name {
    fn encode(&self) -> Bytes {
        Bytes::copy_from_slice(self.0.as_bytes())
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        String::from_utf8(bytes.to_vec())
            .map(Name)
            .map_err(|error| DecodeError::Malformed(error.to_string()))
    }
}

fn name(text: &str) -> Name {
    Name(text.to_owned())
}

const PARTITIONS: u32 = 3;
const VISITS: Topic<Name, u64> = Topic::new("visits");
const PRICES: Topic<Name, u64> = Topic::new("prices");
const BILLS: Topic<Name, u64> = Topic::new("bills");
const REMINDERS: Topic<Name, u64> = Topic::new("reminders");
const DEAD_LETTERS: TopicName = TopicName::new("dead-letters");
const COUNTS: Store<Name, u64> = Store::new("counts");
const OPEN: Store<Name, u64> = Store::new("open");
const SESSIONS: SessionStore<Name, u64> =
    SessionStore::new("sessions", SessionWindows { gap_ms: 100, retention_ms: 1_000 });

fn visits() -> TopologyBuilder {
    TopologyBuilder::new("visits-service", DEAD_LETTERS)
        .table(&PRICES)
        .requests(&VISITS, "bill-visit", bill_visit)
        .with_store(&COUNTS)
        .with_store(&OPEN)
        .join(&PRICES)
        .to(&BILLS)
        .timer(&OPEN, "remind", remind)
        .to(&REMINDERS)
}

/// Bills the n-th visit n times the price; a visitor without a price is billed 0.
fn bill_visit(context: &mut Context<'_>, visit: Record<Name, u64>) -> Result<(), ProcessError> {
    let count = context.get(&COUNTS, &visit.key)?.unwrap_or(0) + visit.value;
    context.put(&COUNTS, &visit.key, &count)?;
    context.put(&OPEN, &visit.key, &(context.ticks() + 2))?;
    let price = match context.lookup(&PRICES, &visit.key)? {
        Some(price) => price,
        None => {
            context.require_current_tables()?;
            0
        }
    };
    context.forward(&BILLS, &visit.key, &(count * price))
}

fn remind(context: &mut Context<'_>, tick: Tick) -> Result<(), ProcessError> {
    for (visitor, due) in context.range(&OPEN, &KeyRange::all(), usize::MAX)? {
        if due <= tick.number {
            context.delete(&OPEN, &visitor)?;
            context.forward(&REMINDERS, &visitor, &tick.number)?;
        }
    }
    Ok(())
}

fn driver() -> TopologyDriver {
    TopologyDriver::new(visits().build().unwrap(), PARTITIONS).unwrap()
}

const NOW: Timestamp = Timestamp::from_millis(1_000);

#[test]
fn each_key_is_counted_in_its_own_partition() {
    let mut driver = driver();
    for (visitor, visits) in [("ann", 1), ("bob", 2), ("ann", 3)] {
        driver.pipe_input(&VISITS, &name(visitor), &visits, NOW);
    }
    driver.commit().unwrap();
    assert_eq!(driver.get(&COUNTS, &name("ann"), &name("ann")).unwrap(), Some(4));
    assert_eq!(driver.get(&COUNTS, &name("bob"), &name("bob")).unwrap(), Some(2));
}

#[test]
fn an_aborted_batch_leaves_nothing_and_is_taken_again() {
    let mut driver = driver();
    driver.pipe_input(&VISITS, &name("ann"), &1, NOW);
    driver.abort().unwrap();
    assert_eq!(driver.get(&COUNTS, &name("ann"), &name("ann")).unwrap(), None);
    assert!(driver.read_output(&BILLS).unwrap().is_empty());
    driver.commit().unwrap();
    assert_eq!(driver.get(&COUNTS, &name("ann"), &name("ann")).unwrap(), Some(1));
    assert_eq!(driver.read_output(&BILLS).unwrap(), [(name("ann"), 0)]);
}

#[test]
fn a_table_is_joined_as_it_is_when_the_record_is_taken() {
    let mut driver = driver();
    driver.pipe_input(&PRICES, &name("ann"), &10, NOW);
    driver.pipe_input(&VISITS, &name("ann"), &1, NOW);
    driver.commit().unwrap();
    driver.pipe_input(&PRICES, &name("ann"), &20, NOW);
    driver.pipe_input(&VISITS, &name("ann"), &1, NOW);
    driver.commit().unwrap();
    let bills = driver.read_output(&BILLS).unwrap();
    assert_eq!(bills, [(name("ann"), 10), (name("ann"), 40)]);
}

#[test]
fn a_tick_comes_only_while_the_store_of_its_timer_has_entries() {
    let mut driver = driver();
    driver.tick(NOW).unwrap();
    driver.pipe_input(&VISITS, &name("ann"), &1, NOW);
    for second in 1..=4 {
        driver.tick(NOW + second * 1_000).unwrap();
    }
    // Two ticks after it was opened, counted from 0: the ticks before did not count.
    assert_eq!(driver.read_output(&REMINDERS).unwrap(), [(name("ann"), 2)]);
    assert_eq!(driver.entries(&OPEN).unwrap(), []);
}

#[test]
fn the_same_input_gives_the_same_bytes_however_it_is_cut_into_batches() {
    let run = |commit_each: bool| {
        let mut driver = driver();
        driver.pipe_input(&PRICES, &name("ann"), &10, NOW);
        for visits in 1..=20 {
            let visitor = if visits % 3 == 0 { "ann" } else { "bob" };
            driver.pipe_input(&VISITS, &name(visitor), &visits, NOW);
            if commit_each {
                driver.commit().unwrap();
            }
        }
        driver.commit().unwrap();
        let mut outputs = driver.read_raw_output(BILLS.name());
        outputs.sort_by_key(|record| (record.source, record.offset));
        (outputs, driver.entries(&COUNTS).unwrap())
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn a_request_that_cannot_be_decoded_becomes_a_dead_letter_and_the_task_goes_on() {
    let mut driver = driver();
    driver.pipe(ProducedRecord {
        destination: TopicPartition::new(VISITS.name(), Partition(1)),
        timestamp: NOW,
        key: Some(Bytes::from_static(b"ann")),
        value: Some(Bytes::from_static(b"no number")),
        headers: Headers::default(),
    });
    driver.pipe_input(&VISITS, &name("bob"), &1, NOW);
    driver.commit().unwrap();
    let letters = driver.read_raw_output(DEAD_LETTERS);
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].value.as_deref(), Some(b"no number".as_slice()));
    assert_eq!(letters[0].headers.get_str(dead_letter::TOPIC), Some("visits"));
    assert_eq!(letters[0].headers.get_str(dead_letter::PARTITION), Some("1"));
    assert_eq!(letters[0].headers.get_str(dead_letter::OFFSET), Some("0"));
    assert!(letters[0].headers.get_str(dead_letter::ERROR).unwrap().contains("malformed"));
    assert_eq!(driver.read_output(&BILLS).unwrap().len(), 1);
}

thread_local! {
    /// Whether this version of the service can read a [`Riddle`].
    static KNOWS_RIDDLES: Cell<bool> = const { Cell::new(false) };
}

/// Writes numbers that only a newer version can read.
struct Riddle;

impl Codec<u64> for Riddle {
    fn encode(value: &u64) -> Encoded {
        Json::encode(value)
    }

    fn decode(event_type: Option<&str>, bytes: &[u8]) -> Result<u64, DecodeError> {
        if !KNOWS_RIDDLES.get() {
            return Err(DecodeError::Malformed("a riddle".to_owned()));
        }
        Json::decode(event_type, bytes)
    }
}

const RIDDLES: Topic<Name, u64, Riddle> = Topic::new("riddles");
const ASKED: Topic<Name, u64, Riddle> = Topic::new("asked");

/// Adds up what it reads: of other services on `riddles`, of clients on `asked`.
fn riddle_driver() -> TopologyDriver {
    KNOWS_RIDDLES.set(false);
    let topology = TopologyBuilder::new("riddles-service", DEAD_LETTERS)
        .stream(&RIDDLES, "add-riddle", add)
        .with_store(&COUNTS)
        .requests(&ASKED, "add-asked", add)
        .with_store(&COUNTS)
        .build()
        .unwrap();
    TopologyDriver::new(topology, PARTITIONS).unwrap()
}

fn add(context: &mut Context<'_>, riddle: Record<Name, u64>) -> Result<(), ProcessError> {
    let sum = context.get(&COUNTS, &riddle.key)?.unwrap_or(0) + riddle.value;
    context.put(&COUNTS, &riddle.key, &sum)
}

/// What the driver's tasks still miss of our own services.
fn missing(driver: &TopologyDriver) -> Vec<String> {
    let missing = driver.bad_records().unwrap();
    missing.iter().map(|(place, _)| String::from_utf8_lossy(place).into_owned()).collect()
}

fn ann_of(driver: &TopologyDriver) -> Option<u64> {
    driver.get(&COUNTS, &name("ann"), &name("ann")).unwrap()
}

/// Puts a dead letter back where it came from, as often as it is called.
fn put_back(driver: &mut TopologyDriver, letter: &ConsumedRecord, topic: TopicName) {
    let header = |name| letter.headers.get_str(name).unwrap();
    assert_eq!(header(dead_letter::TOPIC), topic.as_str());
    let partition = Partition(header(dead_letter::PARTITION).parse().unwrap());
    let offset = Offset(header(dead_letter::OFFSET).parse().unwrap());
    driver.pipe(dead_letter::requeued(letter, TopicPartition::new(topic, partition), offset));
    driver.commit().unwrap();
}

#[test]
fn a_record_that_is_put_back_is_taken_once_however_often_that_is_done() {
    for topic in [&RIDDLES, &ASKED] {
        // Given a record that this version cannot read
        let mut driver = riddle_driver();
        driver.pipe_input(topic, &name("ann"), &5, NOW);
        driver.commit().unwrap();
        let letters = driver.read_raw_output(DEAD_LETTERS);
        assert_eq!((letters.len(), ann_of(&driver)), (1, None));
        let is_internal = topic.name() == RIDDLES.name();
        assert_eq!(missing(&driver).len(), usize::from(is_internal));

        // When the next version reads it, put back twice
        KNOWS_RIDDLES.set(true);
        put_back(&mut driver, &letters[0], topic.name());
        put_back(&mut driver, &letters[0], topic.name());

        // Then it counts once, and nothing is missing
        assert_eq!(ann_of(&driver), Some(5), "{topic:?}");
        assert_eq!(missing(&driver), [""; 0]);
    }
}

#[test]
fn two_copies_in_one_batch_are_taken_once() {
    let mut driver = riddle_driver();
    driver.pipe_input(&RIDDLES, &name("ann"), &5, NOW);
    driver.commit().unwrap();
    let letter = driver.read_raw_output(DEAD_LETTERS).remove(0);
    KNOWS_RIDDLES.set(true);
    let destination =
        TopicPartition::new(RIDDLES.name(), streams::partition_for_key(b"ann", PARTITIONS));
    for _ in 0..2 {
        driver.pipe(dead_letter::requeued(&letter, destination, Offset(0)));
    }

    driver.abort().unwrap();
    driver.commit().unwrap();

    assert_eq!(ann_of(&driver), Some(5));
}

#[test]
fn a_record_that_is_put_back_and_still_cannot_be_decoded_is_a_letter_of_its_new_place() {
    let mut driver = riddle_driver();
    driver.pipe_input(&RIDDLES, &name("ann"), &5, NOW);
    driver.commit().unwrap();
    let first = driver.read_raw_output(DEAD_LETTERS).remove(0);

    put_back(&mut driver, &first, RIDDLES.name());
    let second = driver.read_raw_output(DEAD_LETTERS).remove(0);

    assert_eq!(second.headers.get_str(dead_letter::OFFSET), Some("1"));
    assert_eq!(second.headers.iter().len(), first.headers.iter().len());
    assert_eq!(missing(&driver).len(), 1, "{:?}", missing(&driver));
    KNOWS_RIDDLES.set(true);
    put_back(&mut driver, &second, RIDDLES.name());
    assert_eq!((ann_of(&driver), missing(&driver).len()), (Some(5), 0));
}

#[test]
fn a_task_that_took_a_record_at_the_first_time_passes_over_its_copies() {
    // Given a record that this service has read, and another has not
    let mut driver = riddle_driver();
    KNOWS_RIDDLES.set(true);
    driver.pipe_input(&RIDDLES, &name("ann"), &5, NOW);
    driver.commit().unwrap();
    let mut other = riddle_driver();
    other.pipe_input(&RIDDLES, &name("ann"), &5, NOW);
    other.commit().unwrap();
    let letter = other.read_raw_output(DEAD_LETTERS).remove(0);
    KNOWS_RIDDLES.set(true);

    put_back(&mut driver, &letter, RIDDLES.name());
    put_back(&mut other, &letter, RIDDLES.name());

    assert_eq!((ann_of(&driver), ann_of(&other)), (Some(5), Some(5)));
}

fn session_totals(context: &mut Context<'_>, visit: Record<Name, u64>) -> Result<(), ProcessError> {
    let session = context.find_session(&SESSIONS, &visit.key, |left, right| left + right)?;
    let total = session.value.unwrap_or(0) + visit.value;
    context.put_session(&SESSIONS, &visit.key, session, &total)?;
    context.forward(&BILLS, &visit.key, &total)
}

fn session_driver() -> TopologyDriver {
    let topology = TopologyBuilder::new("sessions-service", DEAD_LETTERS)
        .stream(&VISITS, "total-sessions", session_totals)
        .with_sessions(&SESSIONS)
        .to(&BILLS)
        .build()
        .unwrap();
    TopologyDriver::new(topology, PARTITIONS).unwrap()
}

fn totals_of(visits: &[(u64, u64)]) -> Vec<u64> {
    let mut driver = session_driver();
    for (at, value) in visits {
        driver.pipe_input(&VISITS, &name("ann"), value, NOW + *at);
        driver.commit().unwrap();
    }
    driver.read_output(&BILLS).unwrap().into_iter().map(|(_, total)| total).collect()
}

#[test]
fn records_within_the_gap_are_one_session_and_others_are_not() {
    assert_eq!(totals_of(&[(0, 1), (100, 2), (201, 4)]), [1, 3, 4]);
}

#[test]
fn a_record_between_two_sessions_makes_them_one() {
    assert_eq!(totals_of(&[(0, 1), (150, 2), (75, 4), (250, 8)]), [1, 2, 7, 15]);
}

#[test]
fn a_record_older_than_the_retention_finds_nothing_and_leaves_nothing() {
    assert_eq!(totals_of(&[(0, 1), (5_000, 2), (10, 4), (10, 8)]), [1, 2, 4, 8]);
}

#[test]
fn sessions_of_keys_that_begin_alike_stay_apart() {
    let mut driver = session_driver();
    driver.pipe_input(&VISITS, &name("ann"), &1, NOW);
    driver.pipe_input(&VISITS, &name("anna"), &2, NOW);
    driver.pipe_input(&VISITS, &name("ann"), &4, NOW);
    driver.commit().unwrap();
    let mut totals = driver.read_output(&BILLS).unwrap();
    totals.sort();
    assert_eq!(totals, [(name("ann"), 1), (name("ann"), 5), (name("anna"), 2)]);
}

#[test]
fn a_store_that_the_topology_does_not_connect_is_refused() {
    let topology = TopologyBuilder::new("visits-service", DEAD_LETTERS)
        .stream(&VISITS, "peek", |context, visit| context.get(&COUNTS, &visit.key).map(|_| ()))
        .build()
        .unwrap();
    let mut driver = TopologyDriver::new(topology, PARTITIONS).unwrap();
    driver.pipe_input(&VISITS, &name("ann"), &1, NOW);
    assert!(driver.commit().unwrap_err().to_string().contains("not connected to counts"));
}

fn ignore(_: &mut Context<'_>, _: Record<Name, u64>) -> Result<(), ProcessError> {
    Ok(())
}

fn refusal(builder: TopologyBuilder) -> TopologyError {
    builder.build().unwrap_err()
}

#[test]
fn a_topology_that_cannot_work_is_refused_before_it_runs() {
    let empty = || TopologyBuilder::new("service", DEAD_LETTERS);
    let topology = "service";
    assert_eq!(refusal(empty()), TopologyError::NoSource { topology });
    assert_eq!(refusal(empty().to(&BILLS)), TopologyError::NothingToWire { topology });
    assert_eq!(
        refusal(empty().stream(&VISITS, "a", ignore).stream(&VISITS, "b", ignore)),
        TopologyError::SourceTwice { topology, topic: VISITS.name() }
    );
    assert_eq!(
        refusal(empty().table(&VISITS).stream(&VISITS, "a", ignore)),
        TopologyError::SourceTwice { topology, topic: VISITS.name() }
    );
    assert_eq!(
        refusal(empty().stream(&VISITS, "a", ignore).stream(&BILLS, "a", ignore)),
        TopologyError::ProcessorTwice { topology, processor: "a" }
    );
    let task: Store<Name, u64> = Store::new("task");
    assert_eq!(
        refusal(empty().stream(&VISITS, "a", ignore).with_store(&task)),
        TopologyError::StoreName { topology, store: task.name() }
    );
    assert_eq!(
        refusal(empty().stream(&VISITS, "a", ignore).join(&PRICES)),
        TopologyError::NoTable { topology, processor: "a", topic: PRICES.name() }
    );
}

#[test]
fn a_topology_describes_itself() {
    let topology: Topology = visits().build().unwrap();
    assert_eq!(
        topology.describe(),
        "Topology: visits-service
  table prices
  requests visits -> bill-visit
    stores: counts, open
    joins: prices
    to: bills
  tick while open has entries -> remind
    stores: open
    to: reminders
"
    );
}
