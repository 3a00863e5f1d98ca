//! The read model in use: the projection on a thread of its own, and readers of its tables.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use eventlog::RequestLog;
use events::ids::OrderId;
use events::order::Version;
use shell::Report;
use shell::problem::{ApiError, Members};
use sqlx::AnyPool;
use streams::Partition;
use tokio::sync::oneshot;

use crate::database::{Database, Place};
use crate::error::Error;
use crate::live::{Live, OrderEvents};
use crate::positions::Positions;
use crate::progress::{Progress, Tables};
use crate::projector::Projector;
use crate::query::{self, Filter, Listed, RecordedEvent};

/// How long a reader waits for the next event of an order before it looks into the tables again.
const LOOK: Duration = Duration::from_millis(500);

/// The read model of orders. Cheap to clone; the projection ends when the last clone is dropped.
#[derive(Clone)]
pub struct ReadModel(Arc<Parts>);

struct Parts {
    readers: AnyPool,
    live: Arc<Live>,
    progress: Arc<Progress>,
    partitions: u32,
    thread: Mutex<Option<Thread>>,
}

/// The thread of the projection. Dropping `_stop` ends it, and `ended` is closed then.
struct Thread {
    _stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<()>,
}

impl fmt::Debug for ReadModel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ReadModel({:?})", self.0.progress)
    }
}

impl ReadModel {
    /// Starts the projection of this log into a database, which need not be there yet. With
    /// `rebuild` it begins by emptying the tables.
    ///
    /// # Errors
    /// [`Error`] where the place is none, or the thread cannot be started.
    pub fn start(log: Arc<dyn RequestLog>, place: &Place, rebuild: bool) -> Result<Self, Error> {
        let database = Database::new(place)?;
        let (live, progress) = (Arc::<Live>::default(), Arc::<Progress>::default());
        let (readers, partitions) = (database.readers(), log.partitions());
        let projector = Projector {
            log,
            database,
            live: Arc::clone(&live),
            progress: Arc::clone(&progress),
            rebuild,
        };
        // Apart from the threads that answer requests, which its work would hold up.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        std::thread::Builder::new().name("read-model".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    never = projector.run() => match never {},
                    _ = stopped => {}
                }
            });
            drop(runtime);
            drop::<oneshot::Sender<()>>(end);
        })?;
        let thread = Mutex::new(Some(Thread { _stop: stop, ended }));
        Ok(ReadModel(Arc::new(Parts { readers, live, progress, partitions, thread })))
    }

    /// Ends the projection, and lets go of the log and the database. A batch that is being written
    /// is written anew at the next start.
    pub async fn stop(&self) {
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Thread { _stop: stop, ended }) = thread {
            drop(stop);
            // Closed without a word.
            let _ = ended.await;
        }
        self.0.readers.close().await;
    }

    /// How the projection is doing, for an operator.
    pub fn report(&self) -> Arc<dyn Report> {
        Arc::<Progress>::clone(&self.0.progress)
    }

    /// Records of the log that it does not show yet, as far as is known: a look a second.
    pub fn lag(&self) -> u64 {
        self.0.progress.lag()
    }

    /// Events taken up since the start.
    pub fn events(&self) -> u64 {
        self.0.progress.events()
    }

    /// Whether it has everything up to a moment ago, and lists are answered.
    pub fn is_whole(&self) -> bool {
        self.0.progress.tables() == Tables::Whole
    }

    /// At most `limit` orders, newest first.
    pub(crate) async fn list(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Listed>, ApiError> {
        let tables = self.0.progress.tables_known().await;
        if tables != Tables::Whole {
            return Err(unavailable(format!("the tables are {tables:?}")));
        }
        query::list(&self.0.readers, filter, limit).await.map_err(unavailable)
    }

    /// Waits until the tables have an order in this version or a later one.
    async fn reach(&self, id: &OrderId, version: Version) -> Result<(), ApiError> {
        let mut news = self.0.live.of_order(id);
        loop {
            if self.0.progress.tables() == Tables::Foreign {
                return Err(unavailable("the tables are of another log"));
            }
            let shown = query::version(&self.0.readers, id).await.map_err(unavailable)?;
            if shown >= Some(version) {
                return Ok(());
            }
            // Where nobody hands events on for now, the tables may have them all the same.
            let _ = tokio::time::timeout(LOOK, news.next()).await;
        }
    }

    /// The events of an order up to at least this version, oldest first, once they are there.
    ///
    /// # Errors
    /// [`ApiError::Unavailable`] where the database is away or of another log.
    pub async fn history(
        &self,
        id: &OrderId,
        version: Version,
    ) -> Result<Vec<RecordedEvent>, ApiError> {
        self.reach(id, version).await?;
        query::history(&self.0.readers, id).await.map_err(unavailable)
    }

    /// The events of an order that are there by now, oldest first, and its place among those who
    /// wait for the next: none is missing between the two, some may be in both.
    ///
    /// # Errors
    /// As [`ReadModel::history`].
    pub async fn follow_order(
        &self,
        id: &OrderId,
    ) -> Result<(Vec<RecordedEvent>, OrderEvents), ApiError> {
        self.published().await?;
        let news = self.0.live.of_order(id);
        let events = query::history(&self.0.readers, id).await.map_err(unavailable)?;
        Ok((events, news))
    }

    /// Up to where events have been handed out: where a stream from now on begins.
    pub(crate) async fn published(&self) -> Result<Positions, ApiError> {
        let tables = self.0.progress.tables_known().await;
        let published = self.0.live.published().filter(|_| tables != Tables::Foreign);
        published.ok_or_else(|| unavailable("it is not known which log the tables are of"))
    }

    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.0.live
    }

    pub(crate) fn partitions(&self) -> u32 {
        self.0.partitions
    }

    /// Some events of a partition between two positions, in order: at most `limit`.
    pub(crate) async fn events_of(
        &self,
        partition: Partition,
        (from, until): (&Positions, &Positions),
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, ApiError> {
        let between = (from.get(partition), until.get(partition));
        let events = query::events(&self.0.readers, partition, between, limit).await;
        events.map_err(unavailable)
    }
}

/// A database that does not answer is no fault of this program: a retry may find it.
pub(crate) fn unavailable(reason: impl fmt::Display) -> ApiError {
    ApiError::Unavailable { reason: format!("read model: {reason}"), members: Members::default() }
}
