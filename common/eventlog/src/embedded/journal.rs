//! The journal: commits on disk before a checkpoint covers them.

use std::collections::VecDeque;

use redb::{Database, ReadableDatabase, ReadableTable};
use streams::CommitPosition;

use crate::core::Core;
use crate::embedded::commits::{CommitBytes, Names, read_commit};
use crate::embedded::layout::COMMITS;
use crate::embedded::trouble::Trouble;

/// At most this many rows are removed with each one that is written, so that no commit waits for
/// the clearing up after a checkpoint.
const ROWS_REMOVED_MAX: usize = 8;

const LENGTH_BYTES: usize = 4;

/// The journal, with one writer.
#[derive(Debug)]
pub(crate) struct Journal {
    database: Database,
    /// The rows there are, oldest first.
    rows: VecDeque<Row>,
}

/// The commits from `first` to `last`, in one row.
#[derive(Clone, Copy, Debug)]
struct Row {
    first: u64,
    last: u64,
}

impl Journal {
    /// Reads the journal, and makes those of its commits again that come after the ones `core` has.
    pub(crate) fn replayed_into(
        core: &mut Core,
        database: Database,
        names: &mut Names,
    ) -> Result<Self, Trouble> {
        let mut rows = VecDeque::new();
        let transaction = database.begin_read()?;
        for row in transaction.open_table(COMMITS)?.iter()? {
            let (first, value) = row?;
            let first = first.value();
            let mut next = first;
            for commit in commits(value.value()) {
                let commit = commit?;
                if next == core.committed().0 + 1 {
                    core.apply_prepared(read_commit(commit, names)?)
                        .map_err(|error| Trouble::corrupt(error.to_string()))?;
                } else if next > core.committed().0 {
                    let missing = core.committed().0 + 1;
                    let text = format!("commits {missing} to {} are missing", next - 1);
                    return Err(Trouble::Corrupt(text));
                }
                next += 1;
            }
            rows.push_back(Row { first, last: next.saturating_sub(1) });
        }
        drop(transaction);
        Ok(Journal { database, rows })
    }

    /// Writes commits as one row, durable when it returns, and removes some of the rows that the
    /// checkpoint at `checkpointed` has made superfluous.
    pub(crate) fn write(
        &mut self,
        first: u64,
        commits: &[CommitBytes],
        checkpointed: CommitPosition,
    ) -> Result<(), Trouble> {
        let size = commits.iter().map(|commit| LENGTH_BYTES + commit.len()).sum();
        let transaction = self.database.begin_write()?;
        {
            let mut table = transaction.open_table(COMMITS)?;
            let mut row = table.insert_reserve(first, size)?;
            let mut rest = row.as_mut();
            for commit in commits {
                let length = (commit.len() as u32).to_le_bytes();
                for piece in std::iter::once(length.as_slice()).chain(commit.pieces()) {
                    let (place, others) = rest.split_at_mut(piece.len());
                    place.copy_from_slice(piece);
                    rest = others;
                }
            }
            drop(row);
            for _ in 0..ROWS_REMOVED_MAX {
                let superfluous = self.rows.pop_front_if(|row| row.last <= checkpointed.0);
                let Some(row) = superfluous else { break };
                table.remove(row.first)?;
            }
        }
        transaction.commit()?;
        self.rows.push_back(Row { first, last: first + commits.len() as u64 - 1 });
        Ok(())
    }
}

/// The commits of a row.
fn commits(mut row: &[u8]) -> impl Iterator<Item = Result<&[u8], Trouble>> {
    std::iter::from_fn(move || {
        if row.is_empty() {
            return None;
        }
        let commit = row
            .split_first_chunk()
            .and_then(|(length, rest)| rest.split_at_checked(u32::from_le_bytes(*length) as usize));
        let Some((commit, rest)) = commit else {
            row = &[];
            return Some(Err(Trouble::corrupt("a row of the journal is cut short")));
        };
        row = rest;
        Some(Ok(commit))
    })
}
