//! Which crate of the workspace may use which.
//!
//! ```text
//! streams <- eventlog <- shell <- standalone <- services <- quickstart, e2e-tests <- chaos
//!    ^----------'-------- sim, eventlog-kafka
//!    '------ events <--------------'
//!               '----- invariants <----- e2e-tests
//!               '----- orders-read-model <- orders-service, quickstart
//! timestamp <- streams <- traces <- shell; metrics <- shell <- dead-letters
//!                                      standalone, quickstart -----^
//! ```
//!
//! orderctl, the operator's tool, speaks to a system by its REST API. It uses the services to print
//! their topologies, which no API tells, and in its tests it may start the whole system.
//!
//! raw-transactions measures a broker without the log, and takes from eventlog-kafka what whoever
//! links the client needs. Tests of any of them may use test-support, which uses none.
//!
//! Each arrow that is absent here is one thing that a change cannot break.

use crate::violation::Violation;

/// The crates that hold one service each.
pub const SERVICES: [&str; 4] =
    ["orders-service", "inventory-service", "fraud-service", "payments-service"];

/// Pure crates, and the outside crates that would let time, threads or sockets into them.
const PURE: [&str; 3] = ["streams", "events", "invariants"];
const IMPURE: [&str; 3] = ["tokio", "axum", "hyper"];

/// A crate of the workspace, as its manifest tells.
#[derive(Debug, Clone)]
pub struct Package {
    /// The package name.
    pub name: String,
    /// The folder from the workspace root, with `/` on every system.
    pub folder: String,
    /// All direct dependencies, of any kind.
    pub dependencies: Vec<Dependency>,
}

/// A direct dependency.
#[derive(Debug, Clone)]
pub struct Dependency {
    /// The package name.
    pub name: String,
    /// Whether only tests use it.
    pub for_tests: bool,
}

/// Dependencies that go against the arrows.
pub fn wrong_arrows(packages: &[Package]) -> Vec<Violation> {
    let is_ours = |name: &str| packages.iter().any(|package| package.name == name);
    let mut violations = Vec::new();
    for package in packages {
        for dependency in &package.dependencies {
            let (from, to) = (package.name.as_str(), dependency.name.as_str());
            let message = if is_ours(to) && !may_use(from, to, dependency.for_tests) {
                format!("`{from}` may not use `{to}`: turn the arrow round, or hand the value in")
            } else if PURE.contains(&from) && IMPURE.contains(&to) {
                format!("`{from}` is pure and may not use `{to}`: leave it to `shell`")
            } else {
                continue;
            };
            violations.push(Violation::new(format!("{}/Cargo.toml", package.folder), 1, message));
        }
    }
    violations
}

/// The arrows. A crate may use itself in its tests, which is how they switch on its features.
fn may_use(from: &str, to: &str, for_tests: bool) -> bool {
    let is_service = |name| SERVICES.contains(&name);
    match from {
        _ if from == to => for_tests,
        "test-support" | "timestamp" => false,
        _ if to == "timestamp" => from == "streams",
        // The Kafka log has its broker for tests behind a feature.
        _ if to == "test-support" => for_tests || from == "eventlog-kafka",
        "raw-transactions" => to == "eventlog-kafka",
        "chaos" => to != "tidy",
        "e2e-tests" => to != "tidy" && (to != "chaos" || for_tests),
        "orderctl" if for_tests => !matches!(to, "chaos" | "e2e-tests" | "tidy"),
        "orderctl" => is_service(to) || to == "streams",
        _ if matches!(to, "chaos" | "e2e-tests" | "tidy" | "quickstart" | "orderctl") => false,
        "quickstart" => true,
        _ if is_service(to) => false,
        "orders-read-model" => matches!(to, "streams" | "eventlog" | "events" | "shell"),
        "orders-service" if to == "orders-read-model" => true,
        "eventlog" | "events" | "traces" => to == "streams",
        "shell" if matches!(to, "metrics" | "traces") => true,
        "invariants" => matches!(to, "streams" | "events"),
        "shell" | "sim" | "eventlog-kafka" => matches!(to, "streams" | "eventlog"),
        "dead-letters" => matches!(to, "streams" | "shell"),
        "standalone" => {
            matches!(to, "streams" | "eventlog" | "eventlog-kafka" | "shell" | "dead-letters")
        }
        _ if is_service(from) => {
            for_tests || matches!(to, "events" | "streams" | "shell" | "standalone")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, bool)]) -> Package {
        let dependencies = dependencies
            .iter()
            .map(|(name, for_tests)| Dependency { name: (*name).to_owned(), for_tests: *for_tests })
            .collect();
        Package { name: name.to_owned(), folder: format!("some/{name}"), dependencies }
    }

    /// The workspace with each crate that is not among `packages` free of dependencies.
    fn found(packages: &[Package]) -> Vec<String> {
        let names = [
            "tidy",
            "streams",
            "eventlog",
            "eventlog-kafka",
            "events",
            "invariants",
            "metrics",
            "traces",
            "shell",
            "sim",
            "orders-read-model",
            "dead-letters",
            "test-support",
            "timestamp",
            "quickstart",
            "orderctl",
        ];
        let mut all = packages.to_vec();
        for name in
            names.into_iter().chain(SERVICES).chain(["e2e-tests", "chaos", "raw-transactions"])
        {
            if all.iter().all(|package| package.name != name) {
                all.push(package(name, &[]));
            }
        }
        wrong_arrows(&all).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_drawn_arrow_is_allowed() {
        let of_a_service = [("events", false), ("streams", false), ("shell", false)];

        let violations = found(&[
            package("streams", &[("serde", false), ("streams", true)]),
            package("eventlog", &[("streams", false)]),
            package("events", &[("streams", false)]),
            package("invariants", &[("streams", false), ("events", false)]),
            package("traces", &[("streams", false), ("tokio", false)]),
            package("shell", &[("streams", false), ("metrics", false), ("traces", false)]),
            package("sim", &[("streams", false), ("eventlog", false)]),
            package("eventlog-kafka", &[("streams", false), ("eventlog", false)]),
            package(
                "orders-read-model",
                &[("eventlog", false), ("events", false), ("shell", false)],
            ),
            package("orders-service", &of_a_service),
            package("orders-service", &[("orders-read-model", false)]),
            package("quickstart", &[("orders-service", false), ("eventlog", false)]),
            package("orderctl", &[("orders-service", false), ("streams", false)]),
            package("orderctl", &[("quickstart", true), ("eventlog", true)]),
            package("e2e-tests", &[("quickstart", false), ("sim", false)]),
        ]);

        assert_eq!(violations, [""; 0]);
    }

    #[test]
    fn an_arrow_that_is_not_drawn_is_found_in_its_manifest() {
        let violations = found(&[package("streams", &[("eventlog", false)])]);

        assert_eq!(
            violations,
            ["some/streams/Cargo.toml:1: `streams` may not use `eventlog`: \
              turn the arrow round, or hand the value in"]
        );
    }

    #[test]
    fn each_absent_arrow_is_found() {
        let absent = [
            ("streams", "events"),
            ("eventlog", "events"),
            ("events", "eventlog"),
            ("shell", "events"),
            ("traces", "shell"),
            ("metrics", "streams"),
            ("sim", "shell"),
            ("sim", "events"),
            ("eventlog-kafka", "shell"),
            ("invariants", "orders-service"),
            ("orders-service", "eventlog"),
            ("orders-service", "fraud-service"),
            ("shell", "orders-service"),
            ("orders-read-model", "orders-service"),
            ("fraud-service", "orders-read-model"),
            ("quickstart", "e2e-tests"),
            ("orderctl", "quickstart"),
            ("orderctl", "shell"),
            ("shell", "orderctl"),
            ("e2e-tests", "chaos"),
            ("tidy", "streams"),
            ("streams", "test-support"),
            ("test-support", "streams"),
            ("streams", "streams"),
            ("streams", "tokio"),
            ("events", "axum"),
        ];
        for (from, to) in absent {
            assert_eq!(found(&[package(from, &[(to, false)])]).len(), 1, "{from} -> {to}");
        }
    }

    #[test]
    fn a_service_tests_itself_on_common_crates_and_on_no_other_service() {
        assert_eq!(found(&[package("orders-service", &[("eventlog", true)])]), [""; 0]);
        assert_eq!(found(&[package("orders-service", &[("fraud-service", true)])]).len(), 1);
        assert_eq!(found(&[package("streams", &[("tokio", true)])]).len(), 1);
    }

    #[test]
    fn a_crate_without_a_place_in_the_picture_may_use_nothing_of_ours() {
        assert_eq!(found(&[package("newcomer", &[("streams", false)])]).len(), 1);
    }
}
