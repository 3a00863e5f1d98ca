//! The crash test in short, on the program as it is built for tests.

use e2e_tests::crash::{self, Options};
use e2e_tests::program;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_answered_is_lost_when_the_program_is_killed() {
    let options = Options {
        binary: Some(program::build(&["quickstart"]).unwrap().join("quickstart")),
        kills: 3,
        clients: 8,
        life_ms_max: 1_500,
        seed: 1,
    };

    let report = crash::run(&options).await.unwrap();

    assert!(report.outcome.findings.is_empty(), "{report}");
    assert_eq!(report.kills, 3);
    assert!(report.outcome.orders_answered > 0, "{report}");
}
