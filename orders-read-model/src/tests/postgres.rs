//! The PostgreSQL that tests run on: one that was named to them, or one in a container.

use std::process::ChildStdin;
use std::sync::OnceLock;
use std::time::Duration;

use sqlx::any::install_default_drivers;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use test_support::{not_run, remove_container_when_over};
use testcontainers_modules::postgres::Postgres;
use testcontainers_modules::testcontainers::ImageExt;
use testcontainers_modules::testcontainers::runners::SyncRunner;

use super::fixtures::TestDatabase;
use crate::Place;

/// Where the server is, as an environment variable: `postgres://user:password@host`, of a user who
/// may make databases.
const SERVER: &str = "POSTGRES_SERVER_URL";
/// Where this is 1, a test without a server fails.
const REQUIRED: &str = "REQUIRE_POSTGRES";
const TAG: &str = "17";
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// A server for all tests of this process.
struct Server {
    url: String,
    /// When it closes, which nothing can keep it from, the container is removed.
    _life: Option<ChildStdin>,
}

/// A new database, or `None` where there is no server, which is said.
///
/// # Panics
/// Where there is none although `REQUIRE_POSTGRES` is 1.
pub(super) async fn database() -> Option<TestDatabase> {
    let url = match tokio::task::spawn_blocking(find).await.unwrap() {
        Ok(url) => url,
        Err(why) => {
            let why = format!("{SERVER} names none, and in a container none can be started: {why}");
            not_run(REQUIRED, "PostgreSQL", &why);
            return None;
        }
    };
    install_default_drivers();
    let mut connection = AnyConnection::connect(&format!("{url}/postgres")).await.unwrap();
    let name = format!("read_model_{}", shell::unique::id().simple());
    let create = AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::query(create).execute(&mut connection).await.unwrap();
    Some(TestDatabase { place: Place::Url(format!("{url}/{name}")), directory: None })
}

fn find() -> Result<&'static str, &'static str> {
    static SHARED: OnceLock<Result<Server, String>> = OnceLock::new();
    let server = SHARED.get_or_init(|| match std::env::var(SERVER) {
        Ok(url) if !url.is_empty() => Ok(Server { url, _life: None }),
        _ => start(),
    });
    server.as_ref().map(|server| server.url.as_str()).map_err(String::as_str)
}

/// Starts a server in a container, which is gone with this process, however it ends.
fn start() -> Result<Server, String> {
    // Nothing outlives the tests that a sync would save.
    let command = ["postgres", "-c", "fsync=off", "-c", "max_connections=400"];
    let request = Postgres::default().with_tag(TAG).with_cmd(command);
    let request = request.with_startup_timeout(START_TIME_MAX);
    let container = request.start().map_err(|error| error.to_string())?;
    let port = container.get_host_port_ipv4(5432).map_err(|error| error.to_string())?;
    let life = remove_container_when_over(container.id()).map_err(|error| error.to_string())?;
    // Its destructor would not run for what is shared, and would block where it must not.
    std::mem::forget(container);
    Ok(Server { url: format!("postgres://postgres:postgres@127.0.0.1:{port}"), _life: Some(life) })
}
