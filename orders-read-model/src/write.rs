//! Writing a batch: its rows and the positions after it, in one transaction.

use std::collections::HashMap;

use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use streams::Partition;

use crate::batch::{Batch, ProjectedEvent};
use crate::database::is_sqlite;
use crate::positions::Positions;

/// How many rows one statement inserts: the most of these that there are. A few sizes are a few
/// statements to prepare.
const ROWS_OF_A_STATEMENT: [usize; 4] = [64, 16, 4, 1];

/// What came of writing a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// All of it is in the database.
    Whole,
    /// Nothing is: the positions in the database are others than those it was to go on from.
    Stale,
}

/// Writes what a batch has beyond `stored`, which is what the database should be at, and moves the
/// positions there. Partitions are taken in order, so that two instances do not wait for each other
/// in a circle.
pub(crate) async fn write(
    connection: &mut AnyConnection,
    stored: &Positions,
    batch: &Batch,
) -> Result<Written, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    for (partition, to) in batch.to.iter() {
        let from = stored.get(partition);
        if from < to && !advance(&mut transaction, partition, (from.0, to.0)).await? {
            transaction.rollback().await?;
            return Ok(Written::Stale);
        }
    }
    let is_new = |event: &&ProjectedEvent| event.offset >= stored.get(event.partition);
    let events: Vec<&ProjectedEvent> = batch.events.iter().filter(is_new).collect();
    EVENTS.insert(&mut transaction, events.iter().map(|event| event_row(event)).collect()).await?;
    let created = events.iter().filter(|event| event.order.version.0 == 1);
    LINES.insert(&mut transaction, created.flat_map(|event| line_rows(event)).collect()).await?;
    ORDERS.insert(&mut transaction, order_rows(&events)).await?;
    transaction.commit().await?;
    Ok(Written::Whole)
}

/// Moves one position, unless it is not where it should be.
async fn advance(
    connection: &mut AnyConnection,
    partition: Partition,
    (from, to): (u64, u64),
) -> Result<bool, sqlx::Error> {
    const ADVANCE: &str = "UPDATE projection_positions SET next_offset = $1 \
         WHERE log_partition = $2 AND next_offset = $3";
    let advance = sqlx::query(ADVANCE).bind(number(to)).bind(i64::from(partition.0));
    Ok(advance.bind(number(from)).execute(connection).await?.rows_affected() == 1)
}

/// A value of a row.
enum Value {
    Number(i64),
    Text(String),
    Null,
}

impl Value {
    fn text(value: impl ToString) -> Self {
        Value::Text(value.to_string())
    }

    fn optional(value: Option<impl ToString>) -> Self {
        value.map_or(Value::Null, Value::text)
    }
}

/// How rows get into a table.
struct Table {
    insert: &'static str,
    columns: usize,
    /// What becomes of a row that is there already.
    otherwise: &'static str,
}

const EVENTS: Table = Table {
    insert: "INSERT INTO order_events (order_id, version, log_partition, log_offset, event_type, \
             happened_at, body) VALUES ",
    columns: 7,
    otherwise: "",
};

const LINES: Table = Table {
    insert: "INSERT INTO order_lines (order_id, line_number, product_id, quantity, unit_price) \
             VALUES ",
    columns: 5,
    otherwise: "",
};

const ORDERS: Table = Table {
    insert: "INSERT INTO orders (id, version, state, customer_id, currency, total, placed_at, \
             updated_at, body) VALUES ",
    columns: 9,
    otherwise: " ON CONFLICT (id) DO UPDATE SET version = excluded.version, \
                state = excluded.state, total = excluded.total, updated_at = excluded.updated_at, \
                body = excluded.body",
};

impl Table {
    async fn insert(
        &self,
        connection: &mut AnyConnection,
        rows: Vec<Vec<Value>>,
    ) -> Result<(), sqlx::Error> {
        let is_sqlite = is_sqlite(connection);
        let mut left = rows.len();
        let mut rows = rows.into_iter();
        while let Some(size) = ROWS_OF_A_STATEMENT.into_iter().find(|size| *size <= left) {
            left -= size;
            let mut insert = sqlx::query(AssertSqlSafe(self.statement(size, is_sqlite)));
            for value in rows.by_ref().take(size).flatten() {
                insert = match value {
                    Value::Number(number) => insert.bind(number),
                    Value::Text(text) => insert.bind(text),
                    Value::Null => insert.bind(None::<String>),
                };
            }
            insert.execute(&mut *connection).await?;
        }
        Ok(())
    }

    /// The statement for so many rows. All that it is put together of is in this file. PostgreSQL
    /// asks for numbered places; SQLite would look each number up among all, for each value.
    fn statement(&self, rows: usize, is_sqlite: bool) -> String {
        let place = |number| if is_sqlite { "?".to_owned() } else { format!("${number}") };
        let row = |row: usize| {
            let first = row * self.columns + 1;
            let places: Vec<String> = (first..first + self.columns).map(place).collect();
            format!("({})", places.join(", "))
        };
        let rows: Vec<String> = (0..rows).map(row).collect();
        format!("{}{}{}", self.insert, rows.join(", "), self.otherwise)
    }
}

fn event_row(event: &ProjectedEvent) -> Vec<Value> {
    vec![
        Value::text(&event.order.id),
        Value::Number(event.order.version.0.into()),
        Value::Number(event.partition.0.into()),
        Value::Number(number(event.offset.0)),
        Value::text(event.event_type),
        Value::Number(event.time.as_millis()),
        body(event),
    ]
}

fn body(event: &ProjectedEvent) -> Value {
    Value::Text(String::from_utf8_lossy(&event.body).into_owned())
}

fn line_rows(event: &ProjectedEvent) -> impl Iterator<Item = Vec<Value>> {
    (1..).zip(&event.order.lines).map(|(line_number, line)| {
        vec![
            Value::text(&event.order.id),
            Value::Number(line_number),
            Value::text(&line.product_id),
            Value::Number(line.quantity.get().into()),
            Value::optional(line.unit_price.as_ref()),
        ]
    })
}

/// A row of each order: as its last event left it.
fn order_rows(events: &[&ProjectedEvent]) -> Vec<Vec<Value>> {
    let last: HashMap<_, usize> =
        events.iter().enumerate().map(|(at, event)| (&event.order.id, at)).collect();
    let is_last = |(at, event): &(usize, &&ProjectedEvent)| last[&event.order.id] == *at;
    let row = |(_, event): (usize, &&ProjectedEvent)| {
        let order = &event.order;
        vec![
            Value::text(&order.id),
            Value::Number(order.version.0.into()),
            Value::text(order.state),
            Value::text(&order.customer_id),
            Value::text(order.currency),
            Value::optional(order.total.as_ref()),
            Value::Number(order.placed_at.as_millis()),
            Value::Number(order.updated_at.as_millis()),
            body(event),
        ]
    };
    events.iter().enumerate().filter(is_last).map(row).collect()
}

/// A number as databases know it. Offsets and quantities are far below its end.
pub(crate) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
