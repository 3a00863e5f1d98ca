//! Every event once, whatever happens, and never those of another log.

use std::time::Duration;

use sqlx::Connection;
use streams::Fetched;

use super::fixtures::{PARTITIONS, TestDatabase, Topic, begin, next, order, until};
use super::on_both_databases;
use crate::batch::Batch;
use crate::database::{Database, migrator};
use crate::positions::Positions;
use crate::testing::differences;
use crate::write::{Written, write};
use crate::{ReadModel, stored};

on_both_databases!(
    every_event_is_projected_once_wherever_a_batch_is_cut_off,
    a_writer_that_is_behind_is_refused_and_changes_nothing,
    another_instance_goes_on_where_the_writer_ends,
    two_instances_hand_the_same_events_on,
    a_rebuild_makes_the_same_tables,
    an_instance_notices_that_another_rebuilds,
    tables_of_another_log_are_refused_until_they_are_rebuilt,
    a_record_that_is_no_event_is_left_out_and_told,
    tables_of_the_first_version_are_filled_anew,
);

const TABLES: [&str; 4] = ["projection_positions", "order_events", "order_lines", "orders"];

fn degraded(model: &ReadModel) -> String {
    model.report().health().degraded.join("; ")
}

/// All that the topic has, as one batch.
async fn whole(topic: &Topic, from: &Positions) -> Batch {
    use eventlog::RequestLog as _;
    let mut fetched = Fetched::default();
    for (of, position) in from.on_the_log() {
        let records = topic.log.read(of, position, 1_000).await.unwrap();
        let position = records.last().map_or(position, |last| last.offset.next());
        fetched.records.extend(records);
        fetched.positions.push((of, position));
    }
    Batch::new(from, fetched)
}

async fn every_event_is_projected_once_wherever_a_batch_is_cut_off(database: TestDatabase) {
    let topic = Topic::new();
    for number in 0..20 {
        topic.write_life(&order(&format!("o-{number}"), "ada", number), 3).await;
    }
    let begin = Positions::begin(PARTITIONS);
    let mut connection = database.connect().await;
    stored::load(&mut connection, &begin).await.unwrap();
    let batch = whole(&topic, &begin).await;
    let before = Topic::new();

    // What a statement writes to is away: the batch ends there, as it does where the process ends.
    for table in TABLES {
        database.run(&format!("ALTER TABLE {table} RENAME TO away")).await;
        assert!(write(&mut connection, &begin, &batch).await.is_err(), "{table}");
        database.run(&format!("ALTER TABLE away RENAME TO {table}")).await;
        let left = differences(&database.place, &*before.log).await.unwrap();
        assert_eq!(left, [""; 0], "after {table}");
    }
    assert_eq!(write(&mut connection, &begin, &batch).await.unwrap(), Written::Whole);
    connection.close().await.unwrap();

    // Whoever starts again after the commit, without knowing of it, finds it done.
    let model = topic.model(&database);
    topic.is_projected(&database).await;
    topic.write(&order("o-20", "ada", 20)).await;
    topic.is_projected(&database).await;
    assert_eq!(degraded(&model), "");
    model.stop().await;
}

async fn tables_of_the_first_version_are_filled_anew(database: TestDatabase) {
    let topic = Topic::new();
    topic.write_life(&order("o-1", "ada", 1), 3).await;
    let mut connection = Database::new(&database.place).unwrap().open().await.unwrap();
    migrator(1).run(&mut connection).await.unwrap();
    for row in [
        "orders VALUES ('o-1', 1, 'CREATED', 'ada', 'GBP', NULL, 1, 1)",
        "order_lines VALUES ('o-1', 1, 'mug', 1, NULL)",
        "order_events VALUES ('o-1', 1, 0, 0, 'OrderCreated', 1, '{}')",
        "projection_positions VALUES (0, 1, 0)",
    ] {
        let insert = sqlx::AssertSqlSafe(format!("INSERT INTO {row}"));
        sqlx::query(insert).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();

    let model = topic.model(&database);

    topic.is_projected(&database).await;
    assert_eq!(degraded(&model), "");
    model.stop().await;
}

async fn a_writer_that_is_behind_is_refused_and_changes_nothing(database: TestDatabase) {
    let topic = Topic::new();
    let (first, begin) = (order("o-1", "ada", 1), Positions::begin(PARTITIONS));
    topic.write(&first).await;
    let (mut writer, mut stale) = (database.connect().await, database.connect().await);
    stored::load(&mut writer, &begin).await.unwrap();
    let early = whole(&topic, &begin).await;
    topic.write(&next(&first)).await;
    let late = whole(&topic, &begin).await;

    assert_eq!(write(&mut writer, &begin, &late).await.unwrap(), Written::Whole);
    assert_eq!(write(&mut stale, &begin, &early).await.unwrap(), Written::Stale);

    topic.is_projected(&database).await;
}

async fn another_instance_goes_on_where_the_writer_ends(database: TestDatabase) {
    let topic = Topic::new();
    let writer = topic.model(&database);
    let other = topic.model(&database);
    begin(&writer).await;
    begin(&other).await;
    for number in 0..50 {
        topic.write_life(&order(&format!("o-{number}"), "ada", number), 2).await;
    }
    topic.is_projected(&database).await;
    writer.stop().await;

    for number in 50..100 {
        topic.write_life(&order(&format!("o-{number}"), "ada", number), 4).await;
    }

    topic.is_projected(&database).await;
    until("the other has all", || other.events() == 50 * 2 + 50 * 4).await;
    assert_eq!(degraded(&other), "");
    other.stop().await;
}

async fn two_instances_hand_the_same_events_on(database: TestDatabase) {
    let topic = Topic::new();
    let models = [topic.model(&database), topic.model(&database)];
    for model in &models {
        begin(model).await;
    }
    for number in 0..300 {
        topic.write(&order(&format!("o-{number}"), "ada", number)).await;
        if number % 10 == 0 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }

    for model in &models {
        until("it has all", || model.events() == 300).await;
        model.stop().await;
    }
    topic.is_projected(&database).await;
}

async fn a_rebuild_makes_the_same_tables(database: TestDatabase) {
    let topic = Topic::new();
    for number in 0..100 {
        topic.write_life(&order(&format!("o-{number}"), "ada", number), 3).await;
    }
    let model = topic.model(&database);
    until("it is whole", || model.is_whole()).await;
    model.stop().await;
    // Damage that nobody else would notice.
    database.run("UPDATE orders SET state = 'PAID', customer_id = 'eve' WHERE id = 'o-7'").await;
    database.run("DELETE FROM order_lines WHERE order_id = 'o-8'").await;

    let model = topic.rebuilding(&database);

    until("it has begun anew", || model.events() > 0).await;
    until("it is whole", || model.is_whole()).await;
    topic.is_projected(&database).await;
    model.stop().await;
}

async fn an_instance_notices_that_another_rebuilds(database: TestDatabase) {
    let topic = Topic::new();
    topic.write_life(&order("o-1", "ada", 1), 3).await;
    let standing_by = topic.model(&database);
    until("it is whole", || standing_by.is_whole()).await;

    let rebuilding = topic.rebuilding(&database);
    topic.write(&order("o-2", "ada", 2)).await;

    for model in [&rebuilding, &standing_by] {
        until("it has all", || model.is_whole() && model.events() >= 4).await;
    }
    topic.is_projected(&database).await;
    rebuilding.stop().await;
    standing_by.stop().await;
}

async fn tables_of_another_log_are_refused_until_they_are_rebuilt(database: TestDatabase) {
    let topic = Topic::new();
    topic.write_life(&order("o-1", "ada", 1), 3).await;
    let model = topic.model(&database);
    until("it is whole", || model.is_whole()).await;
    model.stop().await;
    let (shorter, longer) = (Topic::new(), Topic::new());
    shorter.write_life(&order("o-1", "ada", 1), 2).await;
    longer.write_life(&order("o-1", "bob", 1), 4).await;

    for other in [&shorter, &longer] {
        let model = other.model(&database);
        until("it is told", || degraded(&model).contains("the orders of another log")).await;
        assert!(!model.is_whole());
        assert_eq!(super::fixtures::get(&model, "/v1/orders").await.0, 503);
        assert_eq!(super::fixtures::get(&model, "/v1/order-events").await.0, 503);
        model.stop().await;
        topic.is_projected(&database).await;
    }

    let model = longer.rebuilding(&database);
    longer.is_projected(&database).await;
    until("nothing is wrong", || degraded(&model).is_empty() && model.is_whole()).await;
    model.stop().await;
}

async fn a_record_that_is_no_event_is_left_out_and_told(database: TestDatabase) {
    use eventlog::RequestLog as _;
    use streams::{Headers, Partition, ProducedRecord, Timestamp};
    let topic = Topic::new();
    let model = topic.model(&database);
    let record = ProducedRecord {
        destination: crate::positions::of(Partition(1)),
        timestamp: Timestamp::EPOCH,
        key: None,
        value: Some("{}".into()),
        headers: Headers::default(),
    };
    topic.log.append(record).await.unwrap();
    topic.write(&order("o-1", "ada", 1)).await;

    until("it is told", || degraded(&model).contains("left out a record of orders/1 at 0")).await;
    topic.is_projected(&database).await;
    model.stop().await;
}

#[tokio::test]
async fn a_database_that_is_away_is_waited_for() {
    let mut database = TestDatabase::sqlite();
    let directory = database.directory.as_ref().unwrap().path().join("not there yet");
    database.place = crate::Place::File(directory.join("read-model.sqlite"));
    let topic = Topic::new();
    topic.write_life(&order("o-1", "ada", 1), 3).await;

    let model = topic.model(&database);
    until("it is told", || degraded(&model).contains("the database of the read model")).await;
    assert_eq!(super::fixtures::get(&model, "/v1/orders").await.0, 503);
    std::fs::create_dir(&directory).unwrap();

    until("it is whole", || model.is_whole()).await;
    assert_eq!(degraded(&model), "");
    topic.is_projected(&database).await;
    model.stop().await;
}
