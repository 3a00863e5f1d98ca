//! What tests need of a machine that not every one has: it is said when it is missing, and what was
//! started for it is gone when they are over.
#![warn(missing_docs)]

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};

/// Says, past what captures the output of tests, that the test on this thread is not run since
/// something that it needs is not there, and why.
///
/// # Panics
/// Where the environment variable `required` is 1: then no test may be left out for want of it.
pub fn not_run(required: &str, needed: &str, why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or_default();
    let is_required = std::env::var(required).is_ok_and(|required| required == "1");
    assert!(!is_required, "{required} is 1, but there is no {needed} for {test}: {why}");
    let _ = writeln!(io::stderr(), "NOT RUN: there is no {needed} for {test}: {why}");
}

/// Starts a process that outlives this one, to remove a container after it: when what is returned
/// closes, which nothing can keep it from.
///
/// # Errors
/// Where it cannot be started.
pub fn remove_container_when_over(id: &str) -> io::Result<ChildStdin> {
    let child = Command::new("sh")
        .args(["-c", "cat; exec docker rm --force --volumes \"$0\"", id])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Not ended by a key that ends this process.
        .process_group(0)
        .spawn()?;
    child.stdin.ok_or_else(|| io::Error::other("no way to tell the end"))
}
