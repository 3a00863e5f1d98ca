//! How the projection is doing: for `/readyz`, `/metrics`, and to know whether lists are whole.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shell::metrics::{Sample, Value};
use shell::{Health, Report};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a request waits for tables that are just being opened.
const OPENING_TIME_MAX: Duration = Duration::from_secs(1);

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
    tables: watch::Sender<Tables>,
    /// Why nothing is projected for now.
    trouble: watch::Sender<Option<String>>,
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
            tables: watch::Sender::new(Tables::Unknown),
            trouble: watch::Sender::default(),
            unreadable: Mutex::default(),
            lag: AtomicU64::new(0),
            events: AtomicU64::new(0),
            is_writer: AtomicBool::new(false),
        }
    }
}

impl Progress {
    pub(crate) fn tables(&self) -> Tables {
        self.tables.borrow().clone()
    }

    /// The same once it is known, which takes a moment after the start. Where something is in the
    /// way, nobody waits.
    pub(crate) async fn tables_known(&self) -> Tables {
        let mut tables = self.tables.subscribe();
        let mut trouble = self.trouble.subscribe();
        let opening = async {
            tokio::select! {
                _ = tables.wait_for(|tables| *tables != Tables::Unknown) => {}
                _ = trouble.wait_for(Option::is_some) => {}
            }
        };
        // Where it takes longer, they are as unknown as before.
        let _ = timeout(OPENING_TIME_MAX, opening).await;
        self.tables()
    }

    pub(crate) fn set_tables(&self, tables: Tables) {
        self.tables.send_replace(tables);
    }

    pub(crate) fn set_trouble(&self, trouble: Option<String>) {
        self.trouble.send_replace(trouble);
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
        let trouble = self.trouble.borrow().clone();
        health.degraded.extend(trouble.map(|why| format!("read model: {why}")));
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
