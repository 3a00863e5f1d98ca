//! How the projection is doing: for `/readyz`, `/metrics`, and to know whether lists are whole.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use shell::metrics::{Sample, Value};
use shell::{Health, Report};

/// What the tables can be used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tables {
    /// It is not known yet how they are.
    Unknown,
    /// They are being filled from the begin of the log, of which so many records are left.
    Filling {
        /// Records still to be projected.
        left: u64,
    },
    /// They have everything up to a moment ago.
    Whole,
    /// They are of another log.
    Foreign,
}

/// How the projection is doing.
#[derive(Debug)]
pub(crate) struct Progress {
    tables: Mutex<Tables>,
    /// Why nothing is projected for now.
    trouble: Mutex<Option<String>>,
    /// The first record that could not be read, for all of them.
    unreadable: Mutex<Option<String>>,
    /// Records of the log that are not projected yet.
    lag: AtomicU64,
    /// Events projected since the start, here or by another instance.
    events: AtomicU64,
    /// Whether this instance writes, and not another one.
    is_writer: AtomicBool,
}

impl Default for Progress {
    fn default() -> Self {
        Progress {
            tables: Mutex::new(Tables::Unknown),
            trouble: Mutex::default(),
            unreadable: Mutex::default(),
            lag: AtomicU64::new(0),
            events: AtomicU64::new(0),
            is_writer: AtomicBool::new(false),
        }
    }
}

impl Progress {
    pub(crate) fn tables(&self) -> Tables {
        lock(&self.tables).clone()
    }

    pub(crate) fn set_tables(&self, tables: Tables) {
        *lock(&self.tables) = tables;
    }

    pub(crate) fn set_trouble(&self, trouble: Option<String>) {
        *lock(&self.trouble) = trouble;
    }

    pub(crate) fn set_lag(&self, records: u64) {
        self.lag.store(records, Ordering::Relaxed);
    }

    pub(crate) fn set_writer(&self, is_writer: bool) {
        self.is_writer.store(is_writer, Ordering::Relaxed);
    }

    pub(crate) fn projected(&self, events: usize, unreadable: &[String]) {
        self.events.fetch_add(events as u64, Ordering::Relaxed);
        if let Some(first) = unreadable.first() {
            lock(&self.unreadable).get_or_insert_with(|| first.clone());
        }
    }

    /// Events projected since the start.
    pub(crate) fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Records of the log that are not projected yet.
    pub(crate) fn lag(&self) -> u64 {
        self.lag.load(Ordering::Relaxed)
    }
}

/// A thread that panicked has left a whole value: each is replaced as one.
fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Report for Progress {
    fn health(&self) -> Health {
        let mut health = Health::default();
        health.degraded.extend(lock(&self.trouble).iter().map(|why| format!("read model: {why}")));
        let unreadable = lock(&self.unreadable);
        let left_out = |why: &String| format!("read model: left out a record of {why}");
        health.degraded.extend(unreadable.iter().map(left_out));
        health.information.push(match self.tables() {
            Tables::Filling { left } => format!("read model: {left} records left to fill it"),
            _ => format!("read model: {} records behind", self.lag()),
        });
        health
    }

    fn samples(&self) -> Vec<Sample> {
        let is_filling = matches!(self.tables(), Tables::Filling { .. });
        let is_writer = self.is_writer.load(Ordering::Relaxed);
        vec![
            Sample::new(
                "read_model_lag_records",
                "Records of the log that the read model does not show yet.",
                Value::gauge(self.lag()),
            ),
            Sample::new(
                "read_model_events_total",
                "Events that the read model took up.",
                Value::Counter(self.events()),
            ),
            Sample::new(
                "read_model_filling",
                "1 while the read model is made from the begin of the log.",
                Value::gauge(is_filling),
            ),
            Sample::new(
                "read_model_writer",
                "1 where this instance writes the read model.",
                Value::gauge(is_writer),
            ),
        ]
    }
}
