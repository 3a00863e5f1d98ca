//! The scenarios of the REST API, as they run on the embedded log, once more.

use e2e_tests::program;

use crate::stage::Stage;

/// The modules of the test `http_api` whose tests can share a system. Among them are some that
/// cannot; they start one of their own.
const SCENARIOS: [&str; 6] =
    ["orders::", "past::", "products::", "customers::", "waiting::", "bodies::the_largest_order"];
/// There are more: with far fewer they were not found.
const SCENARIOS_MIN: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rest_api_keeps_its_promises_through_any_instance() {
    let Some(mut stage) = Stage::find().await else { return };
    stage.cluster.start_each(2).await.unwrap();
    let crowd = stage.crowd().await;

    let mut scenarios = program::cargo("test").unwrap();
    scenarios.args(["--test", "http_api", "--"]).args(SCENARIOS);
    scenarios.env("SYSTEM", stage.cluster.routes().to_string());
    scenarios.env("KAFKA_BOOTSTRAP_SERVERS", stage.broker.servers());
    let output = tokio::task::block_in_place(|| scenarios.output()).unwrap();

    let [said, faults] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    if !output.status.success() {
        panic!("{said}{faults}{}", stage.condition().await);
    }
    assert!(said.matches(" ... ok").count() >= SCENARIOS_MIN, "{said}");
    stage.finish(crowd).await;
}
