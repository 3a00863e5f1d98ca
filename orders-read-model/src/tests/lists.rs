//! Lists: what is on them, in which order, and page after page.

use events::Timestamp;
use events::ids::{CustomerId, OrderId};
use events::order::{Order, OrderState};
use serde_json::Value;
use sqlx::{AnyPool, AssertSqlSafe, Row};

use super::fixtures::{TestDatabase, Topic, get, next, order, until};
use super::on_both_databases;
use crate::ReadModel;
use crate::cursor::Cursor;
use crate::database::Database;
use crate::query::{Filter, list_statement};

on_both_databases!(
    every_filter_lists_what_it_says_newest_first,
    a_cursor_stays_where_it_is_while_orders_are_placed_and_changed,
    parameters_that_are_not_valid_are_told_with_their_name,
);

/// Sixty orders of three customers in different states, four at a time placed at the same moment.
async fn sixty_orders(topic: &Topic) -> Vec<Order> {
    let mut orders = Vec::new();
    for number in 0..60_i64 {
        let customer = ["ada", "bob", "eve"][number as usize % 3];
        // The ids do not come in the order of the times.
        let mut placed = order(&format!("o-{}", number * 37 % 60), customer, 1_000 * (number / 4));
        topic.write(&placed).await;
        for _ in 0..number % 4 {
            placed = next(&placed);
            topic.write(&placed).await;
        }
        orders.push(placed);
    }
    orders
}

async fn whole(topic: &Topic, database: &TestDatabase) -> ReadModel {
    let model = topic.model(database);
    until("it is whole", || model.is_whole()).await;
    model
}

/// All pages of a list, as what each entry is.
async fn pages(model: &ReadModel, query: &str, limit: usize) -> Vec<Value> {
    let mut listed = Vec::new();
    let mut cursor = String::new();
    loop {
        let (status, page) = get(model, &format!("/v1/orders?limit={limit}{query}{cursor}")).await;
        assert_eq!(status, 200, "{page}");
        let orders = page["orders"].as_array().unwrap();
        assert!(orders.len() <= limit);
        listed.extend(orders.iter().cloned());
        let Some(next) = page.get("nextCursor") else { return listed };
        assert_eq!(orders.len(), limit);
        cursor = format!("&cursor={}", next.as_str().unwrap());
    }
}

async fn every_filter_lists_what_it_says_newest_first(database: TestDatabase) {
    let topic = Topic::new();
    let mut orders = sixty_orders(&topic).await;
    let model = whole(&topic, &database).await;
    orders.sort_by_key(|order| (order.placed_at, order.id.to_string()));
    orders.reverse();
    let customers = ["", "ada", "nobody"];
    let states = ["", "CREATED", "SHIPPED", "FAILED"];
    let times = [("", ""), ("3000", ""), ("", "9000"), ("3000", "9000")];

    for customer in customers {
        for state in states {
            for (after, before) in times {
                let is_wanted = |order: &&Order| {
                    let placed_at = order.placed_at.as_millis();
                    (customer.is_empty() || order.customer_id.as_str() == customer)
                        && (state.is_empty() || order.state.as_str() == state)
                        && (after.is_empty() || placed_at > after.parse().unwrap())
                        && (before.is_empty() || placed_at < before.parse().unwrap())
                };
                let wanted: Vec<Value> = orders
                    .iter()
                    .filter(is_wanted)
                    .map(|order| serde_json::to_value(order).unwrap())
                    .collect();
                let mut query = String::new();
                for (name, value) in [("customerId", customer), ("state", state)] {
                    if !value.is_empty() {
                        query += &format!("&{name}={value}");
                    }
                }
                for (name, value) in [("placedAfter", after), ("placedBefore", before)] {
                    if !value.is_empty() {
                        let second = &value[..1];
                        query += &format!("&{name}=1970-01-01T00:00:0{second}Z");
                    }
                }
                for limit in [7, 200] {
                    assert_eq!(pages(&model, &query, limit).await, wanted, "{query}");
                }
            }
        }
    }
    model.stop().await;
}

async fn a_cursor_stays_where_it_is_while_orders_are_placed_and_changed(database: TestDatabase) {
    let topic = Topic::new();
    let orders = sixty_orders(&topic).await;
    let model = whole(&topic, &database).await;
    let before = pages(&model, "", 200).await;
    let (_, first) = get(&model, "/v1/orders?limit=20").await;
    let cursor = first["nextCursor"].as_str().unwrap();

    for number in 0..10 {
        topic.write(&order(&format!("later-{number}"), "ada", 100_000)).await;
    }
    topic.write(&next(&orders[0])).await;
    topic.is_projected(&database).await;

    let (_, second) = get(&model, &format!("/v1/orders?limit=200&cursor={cursor}")).await;
    let ids = |orders: &[Value]| orders.iter().map(|order| order["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(second["orders"].as_array().unwrap()), ids(&before[20..]));
    assert_eq!(pages(&model, "", 200).await.len(), 70);
    model.stop().await;
}

async fn parameters_that_are_not_valid_are_told_with_their_name(database: TestDatabase) {
    let topic = Topic::new();
    let model = whole(&topic, &database).await;
    for (parameter, value) in [
        ("limit", "0"),
        ("limit", "201"),
        ("customerId", "-"),
        ("state", "DONE"),
        ("state", "paid"),
        ("placedAfter", "yesterday"),
        ("placedBefore", "2026-01-02"),
        ("cursor", "o-1"),
        ("page", "2"),
    ] {
        let (status, problem) = get(&model, &format!("/v1/orders?{parameter}={value}")).await;

        assert_eq!(status, 422, "{parameter}={value}");
        assert_eq!(problem["errors"][0]["parameter"], parameter, "{problem}");
    }
    let (status, empty) = get(&model, "/v1/orders").await;
    assert_eq!((status, empty), (200, serde_json::json!({"orders": []})));
    model.stop().await;
}

/// What SQLite says of how it finds a list.
async fn plan(readers: &AnyPool, filter: &Filter) -> String {
    let (statement, _) = list_statement(filter, 50);
    let statement = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    let rows = sqlx::query(statement).fetch_all(readers).await.unwrap();
    let details = rows.iter().map(|row| row.get::<String, _>("detail"));
    details.collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn every_list_is_read_in_the_order_of_an_index() {
    let database = TestDatabase::sqlite();
    database.connect().await;
    let readers = Database::new(&database.place).unwrap().readers();
    let time = Some(Timestamp::EPOCH);
    let id = OrderId::parse("o-1").unwrap();
    let cursor = Some(Cursor { placed_at: Timestamp::EPOCH, id });
    let customer_id = Some(CustomerId::parse("ada").unwrap());
    let state = Some(OrderState::Paid);
    for (filter, index) in [
        (Filter::default(), "USING INDEX orders_by_time"),
        (Filter { state, ..Filter::default() }, "USING INDEX orders_by_state "),
        (
            Filter { customer_id: customer_id.clone(), ..Filter::default() },
            "USING INDEX orders_by_customer ",
        ),
        (
            Filter { customer_id, state, ..Filter::default() },
            // Without the state where there is a range of times, since either finds few orders.
            "USING INDEX orders_by_customer",
        ),
    ] {
        let between = Filter { placed_after: time, placed_before: time, ..filter.clone() };
        let later = Filter { cursor: cursor.clone(), ..filter.clone() };
        let both = Filter { cursor: cursor.clone(), ..between.clone() };
        for filter in [filter, between, later, both] {
            let plan = plan(&readers, &filter).await;
            assert!(plan.contains(index), "{filter:?}: {plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
        }
    }
}
