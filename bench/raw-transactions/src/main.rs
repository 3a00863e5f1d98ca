//! What a broker gives to a bare loop of transactions, without the log or anything above it:
//! `cargo run --release -p raw-transactions`, with `KAFKA_BOOTSTRAP_SERVERS` set, and `PARTITIONS`
//! where topics are to have others than 6. One thread consumes a record, writes one to each of some
//! partitions, sends its offset and commits; two producers take turns. All of it is librdkafka's,
//! which most programs use; a log makes its transactions with another client (ADR 011). Prints one
//! line of JSON for each number of partitions that a transaction writes to.
#![expect(clippy::print_stdout, reason = "figures are what it is for")]

mod raw;

use anyhow::{Context, Result};
// Whatever links librdkafka needs what stands in for its function: see the build script of
// `eventlog-kafka`.
use eventlog_kafka as _;

use raw::Raw;

fn main() -> Result<()> {
    let servers = std::env::var("KAFKA_BOOTSTRAP_SERVERS")
        .context("KAFKA_BOOTSTRAP_SERVERS says where the broker is")?;
    let partitions = match std::env::var("PARTITIONS") {
        Ok(partitions) => partitions.parse().context("PARTITIONS is a number")?,
        Err(_) => 6,
    };
    let raw = Raw::new(&servers, partitions)?;
    for (written_to, batch, count) in [(1, 1, 300), (partitions, 1, 300), (partitions, 100, 60)] {
        raw.measure(written_to, batch, count)?;
    }
    Ok(())
}
