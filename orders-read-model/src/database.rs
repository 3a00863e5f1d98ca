//! The database under the read model: a file of SQLite, or PostgreSQL.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions, install_default_drivers};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, Connection, SqlSafeStr};

use crate::error::Error;

/// The name of the file in a service's directory.
pub const READ_MODEL_FILE: &str = "read-model.sqlite";

/// How many requests read at once: beyond that they wait for one another, and after a while are
/// told to come again.
const READERS_MAX: u32 = 8;
const READER_WAIT_MAX: Duration = Duration::from_secs(2);

const MIGRATIONS: [(i64, &str, &str); 2] = [
    (1, "orders", include_str!("../migrations/1_orders.sql")),
    (2, "order bodies", include_str!("../migrations/2_order_bodies.sql")),
];

/// Readers go on while a batch is written. A crash of the machine may take the latest batches from
/// the file, never a part of one: their events are on the log and are projected again.
const SQLITE_SETTINGS: &str =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000";
/// The projection writes all over its indexes: with 32 MiB of them in memory, and fewer copies from
/// the write-ahead log into the file, it keeps its pace over millions of orders.
const SQLITE_WRITER_SETTINGS: &str = "PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 8000";

/// Where the read model is kept.
#[derive(Clone)]
pub enum Place {
    /// In a file, made where it is not there.
    File(PathBuf),
    /// Where a URL says: `postgres://user:password@host/database`, or `sqlite://...`.
    Url(String),
}

/// Without the URL's password.
impl fmt::Debug for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => write!(formatter, "File({})", path.display()),
            Place::Url(url) => {
                write!(formatter, "Url({}..)", url.split(':').next().unwrap_or_default())
            }
        }
    }
}

/// How to connect to it.
#[derive(Clone)]
pub(crate) struct Database {
    options: AnyConnectOptions,
}

impl Database {
    pub(crate) fn new(place: &Place) -> Result<Self, Error> {
        install_default_drivers();
        let url = match place {
            Place::File(path) => url_of_file(path),
            Place::Url(url) => url.clone(),
        };
        Ok(Database { options: AnyConnectOptions::from_str(&url)? })
    }

    /// A connection to whatever is there.
    pub(crate) async fn open(&self) -> Result<AnyConnection, Error> {
        let mut connection = AnyConnection::connect_with(&self.options).await?;
        set_up(&mut connection).await?;
        Ok(connection)
    }

    /// A connection whose tables are as this version needs them.
    pub(crate) async fn connect(&self) -> Result<AnyConnection, Error> {
        let mut connection = self.open().await?;
        if is_sqlite(&connection) {
            sqlx::raw_sql(SQLITE_WRITER_SETTINGS).execute(&mut connection).await?;
        }
        migrator(MIGRATIONS.len()).run(&mut connection).await?;
        Ok(connection)
    }

    /// Connections for readers, made when they are needed.
    pub(crate) fn readers(&self) -> AnyPool {
        AnyPoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(READER_WAIT_MAX)
            .after_connect(|connection, _| Box::pin(set_up(connection)))
            .connect_lazy_with(self.options.clone())
    }
}

/// The first so many migrations.
pub(crate) fn migrator(count: usize) -> Migrator {
    let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
        let kind = MigrationType::Simple;
        Migration::new(version, name.into(), kind, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.into_iter().take(count).map(migration).collect())
}

/// Whether it is SQLite that is at the other end, and not PostgreSQL.
pub(crate) fn is_sqlite(connection: &AnyConnection) -> bool {
    connection.backend_name() == "SQLite"
}

async fn set_up(connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
    if is_sqlite(connection) {
        sqlx::raw_sql(SQLITE_SETTINGS).execute(connection).await?;
    }
    Ok(())
}

fn url_of_file(path: &Path) -> String {
    let mut url = "sqlite://".to_owned();
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => url.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => url.push(char::from(byte)),
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url + "?mode=rwc"
}
