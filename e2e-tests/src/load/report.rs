//! What a run gives: one JSON value, for programs to read.

use std::{collections::BTreeMap, sync::PoisonError, time::Duration};

use serde::Serialize;

use super::{LongPollsReport, Options, Percentiles, orders::Run, outcome::Failure, process::Meter};

/// The result of a run.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Report {
    /// Of a load.
    Orders(OrdersReport),
    /// Of many waiting readers.
    LongPolls(LongPollsReport),
}

impl Report {
    /// Why the run has failed although it was measured, if it has.
    #[must_use]
    pub fn shortfall(&self) -> Option<String> {
        match self {
            Self::Orders(report) if report.validated == 0 => {
                Some(format!("none of {} orders became VALIDATED", report.failed))
            }
            Self::Orders(_) => None,
            Self::LongPolls(report) => report.shortfall(),
        }
    }
}

/// What a load measured.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrdersReport {
    /// `closed-loop`, `open-loop`, and either with ` empty-route`.
    pub mode: String,
    /// The server.
    pub url: String,
    /// Connections.
    pub users: u32,
    /// Orders a second that were due, of an open loop.
    pub rate: Option<u32>,
    /// Threads of the tool.
    pub threads: u32,
    /// From the start to the end of the last order.
    pub seconds: f64,
    /// Orders that became VALIDATED.
    pub validated: u64,
    /// Orders that did not, for the reasons in `errors`.
    pub failed: u64,
    /// VALIDATED orders over `seconds`.
    pub orders_per_second: f64,
    /// Until the answer to the POST was there; with the empty route, to the first GET.
    pub post_ms: Percentiles,
    /// Until the answer of the GET that waits was there. Both count from the sending, in an
    /// open loop from its intended time.
    pub post_to_validated_ms: Percentiles,
    /// How much later than intended an open loop sent: large only when all users were busy.
    pub send_delay_ms: Option<Percentiles>,
    /// Failed orders by kind.
    pub errors: BTreeMap<String, u64>,
    /// The server's cost, if its process was found.
    pub server: Option<ServerReport>,
    /// Processor time of the tool itself.
    pub tool_cpu_seconds: Option<f64>,
}

/// What a run cost the server's process.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerReport {
    /// Its process id.
    pub pid: u32,
    /// Processor time during the run.
    pub cpu_seconds: f64,
    /// The same for each VALIDATED order.
    pub cpu_micros_per_order: Option<f64>,
    /// Memory in RAM before the run.
    pub rss_mib_before: f64,
    /// And after it.
    pub rss_mib_after: f64,
    /// The most since the process began.
    pub rss_mib_peak: f64,
}

impl ServerReport {
    /// The cost so far, spread over `orders`; nothing when the process is gone.
    fn new(meter: &Meter, orders: u64) -> Option<Self> {
        let (before, after) = (meter.before, meter.read()?);
        let cpu_seconds = after.cpu_seconds - before.cpu_seconds;
        Some(Self {
            pid: meter.pid,
            cpu_seconds: rounded(cpu_seconds),
            cpu_micros_per_order: (orders > 0)
                .then(|| rounded(cpu_seconds * 1_000_000.0 / float(orders))),
            rss_mib_before: rounded(before.rss_mib),
            rss_mib_after: rounded(after.rss_mib),
            rss_mib_peak: rounded(after.rss_peak_mib),
        })
    }
}

impl OrdersReport {
    /// Reads off the run, which is over, and what server and tool have cost since it began.
    pub(super) fn new(
        options: &Options,
        run: &Run,
        server: Option<Meter>,
        tool: Option<Meter>,
    ) -> Self {
        let mut measures = run.measures.lock().unwrap_or_else(PoisonError::into_inner);
        let not_sent = run.schedule.not_sent();
        if not_sent > 0 {
            measures.fail(Failure::NotSent, not_sent);
        }
        let started = run.schedule.started();
        let elapsed = measures.last_end.map_or(Duration::ZERO, |end| end - started);
        let loop_kind = if run.schedule.is_closed_loop() { "closed-loop" } else { "open-loop" };
        let cpu_seconds =
            |meter: Meter| Some(rounded(meter.read()?.cpu_seconds - meter.before.cpu_seconds));
        Self {
            mode: format!("{loop_kind}{}", if options.empty_route { " empty-route" } else { "" }),
            url: options.url.join(","),
            users: options.users,
            rate: options.rate,
            threads: options.threads,
            seconds: rounded(elapsed.as_secs_f64()),
            validated: measures.validated,
            failed: measures.failed,
            orders_per_second: if elapsed.is_zero() {
                0.0
            } else {
                rounded(float(measures.validated) / elapsed.as_secs_f64())
            },
            post_ms: measures.post.percentiles(),
            post_to_validated_ms: measures.post_to_validated.percentiles(),
            send_delay_ms: options.rate.map(|_| measures.send_delay.percentiles()),
            errors: measures.failures_by_name(),
            server: server.and_then(|meter| ServerReport::new(&meter, measures.validated)),
            tool_cpu_seconds: tool.and_then(cpu_seconds),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

/// To three decimals, which is more than can be measured.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
