//! What the database says of itself: how far it has come, and of which log.

use eventlog::RequestLog;
use sqlx::{AnyConnection, Connection, Row};
use streams::{Offset, Partition};

use crate::error::Error;
use crate::positions::{Positions, of};
use crate::write::number;

/// How far the tables have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Everything before these is in them.
    pub(crate) positions: Positions,
    /// Where the log ended when they were begun: from there on they are whole.
    pub(crate) whole_at: Positions,
}

/// What the database says. Where it is empty, its positions are made: it is whole once it has what
/// is on the log by now.
pub(crate) async fn load(
    connection: &mut AnyConnection,
    ends: &Positions,
) -> Result<Stored, Error> {
    let mut stored = read(connection).await?;
    if stored.positions.iter().next().is_none() {
        begin(connection, ends).await?;
        stored = read(connection).await?;
    }
    let (found, wanted) = (stored.positions.iter().count(), ends.iter().count());
    if found != wanted {
        let reason = format!("it has {found} partitions of orders, and the log has {wanted}");
        return Err(Error::OtherLog { reason });
    }
    // The end may have been one of commits that a crash has taken back.
    let whole_at = stored.whole_at.iter().map(|(partition, at)| at.min(ends.get(partition)));
    Ok(Stored { whole_at: Positions::new(whole_at.collect()), ..stored })
}

/// The positions as they are.
pub(crate) async fn read(connection: &mut AnyConnection) -> Result<Stored, Error> {
    const READ: &str =
        "SELECT next_offset, whole_at FROM projection_positions ORDER BY log_partition";
    let rows = sqlx::query(READ).fetch_all(connection).await?;
    let column = |name: &str| {
        let offsets = rows.iter().map(|row| row.try_get(name).map(offset));
        offsets.collect::<Result<_, _>>().map(Positions::new)
    };
    Ok(Stored { positions: column("next_offset")?, whole_at: column("whole_at")? })
}

/// Empties all tables, to be filled from the begin of the log.
pub(crate) async fn empty(connection: &mut AnyConnection, ends: &Positions) -> Result<(), Error> {
    let mut transaction = connection.begin().await?;
    // The positions first: whoever is about to write waits here, and finds them gone.
    for table in ["projection_positions", "order_lines", "order_events", "orders"] {
        let delete = sqlx::AssertSqlSafe(format!("DELETE FROM {table}"));
        sqlx::query(delete).execute(&mut *transaction).await?;
    }
    begin(&mut transaction, ends).await?;
    transaction.commit().await?;
    Ok(())
}

/// Makes positions at the begin of the log; another instance may do the same.
async fn begin(connection: &mut AnyConnection, ends: &Positions) -> Result<(), Error> {
    const BEGIN: &str = "INSERT INTO projection_positions (log_partition, next_offset, whole_at) \
         VALUES ($1, 0, $2) ON CONFLICT (log_partition) DO NOTHING";
    let mut transaction = connection.begin().await?;
    for (partition, end) in ends.iter() {
        let begin = sqlx::query(BEGIN).bind(i64::from(partition.0)).bind(number(end.0));
        begin.execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// Makes sure that the tables are of this log: it goes at least as far, and has the last event of
/// each partition where they say, as they say.
///
/// # Errors
/// [`Error::OtherLog`] where they are not.
pub(crate) async fn check(
    connection: &mut AnyConnection,
    log: &dyn RequestLog,
    (positions, ends): (&Positions, &Positions),
) -> Result<(), Error> {
    const LAST: &str = "SELECT log_offset, body FROM order_events \
         WHERE log_partition = $1 ORDER BY log_offset DESC LIMIT 1";
    for (partition, position) in positions.iter() {
        let end = ends.get(partition);
        if position > end {
            return Err(Error::beyond_the_end(partition.0, position, end));
        }
        let last = sqlx::query(LAST).bind(i64::from(partition.0));
        let Some(row) = last.fetch_optional(&mut *connection).await? else { continue };
        let (at, body): (Offset, String) = (offset(row.try_get(0)?), row.try_get(1)?);
        if !has(log, (partition, at), &body).await? {
            let reason = format!("partition {partition} of orders has another event at {at}");
            return Err(Error::OtherLog { reason });
        }
    }
    Ok(())
}

async fn has(
    log: &dyn RequestLog,
    (partition, at): (Partition, Offset),
    body: &str,
) -> Result<bool, Error> {
    let found = match log.read(of(partition), at, 1).await {
        Err(eventlog::Error::OutOfRange { .. }) => return Ok(false),
        found => found?,
    };
    let value = found.first().filter(|record| record.offset == at);
    Ok(value.and_then(|record| record.value.as_deref()) == Some(body.as_bytes()))
}

fn offset(stored: i64) -> Offset {
    Offset(stored.unsigned_abs())
}
