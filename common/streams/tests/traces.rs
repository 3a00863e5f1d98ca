//! Traces: what is made of a record belongs to its trace, the same each time.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use streams::testing::TopologyDriver;
use streams::{
    CloudEvents, ConsumedRecord, Context, DecodeError, Event, Headers, Key, KeyRange, Partition,
    ProcessError, ProducedRecord, Record, Store, Tick, Timestamp, Topic, TopicName, TopicPartition,
    Topology, TopologyBuilder, TraceParent, cloud_event,
};

#[derive(Clone, Debug, PartialEq)]
struct Name(Bytes);

impl Key for Name {
    fn encode(&self) -> Bytes {
        self.0.clone()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        Ok(Name(Bytes::copy_from_slice(bytes)))
    }
}

/// Somebody came.
struct Visited;

impl Event for Visited {
    fn event_type(&self) -> &'static str {
        "Visited"
    }

    fn to_json(&self) -> Bytes {
        Bytes::from_static(b"{}")
    }

    fn from_json(_: &str, _: &[u8]) -> Result<Self, DecodeError> {
        Ok(Visited)
    }
}

const VISITS: Topic<Name, Visited, CloudEvents> = Topic::new("visits");
const ECHOES: Topic<Name, Visited, CloudEvents> = Topic::new("echoes");
const REMINDERS: Topic<Name, Visited, CloudEvents> = Topic::new("reminders");
const OPEN: Store<Name, u64> = Store::new("open");

/// Tells of each visit twice at once, and once more at the next tick.
fn topology() -> Topology {
    TopologyBuilder::new("echo-service", TopicName::new("dead-letters"))
        .requests(&VISITS, "echo", echo)
        .with_store(&OPEN)
        .to(&ECHOES)
        .timer(&OPEN, "remind", remind)
        .to(&REMINDERS)
        .build()
        .unwrap()
}

fn echo(context: &mut Context<'_>, visit: Record<Name, Visited>) -> Result<(), ProcessError> {
    context.put(&OPEN, &visit.key, &1)?;
    context.forward(&ECHOES, &visit.key, &visit.value)?;
    context.forward(&ECHOES, &visit.key, &visit.value)
}

fn remind(context: &mut Context<'_>, _: Tick) -> Result<(), ProcessError> {
    for (name, _) in context.range(&OPEN, &KeyRange::all(), usize::MAX)? {
        context.delete(&OPEN, &name)?;
        context.forward(&REMINDERS, &name, &Visited)?;
    }
    Ok(())
}

fn visit(trace_parent: Option<&'static str>) -> ProducedRecord {
    let mut headers = Headers::default();
    headers.add(cloud_event::TYPE, Bytes::from_static(b"Visited"));
    if let Some(header) = trace_parent {
        headers.add(cloud_event::TRACE_PARENT, Bytes::from_static(header.as_bytes()));
    }
    ProducedRecord {
        destination: TopicPartition::new(VISITS.name(), Partition(0)),
        timestamp: Timestamp::from_millis(1_000),
        key: Some(Bytes::from_static(b"ada")),
        value: Some(Bytes::from_static(b"{}")),
        headers,
    }
}

fn driver(visits: &[ProducedRecord]) -> TopologyDriver {
    let mut driver = TopologyDriver::new(topology(), 1).unwrap();
    visits.iter().for_each(|visit| driver.pipe(visit.clone()));
    driver.commit().unwrap();
    driver
}

fn trace_parents(records: &[ConsumedRecord]) -> Vec<Option<&str>> {
    records.iter().map(|record| record.headers.get_str(cloud_event::TRACE_PARENT)).collect()
}

const ONE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OTHER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

#[test]
fn what_is_made_of_a_record_belongs_to_its_trace_and_to_the_span_of_its_processing() {
    let visits = [visit(Some(ONE)), visit(Some(OTHER))];
    let mut driver = driver(&visits);

    let echoes = driver.read_raw_output(ECHOES.name());

    let [a, b, c, d] = trace_parents(&echoes).try_into().unwrap();
    assert_eq!((a, c), (b, d), "what is made of one record is made in one span");
    for (made, given) in [(a, ONE), (c, OTHER)] {
        let (made, given) = (made.unwrap(), TraceParent::parse(given.as_bytes()).unwrap());
        let span = TraceParent::parse(made.as_bytes()).unwrap();
        assert_eq!((span.trace_id, span.is_sampled()), (given.trace_id, given.is_sampled()));
        assert_ne!(span, given);
    }
}

#[test]
fn the_same_records_make_the_same_traces_to_the_byte() {
    let visits = [visit(Some(ONE)), visit(None), visit(Some(OTHER))];

    let [first, again] = [(), ()].map(|()| driver(&visits).read_raw_output(ECHOES.name()));

    assert_eq!(first, again);
}

#[test]
fn a_record_without_a_trace_and_a_tick_begin_none() {
    for header in [None, Some("00-no-trace-01")] {
        let mut driver = driver(&[visit(header), visit(Some(ONE))]);
        driver.tick(Timestamp::from_millis(2_000)).unwrap();

        let echoes = driver.read_raw_output(ECHOES.name());
        assert_eq!(trace_parents(&echoes)[..2], [None, None], "{header:?}");
        assert!(trace_parents(&echoes)[2..].iter().all(Option::is_some));
        assert_eq!(trace_parents(&driver.read_raw_output(REMINDERS.name())), [None]);
    }
}
