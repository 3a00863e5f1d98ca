//! The crash test in short, on the program as it is built for tests.

use std::path::PathBuf;
use std::process::Command;

use e2e_tests::crash::{self, Options};

/// Builds the program beside this test, where it is not up to date, and gives its file.
#[expect(clippy::unwrap_used, reason = "in a test's helpers a panic is the failed test")]
fn built_program() -> PathBuf {
    // .../target/<profile>/deps/crash-...
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(|deps| deps.parent()).unwrap();
    let target = profile.parent().unwrap();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--locked", "--workspace", "--bin", "quickstart"]);
    build.arg("--target-dir").arg(target);
    if profile.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
    profile.join("quickstart")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_answered_is_lost_when_the_program_is_killed() {
    let options = Options {
        binary: Some(built_program()),
        kills: 3,
        clients: 8,
        life_ms_max: 1_500,
        seed: 1,
    };

    let report = crash::run(&options).await.unwrap();

    assert!(report.findings.is_empty(), "{report}");
    assert_eq!(report.kills, 3);
    assert!(report.orders_answered > 0, "{report}");
}
