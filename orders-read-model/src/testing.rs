//! Whether the tables are what the log makes of them: every row, compared with a fold of the topic.

use std::collections::BTreeMap;

use eventlog::RequestLog;
use events::order::Order;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row};
use streams::Fetched;

use crate::batch::{Batch, ProjectedEvent};
use crate::database::{Database, Place};
use crate::error::Error;
use crate::positions::{Positions, of};

/// How many differences are told.
const TOLD_MAX: usize = 10;
const RECORDS_MAX: usize = 4_096;

/// What the tables at a place lack, have twice or have otherwise than the log says. Empty where
/// they are what the log makes of them.
///
/// # Errors
/// [`Error`] where one of the two cannot be read.
pub async fn differences(place: &Place, log: &dyn RequestLog) -> Result<Vec<String>, Error> {
    let mut connection = Database::new(place)?.open().await?;
    let (events, after) = whole_topic(log).await?;
    let expected = [
        ("orders", orders(&events)),
        ("order_lines", lines(&events)),
        ("order_events", events.iter().map(event_row).collect()),
        ("projection_positions", positions(&after)),
    ];
    let mut differences = Vec::new();
    for (table, mut rows) in expected {
        rows.sort();
        let found = rows_of(&mut connection, table).await?;
        if found.len() != rows.len() {
            let (found, rows) = (found.len(), rows.len());
            differences.push(format!("{table} has {found} rows, and the log makes {rows}"));
        }
        let unlike = rows.iter().zip(&found).filter(|(row, found)| row != found);
        let told = unlike.map(|(row, found)| format!("{table} has {found}, and not {row}"));
        differences.extend(told.take(TOLD_MAX));
    }
    Ok(differences)
}

/// All events on the log, and where they end.
async fn whole_topic(log: &dyn RequestLog) -> Result<(Vec<ProjectedEvent>, Positions), Error> {
    let mut events = Vec::new();
    let mut after = Positions::begin(log.partitions());
    for (partition, _) in Positions::begin(log.partitions()).iter() {
        loop {
            let from = after.get(partition);
            let records = log.read(of(partition), from, RECORDS_MAX).await?;
            let Some(last) = records.last() else { break };
            let positions = vec![(of(partition), last.offset.next())];
            let fetched = Fetched { records, positions, ..Fetched::default() };
            let batch = Batch::new(&after, fetched);
            events.extend(batch.events);
            after = batch.to;
        }
    }
    Ok((events, after))
}

/// The columns of a row as one text.
fn row(columns: &[&dyn ToString]) -> String {
    columns.iter().map(|column| column.to_string()).collect::<Vec<_>>().join("|")
}

fn text(value: Option<&impl ToString>) -> String {
    value.map_or("-".to_owned(), ToString::to_string)
}

fn orders(events: &[ProjectedEvent]) -> Vec<String> {
    let latest: BTreeMap<_, &ProjectedEvent> =
        events.iter().map(|event| (&event.order.id, event)).collect();
    let order_row = |event: &&ProjectedEvent| {
        let order = &event.order;
        row(&[
            &order.id,
            &order.version,
            &order.state,
            &order.customer_id,
            &order.currency,
            &text(order.total.as_ref()),
            &order.placed_at.as_millis(),
            &order.updated_at.as_millis(),
            &String::from_utf8_lossy(&event.body),
        ])
    };
    latest.values().map(order_row).collect()
}

fn lines(events: &[ProjectedEvent]) -> Vec<String> {
    let orders: BTreeMap<_, &Order> =
        events.iter().map(|event| (&event.order.id, &event.order)).collect();
    let rows = orders.values().flat_map(|order| {
        (1..).zip(&order.lines).map(|(number, line)| {
            let price = text(line.unit_price.as_ref());
            row(&[&order.id, &number, &line.product_id, &line.quantity, &price])
        })
    });
    rows.collect()
}

fn event_row(event: &ProjectedEvent) -> String {
    row(&[
        &event.order.id,
        &event.order.version,
        &event.partition,
        &event.offset,
        &event.event_type,
        &event.time.as_millis(),
        &String::from_utf8_lossy(&event.body),
    ])
}

fn positions(after: &Positions) -> Vec<String> {
    after.iter().map(|(partition, position)| row(&[&partition, &position])).collect()
}

async fn rows_of(connection: &mut AnyConnection, table: &str) -> Result<Vec<String>, Error> {
    let columns: &[&str] = match table {
        "orders" => &[
            "id",
            "version",
            "state",
            "customer_id",
            "currency",
            "total",
            "placed_at",
            "updated_at",
            "body",
        ],
        "order_lines" => &["order_id", "line_number", "product_id", "quantity", "unit_price"],
        "order_events" => &[
            "order_id",
            "version",
            "log_partition",
            "log_offset",
            "event_type",
            "happened_at",
            "body",
        ],
        _ => &["log_partition", "next_offset"],
    };
    let select = format!("SELECT {} FROM {table}", columns.join(", "));
    let found = sqlx::query(AssertSqlSafe(select)).fetch_all(connection).await?;
    let mut rows = Vec::with_capacity(found.len());
    for found in &found {
        let column = |at| column_text(found, at);
        let texts: Vec<String> = (0..columns.len()).map(column).collect::<Result<_, _>>()?;
        rows.push(texts.join("|"));
    }
    rows.sort();
    Ok(rows)
}

fn column_text(row: &AnyRow, at: usize) -> Result<String, sqlx::Error> {
    if let Ok(number) = row.try_get::<i64, _>(at) {
        return Ok(number.to_string());
    }
    let value: Option<String> = row.try_get(at)?;
    Ok(text(value.as_ref()))
}
