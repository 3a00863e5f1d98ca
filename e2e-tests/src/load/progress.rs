//! What a person sees on stderr while the tool runs.

use std::{
    fmt,
    io::{self, Write},
    sync::PoisonError,
    time::Duration,
};

use crate::clock;

use super::{orders::Run, process};

const INTERVAL: Duration = Duration::from_secs(1);

/// Writes a line. A closed stderr is no reason to stop measuring.
pub(super) fn tell(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes a line each second until dropped.
pub(super) async fn each_second(run: &Run, server: Option<u32>) {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.tick().await;
    let mut validated_before = 0;
    loop {
        interval.tick().await;
        let (validated, failed, recent) = {
            let mut measures = run.measures.lock().unwrap_or_else(PoisonError::into_inner);
            let recent = measures.recent.percentiles();
            measures.recent.clear();
            (measures.validated, measures.failed, recent)
        };
        let elapsed = clock::now().saturating_duration_since(run.schedule.started());
        let memory = match server.and_then(process::usage) {
            Some(usage) => format!(", server {:.0} MiB", usage.rss_mib),
            None => String::new(),
        };
        tell(format_args!(
            "{:>5.0} s: {} orders/s, p50 {:.1} ms, p99 {:.1} ms, {validated} validated, \
             {failed} failed{memory}",
            elapsed.as_secs_f64(),
            validated - validated_before,
            recent.p50,
            recent.p99,
        ));
        validated_before = validated;
    }
}
