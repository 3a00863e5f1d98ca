//! The load tool: places orders and measures how long it takes until they are VALIDATED.
//!
//! - [`Options`]: what can be asked of it. [`run`] does it and gives a [`Report`].
//! - `servers` says where requests go, `shop` makes them, `outcome` tells from the answers how an
//!   order ended.
//! - `schedule` says which order is next and when it is due: at once (closed loop), or at fixed
//!   times (open loop), from which its latencies count.
//! - `orders` runs the users, `measures` counts, `progress` tells while it runs.
//! - `long_polls` opens many waiting readers at once instead.
//! - `process` reads what server and tool cost.

mod long_polls;
mod measures;
mod options;
mod orders;
mod outcome;
mod process;
mod progress;
mod report;
mod schedule;
mod servers;
mod setup;
mod shop;

use std::{io, time::Duration};

use self::servers::Servers;
pub use self::{
    long_polls::LongPollsReport,
    measures::Percentiles,
    options::Options,
    report::{OrdersReport, Report, ServerReport},
};
use crate::http_client;

/// Files that the tool needs beside its connections.
const FILES_BESIDE_CONNECTIONS: u64 = 64;
/// How much longer than the server's own limit an answer may take.
const ANSWER_GRACE: Duration = Duration::from_secs(5);

/// Why nothing was measured. An order that fails is no error, it is counted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server cannot be reached, or stopped answering during the set-up.
    #[error("{0}")]
    Server(#[from] http_client::Error),
    /// A product or customer of the run was not accepted.
    #[error("set-up: {request} was answered {status}: {body}")]
    SetUp {
        /// Method and path.
        request: String,
        /// The answer's status.
        status: u16,
        /// The begin of the answer's body.
        body: String,
    },
    /// The orders that must be there before the long-polls did not become VALIDATED.
    #[error("set-up: only {validated} of {orders} orders became VALIDATED: {failures}")]
    SetUpOrders {
        /// How many did.
        validated: u64,
        /// How many should have.
        orders: u64,
        /// What became of the others.
        failures: String,
    },
    /// The fraud check would refuse orders, which would then measure something else.
    #[error(
        "{customers} customers can place {accepted} orders within the fraud check's limit, \
             not {orders}: more --customers are needed"
    )]
    TooFewCustomers {
        /// Orders asked for.
        orders: u64,
        /// Customers to place them.
        customers: u64,
        /// Orders that these can place.
        accepted: u64,
    },
    /// The operating system does not let this process have so many connections.
    #[error("{needed} open files are needed and the limit is {limit}: raise it with `ulimit -n`")]
    FileLimit {
        /// Files needed.
        needed: u64,
        /// Files allowed, after asking for more.
        limit: u64,
    },
    /// There is no such process, or this user may not look at it.
    #[error("process {pid} cannot be read")]
    Process {
        /// Its id, as given.
        pid: u32,
    },
    /// The threads could not be started.
    #[error("cannot start: {0}")]
    Runtime(#[from] io::Error),
    /// The bounds of a histogram are wrong.
    #[error("cannot measure: {0}")]
    Histogram(#[from] hdrhistogram::CreationError),
}

/// Does what the options ask, which may take as long as they say.
///
/// # Errors
/// All of [`Error`].
pub fn run(options: &Options) -> Result<Report, Error> {
    let orders_max = options.orders_max()?;
    let connections = u64::from(options.users) + u64::from(options.long_polls.unwrap_or(0));
    raise_file_limit(connections + FILES_BESIDE_CONNECTIONS)?;
    runtime(options.threads)?.block_on(async {
        let servers = Servers::resolve(options).await?;
        servers.connect().await?;
        let server = server_pid(options, &servers)?;
        Ok(match options.long_polls {
            Some(polls) => {
                Report::LongPolls(long_polls::run(options, &servers, server, polls).await?)
            }
            None => Report::Orders(orders::run(options, &servers, server, orders_max).await?),
        })
    })
}

fn runtime(threads: u32) -> io::Result<tokio::runtime::Runtime> {
    match threads {
        1 => tokio::runtime::Builder::new_current_thread().enable_all().build(),
        _ => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads as usize)
            .enable_all()
            .build(),
    }
}

fn raise_file_limit(needed: u64) -> Result<(), Error> {
    let limit = rlimit::increase_nofile_limit(needed)?;
    if limit < needed { Err(Error::FileLimit { needed, limit }) } else { Ok(()) }
}

/// The process to measure: as given, or found. One that is not found is left out of the report.
fn server_pid(options: &Options, servers: &Servers) -> Result<Option<u32>, Error> {
    match options.server_pid {
        Some(pid) if process::usage(pid).is_none() => Err(Error::Process { pid }),
        Some(pid) => Ok(Some(pid)),
        None => Ok(process::listening_on(servers.of_order(0).addresses())),
    }
}
