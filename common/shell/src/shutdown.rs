//! The signals that end the process.

use std::future::Future;
use std::io;

/// A future that is done at the first Ctrl-C or SIGTERM after this call.
///
/// # Errors
/// Where the system does not let the process listen for signals.
#[cfg(unix)]
pub fn signal() -> io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// A future that is done at the first Ctrl-C.
///
/// # Errors
/// None on systems other than Unix.
#[cfg(not(unix))]
pub fn signal() -> io::Result<impl Future<Output = ()> + Send> {
    Ok(async {
        // Without the signal the process can still be killed: wait for ever rather than stop.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
