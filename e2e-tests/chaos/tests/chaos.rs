//! The chaos test in short, on the programs as they are built for tests.

use chaos::Options;
use e2e_tests::program;
use e2e_tests::routes::Service;
use eventlog_kafka::testing::Broker;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_answered_is_lost_whatever_goes_wrong_on_kafka() {
    let Some(broker) = Broker::find_mortal() else { return };
    let names = Service::ALL.map(Service::program);
    let options = Options {
        programs: Some(program::build(&names).unwrap()),
        seconds: 30,
        instances: 2,
        clients: 8,
        pause_ms_max: 3_000,
        seed: 1,
    };

    let report = chaos::run(&options, broker).await.unwrap();

    assert!(report.findings.is_empty(), "{report}");
    assert!(report.orders_answered > 0, "{report}");
    assert!(report.faults.values().sum::<u32>() > 5, "{report}");
}
