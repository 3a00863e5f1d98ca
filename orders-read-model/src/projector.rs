//! The projection: follows the topic and keeps the tables up with it.
//!
//! ```text
//!   log --follow--> batch --one transaction: rows, positions--> tables
//!                     |                                            |
//!                     '------- once the tables have it ------------'--> those who wait (live)
//! ```
//!
//! Any number of instances do this with one database. The positions in it decide: a batch is
//! written only where they are what its writer thinks. Who finds them moved stands by, and hands on
//! what another has written, until nobody has written for a while.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use eventlog::RequestLog;
use sqlx::AnyConnection;
use tokio::time::{Instant, sleep, timeout_at};

use crate::batch::Batch;
use crate::database::Database;
use crate::error::Error;
use crate::live::Live;
use crate::positions::Positions;
use crate::progress::{Progress, Tables};
use crate::stored::{self, Stored};
use crate::write::{Written, write};

/// The most records of a batch.
pub(crate) const BATCH_RECORDS_MAX: usize = 4_096;
/// A pause after a batch that was not full, in which the next one gathers.
const PAUSE: Duration = Duration::from_millis(4);
/// How often it is looked how far the log is ahead, and whether the tables are what they were.
const LOOK: Duration = Duration::from_secs(1);
/// How often an instance that stands by looks how far the writer has come, and how many such looks
/// without anything new make it the writer.
const STAND_BY_PAUSE: Duration = Duration::from_millis(10);
const STAND_BY_LOOKS: u32 = 100;
/// The pause before another try where the database or the log is away: longer with each.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Keeps the tables up with the topic.
pub(crate) struct Projector {
    pub(crate) log: Arc<dyn RequestLog>,
    pub(crate) database: Database,
    pub(crate) live: Arc<Live>,
    pub(crate) progress: Arc<Progress>,
    /// Empty the tables first.
    pub(crate) rebuild: bool,
}

impl Projector {
    /// Goes on for ever, whatever is away for how long.
    pub(crate) async fn run(mut self) -> Infallible {
        let mut pause = RETRY_MIN;
        loop {
            let Err(error) = self.follow(&mut pause).await;
            tracing::warn!(%error, "the read model stands still");
            match error {
                Error::OtherLog { .. } => self.progress.set_tables(Tables::Foreign),
                Error::SetBack => self.progress.set_tables(Tables::Unknown),
                // What is away says nothing of what the tables have.
                _ => {}
            }
            self.progress.set_trouble(Some(error.to_string()));
            sleep(pause).await;
            pause = RETRY_MAX.min(pause * 2);
        }
    }

    /// Projects until something is away.
    async fn follow(&mut self, pause: &mut Duration) -> Result<Infallible, Error> {
        let mut session = self.open().await?;
        session.progress.set_trouble(None);
        session.look().await?;
        let mut next_look = Instant::now() + LOOK;
        loop {
            let from = session.read.on_the_log();
            let following = session.log.follow(&from, BATCH_RECORDS_MAX);
            if let Ok(fetched) = timeout_at(next_look, following).await {
                let is_full = session.take(Batch::new(&session.read, fetched?)).await?;
                *pause = RETRY_MIN;
                if !is_full {
                    sleep(PAUSE).await;
                }
            }
            if Instant::now() >= next_look {
                session.look().await?;
                next_look = Instant::now() + LOOK;
            }
        }
    }

    /// Opens the database, and makes sure that what it has is of this log.
    async fn open(&mut self) -> Result<Session<'_>, Error> {
        let ends = ends(&*self.log).await?;
        let mut connection = self.database.connect().await?;
        if self.rebuild {
            stored::empty(&mut connection, &ends).await?;
            self.rebuild = false;
        }
        let Stored { positions, whole_at } = stored::load(&mut connection, &ends).await?;
        stored::check(&mut connection, &*self.log, (&positions, &ends)).await?;
        // Where another instance has gone on meanwhile, its events are still to be handed on here.
        let published = self.live.published().filter(|published| positions.reach(published));
        let read = published.unwrap_or_else(|| positions.clone());
        self.live.start(read.clone());
        self.progress.set_writer(true);
        Ok(Session {
            log: &*self.log,
            live: &self.live,
            progress: &self.progress,
            connection,
            read,
            stored: positions,
            whole_at,
            is_writer: true,
        })
    }
}

async fn ends(log: &dyn RequestLog) -> Result<Positions, Error> {
    let of: Vec<_> = Positions::begin(log.partitions()).on_the_log();
    let of: Vec<_> = of.into_iter().map(|(of, _)| of).collect();
    Ok(Positions::new(log.ends(&of).await?))
}

/// A connection to the database, and how far it has come.
struct Session<'a> {
    log: &'a dyn RequestLog,
    live: &'a Live,
    progress: &'a Progress,
    connection: AnyConnection,
    /// Where the tables are, as far as is known.
    stored: Positions,
    /// Up to where the topic was read here.
    read: Positions,
    /// From where on the tables are whole.
    whole_at: Positions,
    is_writer: bool,
}

impl Session<'_> {
    /// Brings a batch into the tables, and hands it on. Says whether more is likely to be there.
    async fn take(&mut self, batch: Batch) -> Result<bool, Error> {
        self.project(&batch).await?;
        let records = batch.events.len() + batch.unreadable.len();
        self.progress.projected(batch.events.len(), &batch.unreadable);
        self.read = batch.to.clone();
        self.live.publish(batch);
        if self.progress.tables() != Tables::Whole {
            self.tell(self.read.distance_to(&self.whole_at));
        }
        Ok(records >= BATCH_RECORDS_MAX / 2)
    }

    /// Writes a batch, or waits until another instance has. What holds no record is not written.
    async fn project(&mut self, batch: &Batch) -> Result<(), Error> {
        let mut looks = 0;
        while !self.stored.reach(&batch.after_records) {
            if self.is_writer {
                match write(&mut self.connection, &self.stored, batch).await? {
                    Written::Whole => self.stored = batch.to.clone(),
                    Written::Stale => {
                        self.set_writer(false);
                        self.reload().await?;
                    }
                }
                continue;
            }
            sleep(STAND_BY_PAUSE).await;
            let before = self.stored.clone();
            self.reload().await?;
            looks = if self.stored == before { looks + 1 } else { 0 };
            if looks == STAND_BY_LOOKS {
                self.set_writer(true);
            }
        }
        Ok(())
    }

    fn set_writer(&mut self, is_writer: bool) {
        self.is_writer = is_writer;
        self.progress.set_writer(is_writer);
    }

    /// Takes over what the database says.
    async fn reload(&mut self) -> Result<(), Error> {
        let Stored { positions, whole_at } = stored::read(&mut self.connection).await?;
        if !positions.reach(&self.stored) {
            return Err(Error::SetBack);
        }
        (self.stored, self.whole_at) = (positions, whole_at);
        Ok(())
    }

    /// Looks how far the log is ahead, and whether the tables are what they were.
    async fn look(&mut self) -> Result<(), Error> {
        let ends = ends(self.log).await?;
        for (partition, position) in self.read.iter() {
            if position > ends.get(partition) {
                return Err(Error::beyond_the_end(partition.0, position, ends.get(partition)));
            }
        }
        if !self.is_writer {
            self.reload().await?;
        }
        self.progress.set_lag(self.read.distance_to(&ends));
        self.tell(self.read.distance_to(&self.whole_at));
        Ok(())
    }

    fn tell(&self, left: u64) {
        let tables = if left == 0 { Tables::Whole } else { Tables::Filling { left } };
        self.progress.set_tables(tables);
    }
}
