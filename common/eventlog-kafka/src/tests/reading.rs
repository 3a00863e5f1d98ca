//! What is committed is read, and what is not is counted in all the same.

use eventlog::Session;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use streams::{Offset, TopicPartition};

use super::setup::{PARTITIONS, Setup, TASK, WITHIN};
use crate::records::raw_partition;

#[test]
fn an_end_covers_an_open_transaction_that_nobody_reads() {
    let Some(setup) = Setup::find() else { return };
    let mut session = setup.join(&setup.connect(), PARTITIONS as usize);
    let of = TopicPartition::new(setup.decisions, TASK);
    setup.commit(&mut session, "committed");
    let committed = session.ends(&[of]).unwrap()[0];

    let producer: BaseProducer =
        setup.settings().transactions(setup.decisions.as_str()).create().unwrap();
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
