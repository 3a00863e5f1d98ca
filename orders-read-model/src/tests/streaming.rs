//! Streams: nothing missing, nothing twice, whoever is slow and whenever one is taken up again.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use events::ids::OrderId;
use futures_util::StreamExt;
use serde_json::Value;
use shell::admission::{Admission, Limits};
use tower::ServiceExt;

use super::fixtures::{
    PARTITIONS, TestDatabase, Topic, admission, begin, next, order, routes, until,
};
use super::on_both_databases;
use crate::stream::of_order;
use crate::{ReadModel, parse_event_id};

on_both_databases!(
    lists_and_streams_asked_for_at_the_start_wait_until_the_tables_are_open,
    all_events_come_once_however_often_a_reader_comes_back,
    a_stream_without_an_id_begins_now_and_can_be_taken_up_before_its_first_event,
    the_events_of_an_order_end_with_its_last,
    no_event_of_an_order_is_missed_while_its_stream_is_opened,
    a_stream_repeats_nothing_while_another_instance_rebuilds,
);

/// One message of a stream.
#[derive(Clone, Debug, PartialEq)]
struct Message {
    id: String,
    event: String,
    data: Value,
}

/// The messages of a stream as they come; comments left out.
struct Reader {
    body: axum::body::BodyDataStream,
    text: String,
    /// The id that the reader would come back with.
    last_event_id: String,
}

impl Reader {
    fn new(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let body = response.into_body().into_data_stream();
        Reader { body, text: String::new(), last_event_id: String::new() }
    }

    /// The next message that says something; `None` at the end.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n") {
                let fields: BTreeMap<String, String> = message
                    .lines()
                    .filter_map(|line| line.split_once(": "))
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect();
                self.text = rest.to_owned();
                let field = |name| fields.get(name).cloned().unwrap_or_default();
                if let Some(id) = fields.get("id") {
                    self.last_event_id.clone_from(id);
                }
                if let Some(data) = fields.get("data") {
                    let data = serde_json::from_str(data).unwrap();
                    return Some(Message { id: field("id"), event: field("event"), data });
                }
                continue;
            }
            let more = tokio::time::timeout(Duration::from_secs(20), self.body.next()).await;
            let more = more.expect("a message in time")?;
            self.text += std::str::from_utf8(&more.unwrap()).unwrap();
        }
    }

    /// Reads the id that a stream begins with.
    async fn begin(&mut self) {
        let first = self.body.next().await.unwrap().unwrap();
        let first = std::str::from_utf8(&first).unwrap();
        let id = first.split_once("id: ").map(|(_, id)| id.trim_end());
        self.last_event_id = id.unwrap_or_default().to_owned();
    }
}

async fn open(routes: &Router, path: &str, last_event_id: Option<&str>) -> Response {
    let request = Request::get(path);
    let request = match last_event_id {
        Some(id) => request.header("last-event-id", id),
        None => request,
    };
    routes.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn begun(topic: &Topic, database: &TestDatabase) -> ReadModel {
    let model = topic.model(database);
    begin(&model).await;
    model
}

async fn lists_and_streams_asked_for_at_the_start_wait_until_the_tables_are_open(
    database: TestDatabase,
) {
    let topic = Topic::new();
    for path in ["/v1/orders", "/v1/order-events"] {
        let model = topic.model(&database);

        let answer = open(&routes(&model, &admission()), path, None).await;

        assert_eq!(answer.status(), 200, "{path}");
        model.stop().await;
    }
}

async fn all_events_come_once_however_often_a_reader_comes_back(database: TestDatabase) {
    const ORDERS: usize = 400;
    let topic = Topic::new();
    let model = begun(&topic, &database).await;
    let routes = routes(&model, &admission());
    let writing = async {
        for number in 0..ORDERS {
            topic.write_life(&order(&format!("o-{number}"), "ada", 1), 4).await;
            if number % 20 == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    let reading = async {
        let mut versions: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        let (mut count, mut id, mut rounds) = (0, "-".to_owned(), 1);
        while count < ORDERS * 4 {
            let mut reader = Reader::new(open(&routes, "/v1/order-events", Some(&id)).await);
            // Goes away after some more messages each time.
            for _ in 0..rounds * 7 {
                if count == ORDERS * 4 {
                    break;
                }
                let Message { event, data, .. } = reader.next().await.unwrap();
                assert!(event.starts_with("Order"), "{event}: {data}");
                let of_order = versions.entry(data["id"].as_str().unwrap().to_owned());
                of_order.or_default().push(data["version"].as_u64().unwrap());
                count += 1;
            }
            (id, rounds) = (reader.last_event_id.clone(), rounds + 1);
        }
        versions
    };

    let ((), versions) = tokio::join!(writing, reading);

    assert_eq!(versions.len(), ORDERS);
    assert!(versions.values().all(|versions| *versions == [1, 2, 3, 4]));
    model.stop().await;
}

async fn a_stream_without_an_id_begins_now_and_can_be_taken_up_before_its_first_event(
    database: TestDatabase,
) {
    let topic = Topic::new();
    topic.write(&order("early", "ada", 1)).await;
    let model = begun(&topic, &database).await;
    until("it is whole", || model.is_whole()).await;
    let routes = routes(&model, &admission());
    let mut reader = Reader::new(open(&routes, "/v1/order-events", None).await);
    reader.begin().await;
    let id = reader.last_event_id.clone();
    drop(reader);

    topic.write(&order("o-1", "ada", 1)).await;
    topic.is_projected(&database).await;

    let path = format!("/v1/order-events?lastEventId={id}");
    let mut reader = Reader::new(open(&routes, &path, None).await);
    let first = reader.next().await.unwrap();
    assert_eq!((first.event.as_str(), &first.data["id"]), ("OrderCreated", &"o-1".into()));
    for wrong in ["x", "9:1", "0:1,0:2"] {
        let path = format!("/v1/order-events?lastEventId={wrong}");
        assert_eq!(open(&routes, &path, None).await.status(), 422, "{wrong}");
        assert_eq!(open(&routes, "/v1/order-events", Some(wrong)).await.status(), 422, "{wrong}");
    }
    model.stop().await;
}

async fn the_events_of_an_order_end_with_its_last(database: TestDatabase) {
    let topic = Topic::new();
    let first = order("o-1", "ada", 1);
    topic.write(&first).await;
    let model = begun(&topic, &database).await;
    until("it is whole", || model.is_whole()).await;
    let (id, admission) = (OrderId::parse("o-1").unwrap(), admission());
    let open = async |after: Option<&str>| {
        let after = after.map(|id| parse_event_id(id).unwrap());
        of_order(&model, &admission, &id, after).await.unwrap()
    };
    let mut reader = Reader::new(open(None).await);
    assert_eq!(reader.next().await.unwrap().event, "OrderCreated");
    let created = reader.last_event_id.clone();

    topic.write(&order("another", "ada", 1)).await;
    let mut order = first;
    for event in ["OrderValidated", "OrderPaid", "OrderShipped"] {
        order = next(&order);
        topic.write(&order).await;
        assert_eq!(reader.next().await.unwrap().event, event);
    }
    assert_eq!(reader.next().await, None);

    let mut again = Reader::new(open(Some(&created)).await);
    assert_eq!(again.next().await.unwrap().event, "OrderValidated");
    drop(again);
    assert_eq!(open(Some(&reader.last_event_id)).await.status(), 204);
    let (partition, _) = parse_event_id(&created).unwrap();
    let elsewhere = ((partition.0 + 1) % PARTITIONS, 0);
    let elsewhere = parse_event_id(&format!("{}:{}", elsewhere.0, elsewhere.1)).unwrap();
    let refused = of_order(&model, &admission, &id, Some(elsewhere)).await;
    assert_eq!(refused.unwrap_err().status_code(), 422);
    model.stop().await;
}

async fn no_event_of_an_order_is_missed_while_its_stream_is_opened(database: TestDatabase) {
    let topic = Topic::new();
    let model = begun(&topic, &database).await;
    for number in 0..60 {
        let (first, admission) = (order(&format!("o-{number}"), "ada", 1), admission());
        let writing = topic.write_life(&first, 4);
        let reading = async {
            // At any moment of its life.
            tokio::time::sleep(Duration::from_micros(200 * (number % 40))).await;
            let mut reader =
                Reader::new(of_order(&model, &admission, &first.id, None).await.unwrap());
            let mut versions = Vec::new();
            while let Some(message) = reader.next().await {
                versions.push(message.data["version"].as_u64().unwrap());
            }
            versions
        };

        let ((), versions) = tokio::join!(writing, reading);

        assert_eq!(versions, [1, 2, 3, 4]);
    }
    model.stop().await;
}

async fn a_stream_repeats_nothing_while_another_instance_rebuilds(database: TestDatabase) {
    let topic = Topic::new();
    let model = begun(&topic, &database).await;
    let routes = routes(&model, &admission());
    let mut reader = Reader::new(open(&routes, "/v1/order-events", Some("-")).await);
    for number in 0..20 {
        topic.write(&order(&format!("o-{number}"), "ada", 1)).await;
        reader.next().await.unwrap();
    }

    let rebuilding = topic.rebuilding(&database);
    until("it has begun anew", || rebuilding.events() > 0).await;
    topic.write(&order("later", "ada", 1)).await;

    assert_eq!(reader.next().await.unwrap().data["id"], "later");
    topic.is_projected(&database).await;
    rebuilding.stop().await;
    model.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_too_slow_is_sent_away_and_can_go_on_where_it_was() {
    const ORDERS: usize = 6_000;
    let database = TestDatabase::sqlite();
    let topic = Topic::new();
    let model = begun(&topic, &database).await;
    let routes = routes(&model, &admission());
    let mut reader = Reader::new(open(&routes, "/v1/order-events", None).await);
    // It is among those who wait from its second look on.
    topic.write(&order("first", "ada", 1)).await;
    reader.next().await.unwrap();

    for number in 0..ORDERS {
        topic.write(&order(&format!("o-{number}"), "ada", 1)).await;
    }
    until("all are projected", || model.events() == ORDERS as u64 + 1).await;

    let mut count = 0;
    let dropped = loop {
        let message = reader.next().await.expect("a last message");
        if message.event == "dropped" {
            break message;
        }
        count += 1;
    };
    assert!((1..ORDERS).contains(&count), "{count}");
    assert_eq!(dropped.data["lastEventId"], dropped.id.as_str());
    assert_eq!(reader.next().await, None);
    let mut again = Reader::new(open(&routes, "/v1/order-events", Some(&dropped.id)).await);
    for _ in count..ORDERS {
        assert_eq!(again.next().await.unwrap().event, "OrderCreated");
    }
    model.stop().await;
}

#[tokio::test]
async fn streams_end_when_the_server_stops_and_one_too_many_is_refused() {
    let database = TestDatabase::sqlite();
    let topic = Topic::new();
    let model = begun(&topic, &database).await;
    let admission = Admission::new(Limits { streams_max: 1, ..Limits::default() });
    let routes = routes(&model, &admission);
    let mut reader = Reader::new(open(&routes, "/v1/order-events", None).await);
    assert_eq!((admission.streams(), admission.working(), admission.waiting()), (1, 0, 0));
    assert_eq!(open(&routes, "/v1/order-events", None).await.status(), 503);

    let (listener, stop) = (tokio::net::TcpListener::bind("127.0.0.1:0").await, async {});
    shell::server::serve(listener.unwrap(), routes, admission.clone(), stop).await;

    assert_eq!(reader.next().await, None);
    drop(reader);
    assert_eq!(admission.streams(), 0);
    model.stop().await;
}
