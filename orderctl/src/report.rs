//! What became of each row, told as it happens, and counted.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write, stderr};
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use crate::arguments::Kind;
use crate::progress::Progress;
use crate::rows::Row;
use crate::servers::{FieldError, Problem};

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is new.
    Created,
    /// It was there, and is as the row says.
    There,
    /// It was not taken, and would not be at the next time.
    Refused(Problem),
    /// The server had a fault.
    Failed(Problem),
    /// There was no answer that said anything for as long as it was asked for.
    Unanswered(Problem),
}

/// Why a row was not taken.
#[derive(Serialize)]
struct Complaint<'a> {
    line: u64,
    id: &'a str,
    code: &'a str,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl fmt::Display for Complaint<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Complaint { line, id, code, detail, errors } = self;
        write!(formatter, "line {line}, {id}: {code}: ")?;
        if errors.is_empty() {
            return write!(formatter, "{detail}");
        }
        for (number, FieldError { field, detail }) in errors.iter().enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            write!(formatter, "{comma}{field}: {detail}")?;
        }
        Ok(())
    }
}

/// How many rows had which fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    created: u64,
    there: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
}

impl Counts {
    /// How many rows there were.
    pub(crate) const fn rows(self) -> u64 {
        self.created + self.there + self.refused + self.failed
    }
}

/// Tells what was not taken, and counts everything. Nothing told is kept.
pub(crate) struct Report {
    kind: Kind,
    pub(crate) counts: Counts,
    file: Option<BufWriter<File>>,
}

impl Report {
    /// A report to a file of JSON lines, or to stderr.
    ///
    /// # Errors
    /// Where the file cannot be made.
    pub(crate) fn new(kind: Kind, path: Option<&Path>) -> anyhow::Result<Self> {
        let create = |path: &Path| {
            File::create(path).with_context(|| format!("cannot write {}", path.display()))
        };
        let file = path.map(create).transpose()?.map(BufWriter::new);
        Ok(Report { kind, counts: Counts::default(), file })
    }

    /// What is wrong with a row that was not sent at all.
    pub(crate) fn malformed(detail: String) -> Fate {
        let code = "MALFORMED_ROW".to_owned();
        Fate::Refused(Problem { code, detail, errors: Vec::new() })
    }

    /// Takes down what became of a row.
    ///
    /// # Errors
    /// Where the report cannot be written.
    pub(crate) fn add(
        &mut self,
        (line, id): (u64, &str),
        fate: &Fate,
        progress: &Progress,
    ) -> io::Result<()> {
        let (count, problem) = match fate {
            Fate::Created => (&mut self.counts.created, None),
            Fate::There => (&mut self.counts.there, None),
            Fate::Refused(problem) => (&mut self.counts.refused, Some(problem)),
            Fate::Failed(problem) | Fate::Unanswered(problem) => {
                (&mut self.counts.failed, Some(problem))
            }
        };
        *count += 1;
        let Some(Problem { code, detail, errors }) = problem else { return Ok(()) };
        let complaint = Complaint { line, id, code, detail, errors };
        match &mut self.file {
            Some(file) => {
                serde_json::to_writer(&mut *file, &complaint)?;
                file.write_all(b"\n")
            }
            None => progress.beside(|| writeln!(stderr(), "{complaint}")),
        }
    }

    /// The same for a row that says itself what is wrong with it.
    ///
    /// # Errors
    /// Where the report cannot be written.
    pub(crate) fn add_malformed(
        &mut self,
        row: &Row,
        problem: &str,
        progress: &Progress,
    ) -> io::Result<()> {
        self.add((row.line, &row.id), &Report::malformed(problem.to_owned()), progress)
    }

    /// Writes what is left of the report, and gives the line that sums it up.
    ///
    /// # Errors
    /// Where the report cannot be written.
    pub(crate) fn finish(mut self) -> io::Result<String> {
        if let Some(file) = &mut self.file {
            file.flush()?;
        }
        let Counts { created, there, refused, failed } = self.counts;
        let name = self.kind.name();
        Ok(format!(
            "{name}: {created} created, {there} there already, {refused} refused, {failed} failed"
        ))
    }
}
