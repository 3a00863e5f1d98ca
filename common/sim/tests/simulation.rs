mod counters;

use counters::Counters;
use sim::{Mode, Setup};

#[test]
fn clean() {
    for mode in [Mode::Embedded, Mode::Kafka] {
        let from: u64 = std::env::var("FROM").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
        let n: u64 = std::env::var("N").ok().and_then(|s| s.parse().ok()).unwrap_or(20);
        let mut events = 0;
        for seed in from..from + n {
            let setup = Setup { seed, mode, mutation: None };
            match sim::run(setup, Counters::new) {
                Ok(report) => {
                    events += report.events;
                }
                Err(failure) => {
                    for line in &failure.trace {
                        println!("{line}");
                    }
                    println!("{:?}", setup.options());
                    panic!("{failure}");
                }
            }
        }
        println!("{mode:?} {events}");
    }
}
