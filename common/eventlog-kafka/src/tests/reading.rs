//! What is committed is read, and what is not is counted in all the same.

use std::sync::Arc;
use std::time::Duration;

use eventlog::{Error, Session};
use futures_executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use streams::{Offset, Partition, TopicPartition};

use super::setup::{PARTITIONS, Setup, TASK, WITHIN};
use crate::reader::Reader;
use crate::records::{list, position, raw_partition};

#[test]
fn an_end_covers_an_open_transaction_that_nobody_reads() {
    let Some(setup) = Setup::find() else { return };
    let mut session = setup.join(&setup.connect(), PARTITIONS as usize);
    let of = TopicPartition::new(setup.decisions, TASK);
    setup.commit(&mut session, "committed");
    let committed = session.ends(&[of]).unwrap()[0];

    let mut config = setup.settings().client();
    config.set("transactional.id", setup.decisions.as_str());
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(WITHIN).unwrap();
    producer.begin_transaction().unwrap();
    let record = BaseRecord::to(setup.decisions.as_str()).key("open").payload("open");
    producer.send(record.partition(raw_partition(TASK))).unwrap();
    producer.flush(WITHIN).unwrap();

    let end = session.ends(&[of]).unwrap()[0];
    assert!(end > committed);
    let mut position = Offset(0);
    while position < committed {
        position = session.fetch(&[(of, position)], 10).unwrap().positions[0].1;
    }
    assert!(position < end, "what is open is not passed over");

    producer.abort_transaction(WITHIN).unwrap();
    assert_eq!(setup.decided(&mut session), ["committed"]);
}

/// Writes records of a kilobyte to a partition, each a batch of its own.
fn fill(setup: &Setup, of: TopicPartition, count: usize) {
    let producer: BaseProducer = setup.settings().requests().create().unwrap();
    let value = vec![b'x'; 1_024];
    for _ in 0..count {
        let record = BaseRecord::<(), _>::to(of.topic.as_str()).payload(&value);
        producer.send(record.partition(raw_partition(of.partition))).unwrap();
        producer.flush(WITHIN).unwrap();
    }
}

/// A former owner that stood still finds what it had read deleted by the next one.
#[test]
fn what_is_deleted_while_nobody_asks_for_it_is_no_trouble_for_the_rest() {
    let Some(setup) = Setup::find() else { return };
    let log = setup.connect();
    let [mine, another] = [0, 1].map(|of| TopicPartition::new(setup.requests, Partition(of)));
    fill(&setup, mine, 1);
    fill(&setup, another, 100);
    let mut settings = setup.settings();
    // It reads hardly more ahead than what is asked for.
    for (name, value) in [
        ("queued.min.messages", "1"),
        ("queued.max.messages.kbytes", "2"),
        ("max.partition.fetch.bytes", "1100"),
    ] {
        settings.properties.insert(name.to_owned(), value.to_owned());
    }
    let ends = Arc::clone(&log.shared.ends);
    let config = settings.reader("reading");
    let mut reader = Reader::new(&settings, config, ends, Arc::new(|| ())).unwrap();
    let begin = [(mine, Offset(0)), (another, Offset(0))];
    let read = reader.fetch(&begin, 1, WITHIN).unwrap();
    assert!(!read.records.is_empty());
    let [mine, another] = read.positions.try_into().unwrap();

    let client: AdminClient<DefaultClientContext> = setup.settings().client().create().unwrap();
    let all = list([(another.0, position(Offset(100)))]).unwrap();
    block_on(client.delete_records(&all, &AdminOptions::new())).unwrap();

    let mut from = [mine];
    for _ in 0..300 {
        let fetched = reader.fetch(&from, 100, Duration::from_millis(5)).unwrap();
        from = fetched.positions.try_into().unwrap();
    }
    fill(&setup, mine.0, 1);
    while from[0].1 < Offset(2) {
        from = reader.fetch(&from, 100, WITHIN).unwrap().positions.try_into().unwrap();
    }
    let asked = reader.fetch(&[from[0], another], 100, Duration::ZERO);
    assert!(matches!(asked, Err(Error::OutOfRange { of, .. }) if of == another.0), "{asked:?}");
}

#[test]
fn what_was_deleted_before_it_was_read_is_told_and_the_rest_is_read_on() {
    let Some(setup) = Setup::find() else { return };
    let log = setup.connect();
    let of = TopicPartition::new(setup.requests, TASK);
    fill(&setup, of, 1);
    let ends = Arc::clone(&log.shared.ends);
    let settings = setup.settings();
    let config = settings.reader("reading");
    let mut reader = Reader::new(&settings, config, ends, Arc::new(|| ())).unwrap();
    reader.fetch(&[(of, Offset(0))], 1, WITHIN).unwrap();
    reader.rest().unwrap();

    fill(&setup, of, 9);
    let client: AdminClient<DefaultClientContext> = setup.settings().client().create().unwrap();
    let deleted = list([(of, position(Offset(8)))]).unwrap();
    block_on(client.delete_records(&deleted, &AdminOptions::new())).unwrap();

    let asked = reader.fetch(&[(of, Offset(1))], 10, WITHIN);
    assert!(matches!(asked, Err(Error::OutOfRange { of: found, .. }) if found == of), "{asked:?}");
    let rest = reader.fetch(&[(of, Offset(8))], 10, WITHIN).unwrap();
    assert!(!rest.records.is_empty());
}
