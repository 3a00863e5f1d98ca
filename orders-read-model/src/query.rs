//! Reading the tables.

use events::Timestamp;
use events::ids::{CustomerId, OrderId};
use events::order::{OrderState, Version};
use sqlx::any::AnyRow;
use sqlx::{AnyPool, AssertSqlSafe, Row};
use streams::{Offset, Partition};

use crate::cursor::Cursor;
use crate::write::number;

/// Which orders to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) customer_id: Option<CustomerId>,
    pub(crate) state: Option<OrderState>,
    /// Placed later than this.
    pub(crate) placed_after: Option<Timestamp>,
    /// Placed earlier than this.
    pub(crate) placed_before: Option<Timestamp>,
    /// Behind this place of the list.
    pub(crate) cursor: Option<Cursor>,
}

/// An order on a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Where it stands on the list.
    pub(crate) place: Cursor,
    /// The order: JSON text.
    pub(crate) body: String,
}

/// An event as the tables have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
    /// The order's version after it.
    pub version: Version,
    /// Its partition of the topic.
    pub partition: Partition,
    /// Its offset there.
    pub offset: Offset,
    /// What happened, as in `ce_type`.
    pub event_type: String,
    /// When.
    pub time: Timestamp,
    /// The order after it: JSON text.
    pub body: String,
}

pub(crate) enum Value {
    Number(i64),
    Text(String),
}

/// The statement that lists orders, and its values.
pub(crate) fn list_statement(filter: &Filter, limit: usize) -> (String, Vec<Value>) {
    let mut conditions = Vec::new();
    let mut values = Vec::new();
    let mut place = |value: Value| {
        values.push(value);
        format!("${}", values.len())
    };
    if let Some(customer_id) = &filter.customer_id {
        conditions.push(format!("customer_id = {}", place(Value::Text(customer_id.to_string()))));
    }
    if let Some(state) = filter.state {
        conditions.push(format!("state = {}", place(Value::Text(state.to_string()))));
    }
    if let Some(after) = filter.placed_after {
        conditions.push(format!("placed_at > {}", place(Value::Number(after.as_millis()))));
    }
    if let Some(before) = filter.placed_before {
        conditions.push(format!("placed_at < {}", place(Value::Number(before.as_millis()))));
    }
    if let Some(cursor) = &filter.cursor {
        let placed_at = place(Value::Number(cursor.placed_at.as_millis()));
        let id = place(Value::Text(cursor.id.to_string()));
        conditions.push(format!("(placed_at, id) < ({placed_at}, {id})"));
    }
    let limit = place(Value::Number(number(limit as u64)));
    let conditions = match conditions.is_empty() {
        true => String::new(),
        false => format!("WHERE {} ", conditions.join(" AND ")),
    };
    let statement = format!(
        "SELECT id, placed_at, body FROM orders {conditions}\
         ORDER BY placed_at DESC, id DESC LIMIT {limit}"
    );
    (statement, values)
}

/// At most `limit` orders, newest first.
pub(crate) async fn list(
    readers: &AnyPool,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Listed>, sqlx::Error> {
    let (statement, values) = list_statement(filter, limit);
    // No part of it is a client's: its values are bound.
    let query =
        values.into_iter().fold(
            sqlx::query(AssertSqlSafe(statement)),
            |query, value| match value {
                Value::Number(number) => query.bind(number),
                Value::Text(text) => query.bind(text),
            },
        );
    let rows = query.fetch_all(readers).await?;
    rows.iter().map(listed).collect()
}

fn listed(row: &AnyRow) -> Result<Listed, sqlx::Error> {
    let id: String = row.try_get("id")?;
    let id = OrderId::parse(&id).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let placed_at = Timestamp::from_millis(row.try_get("placed_at")?);
    Ok(Listed { place: Cursor { placed_at, id }, body: row.try_get("body")? })
}

const EVENT: &str = "SELECT version, log_partition, log_offset, event_type, happened_at, body \
     FROM order_events ";

/// The events of an order, oldest first.
pub(crate) async fn history(
    readers: &AnyPool,
    id: &OrderId,
) -> Result<Vec<RecordedEvent>, sqlx::Error> {
    let statement = format!("{EVENT} WHERE order_id = $1 ORDER BY version");
    let query = sqlx::query(AssertSqlSafe(statement)).bind(id.to_string());
    query.fetch_all(readers).await?.iter().map(recorded).collect()
}

/// At most `limit` events of a partition with offsets from `from` up to before `until`, in order.
pub(crate) async fn events(
    readers: &AnyPool,
    partition: Partition,
    (from, until): (Offset, Offset),
    limit: usize,
) -> Result<Vec<RecordedEvent>, sqlx::Error> {
    let statement = format!(
        "{EVENT} WHERE log_partition = $1 AND log_offset >= $2 AND log_offset < $3 \
         ORDER BY log_offset LIMIT $4"
    );
    let query = sqlx::query(AssertSqlSafe(statement))
        .bind(i64::from(partition.0))
        .bind(number(from.0))
        .bind(number(until.0))
        .bind(number(limit as u64));
    query.fetch_all(readers).await?.iter().map(recorded).collect()
}

/// The version of an order as it is in the tables; `None` where it is not there.
pub(crate) async fn version(
    readers: &AnyPool,
    id: &OrderId,
) -> Result<Option<Version>, sqlx::Error> {
    const VERSION: &str = "SELECT version FROM orders WHERE id = $1";
    let row = sqlx::query(VERSION).bind(id.to_string()).fetch_optional(readers).await?;
    row.map(|row| row.try_get(0).map(version_of)).transpose()
}

fn recorded(row: &AnyRow) -> Result<RecordedEvent, sqlx::Error> {
    let partition: i64 = row.try_get("log_partition")?;
    let offset: i64 = row.try_get("log_offset")?;
    Ok(RecordedEvent {
        version: version_of(row.try_get("version")?),
        partition: Partition(u32::try_from(partition).unwrap_or(u32::MAX)),
        offset: Offset(offset.unsigned_abs()),
        event_type: row.try_get("event_type")?,
        time: Timestamp::from_millis(row.try_get("happened_at")?),
        body: row.try_get("body")?,
    })
}

fn version_of(stored: i64) -> Version {
    Version(u32::try_from(stored).unwrap_or(u32::MAX))
}
