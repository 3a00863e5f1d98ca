//! Files of CSV and JSON lines, row by row: no more than one row of a file is in memory.

mod csv_rows;
mod json_lines;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};

use crate::arguments::{Format, Kind};
use crate::kind::Entry;
use csv_rows::CsvRows;
use json_lines::JsonLines;

/// The most bytes of a row; a server takes a quarter of that.
const ROW_BYTES_MAX: usize = 1024 * 1024;

/// A row of a file: one thing to import, or why it is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The line on which it begins, from 1.
    pub(crate) line: u64,
    /// Its id, as far as it has one.
    pub(crate) id: String,
    /// What it says, or what is wrong with it.
    pub(crate) entry: Result<Entry, String>,
}

/// The rows of a file. After an error there are none.
pub(crate) type Rows = Box<dyn Iterator<Item = anyhow::Result<Row>> + Send>;

/// An open file.
pub(crate) struct Input {
    pub(crate) rows: Rows,
    /// How many bytes of it were read.
    pub(crate) bytes_read: Arc<AtomicU64>,
    /// How many it has, where it is a file of some length.
    pub(crate) bytes: Option<u64>,
}

/// Opens a file; `-` is stdin.
///
/// # Errors
/// Where it cannot be read, and where it is CSV of other columns.
pub(crate) fn open(kind: Kind, path: &Path, format: Option<Format>) -> anyhow::Result<Input> {
    let name = path.display();
    let format = format.or_else(|| of_name(path));
    let Some(format) = format else {
        bail!("{name} may be CSV or JSON lines: --format says which");
    };
    let (bytes, source): (_, Box<dyn Read + Send>) = if path == Path::new("-") {
        (None, Box::new(io::stdin()))
    } else {
        let cannot_read = || format!("cannot read {name}");
        let file = File::open(path).with_context(cannot_read)?;
        let metadata = file.metadata().with_context(cannot_read)?;
        if metadata.is_dir() {
            bail!("cannot read {name}: it is a directory");
        }
        (metadata.is_file().then_some(metadata.len()), Box::new(file))
    };
    let bytes_read = Arc::default();
    let counted = Counted { source, bytes_read: Arc::clone(&bytes_read) };
    let rows: Rows = match format {
        Format::Csv => Box::new(CsvRows::new(kind, counted).with_context(|| name.to_string())?),
        Format::Jsonl => Box::new(JsonLines::new(kind, BufReader::new(counted))),
    };
    Ok(Input { rows, bytes_read, bytes })
}

fn of_name(path: &Path) -> Option<Format> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "csv" => Some(Format::Csv),
        "jsonl" | "ndjson" => Some(Format::Jsonl),
        _ => None,
    }
}

/// A reader that tells how much was read.
struct Counted {
    source: Box<dyn Read + Send>,
    bytes_read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.bytes_read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
