//! How far an import is: a bar for people, a line now and then for a file.

use std::io::{IsTerminal, Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::report::Counts;

/// How often a bar is drawn, and how often a line is written.
const BAR_INTERVAL: Duration = Duration::from_millis(200);
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// How far an import is.
pub(crate) struct Progress {
    bytes_read: Arc<AtomicU64>,
    bytes: Option<u64>,
    /// None where stderr is no terminal.
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Of a file of so many bytes, of which so many were read.
    pub(crate) fn new(bytes: Option<u64>, bytes_read: Arc<AtomicU64>) -> Self {
        let bar = stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(bytes, ProgressDrawTarget::stderr());
            let template = match bytes {
                Some(_) => "{bar:30} {percent:>3} % {msg} [{elapsed}]",
                None => "{spinner} {msg} [{elapsed}]",
            };
            match ProgressStyle::with_template(template) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Progress { bytes_read, bytes, bar }
    }

    /// How often it wants to be told of.
    pub(crate) const fn interval(&self) -> Duration {
        if self.bar.is_some() { BAR_INTERVAL } else { LINE_INTERVAL }
    }

    /// Tells how far it is.
    pub(crate) fn tell(&self, counts: Counts) {
        let bytes_read = self.bytes_read.load(Ordering::Relaxed);
        let text = format!("{} rows, {} not taken", counts.rows(), counts.refused + counts.failed);
        match &self.bar {
            Some(bar) => {
                bar.set_position(bytes_read);
                bar.set_message(text);
            }
            None => {
                let percent = |bytes: u64| bytes_read.saturating_mul(100) / bytes.max(1);
                let share = self.bytes.map(|bytes| format!(" ({} %)", percent(bytes)));
                // Where nobody reads stderr, the import goes on.
                let _ = writeln!(stderr(), "{text}{}", share.unwrap_or_default());
            }
        }
    }

    /// Writes something to stderr that the bar is not in the way of.
    pub(crate) fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
