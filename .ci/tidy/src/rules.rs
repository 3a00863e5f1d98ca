//! The business rules of a service are functions from facts to decisions.
//!
//! They share a crate with routes and wiring, so the compiler lets them use all of that; this
//! check does not. What a rule file may reach is `std`, `events`, and its own folder.

use crate::arrows::Package;
use crate::source::{Source, matches};
use crate::violation::Violation;

/// Service and name of its rule module: `src/<name>.rs`, or the files under `src/<name>/`.
const RULES: [(&str, &str); 4] = [
    ("orders-service", "order"),
    ("inventory-service", "stock"),
    ("fraud-service", "spending"),
    ("payments-service", "payment"),
];

const USABLE: [&str; 4] = ["std", "core", "alloc", "events"];

/// What makes the outcome depend on more than the facts, though `std` offers it.
const UNCERTAIN: [(&str, &str); 10] = [
    ("async", "a rule waits for nothing: hand the facts in"),
    ("SystemTime", "take the time from the facts"),
    ("Instant", "take the time from the facts"),
    ("HashMap", "its order differs between runs: use `BTreeMap`"),
    ("HashSet", "its order differs between runs: use `BTreeSet`"),
    ("env", "hand settings in as values"),
    ("fs", "leave files to `shell`"),
    ("net", "leave sockets to `shell`"),
    ("process", "leave processes to `shell`"),
    ("thread", "leave threads to `shell`"),
];

/// A rule module and the file of it that is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule<'a> {
    /// The package of the service.
    pub service: &'a str,
    /// The module's name.
    pub module: &'a str,
    /// How many modules deep the file lies under the crate root; 1 for the rule module itself.
    pub depth: usize,
}

/// The rule that the file at `path` belongs to, if it is a rule file.
pub fn rule_of(path: &str) -> Option<Rule<'static>> {
    let (service, rest) = path.split_once("/src/")?;
    let (service, module) = RULES.into_iter().find(|(name, _)| *name == service)?;
    let mut modules: Vec<&str> = rest.strip_suffix(".rs")?.split('/').collect();
    modules.pop_if(|last| *last == "mod");
    (modules.first() == Some(&module)).then_some(Rule { service, module, depth: modules.len() })
}

/// Services in which no rule file was found: then nothing would be checked.
pub fn missing_rule_files(sources: &[Source]) -> Vec<Violation> {
    let has_rules = |service: &str| {
        sources.iter().filter_map(|source| rule_of(&source.path)).any(|it| it.service == service)
    };
    RULES
        .into_iter()
        .filter(|(service, _)| !has_rules(service))
        .map(|(service, module)| {
            let message = "not found: the rules of the service stand here, or in the folder";
            Violation::new(format!("{service}/src/{module}.rs"), 1, message)
        })
        .collect()
}

/// What a rule file reaches and should not. Attributes are not looked at: a derive such as
/// `#[derive(serde::Serialize)]` brings nothing in that a rule could call by mistake.
pub fn impure_rules(source: &Source, packages: &[Package]) -> Vec<Violation> {
    let Some(rule) = rule_of(&source.path) else { return Vec::new() };
    let dependencies: Vec<String> = packages
        .iter()
        .filter(|package| package.name == rule.service)
        .flat_map(|package| &package.dependencies)
        .map(|dependency| dependency.name.replace('-', "_"))
        .filter(|name| !USABLE.contains(&name.as_str()))
        .collect();
    (0..source.tokens.len())
        .filter(|at| !source.is_test(source.tokens[*at].line) && !in_attribute(source, *at))
        .filter_map(|at| {
            let message = reached_crate(source, at, &dependencies)
                .or_else(|| reached_module(source, at, rule))
                .or_else(|| uncertain_word(source, at))?;
            Some(Violation::new(&source.path, source.tokens[at].line, message))
        })
        .collect()
}

fn reached_crate(source: &Source, at: usize, dependencies: &[String]) -> Option<String> {
    let name = &source.tokens[at].text;
    let starts_a_path = starts_path(source, at) || follows(source, at, &["use"]);
    (starts_a_path && dependencies.contains(name)).then(|| {
        format!(
            "a rule file reaches `{name}`: use only `std` and `events` here, write a derive with \
             its path (`#[derive({name}::...)]`), and leave the rest to the topology"
        )
    })
}

fn reached_module(source: &Source, at: usize, rule: Rule<'_>) -> Option<String> {
    let here = &source.tokens[at..];
    let own = [":", ":", rule.module];
    let leaves = match here[0].text.as_str() {
        "crate" => starts_path(source, at) && !matches(&here[1..], &own),
        "super" => starts_path(source, at) && supers(source, at) >= rule.depth,
        _ => false,
    };
    leaves.then(|| {
        format!(
            "a rule file reaches out of `{}`: hand the value in, or move the type into the rules",
            rule.module
        )
    })
}

fn uncertain_word(source: &Source, at: usize) -> Option<String> {
    let name = source.tokens[at].text.as_str();
    let (_, advice) = UNCERTAIN.into_iter().find(|(word, _)| *word == name)?;
    let is_module = name.starts_with(char::is_lowercase) && name != "async";
    let is_meant = !is_module || is_of_std(source, at);
    is_meant.then(|| format!("`{name}` in a rule file: {advice}"))
}

/// Whether the token is `x` in `std::x` or in `std::{a, x}`.
fn is_of_std(source: &Source, at: usize) -> bool {
    let named = |at| follows(source, at, &["std", ":", ":"]);
    named(at) || enclosing_bracket(source, at).is_some_and(named)
}

/// Whether the token is the first name of a path of two names or more.
fn starts_path(source: &Source, at: usize) -> bool {
    matches(&source.tokens[at + 1..], &[":", ":"]) && !follows(source, at, &[":", ":"])
}

/// How often `super` is repeated from here.
fn supers(source: &Source, at: usize) -> usize {
    source.tokens[at..].chunks(3).take_while(|names| names[0].text == "super").count()
}

fn follows(source: &Source, at: usize, pattern: &[&str]) -> bool {
    at >= pattern.len() && matches(&source.tokens[at - pattern.len()..at], pattern)
}

/// Whether the token stands inside `#[...]` or `#![...]`.
fn in_attribute(source: &Source, mut at: usize) -> bool {
    while let Some(open) = enclosing_bracket(source, at) {
        let is_attribute = follows(source, open, &["#"]) || follows(source, open, &["#", "!"]);
        if source.tokens[open].text == "[" && is_attribute {
            return true;
        }
        at = open;
    }
    false
}

/// The position of the innermost bracket that is open at the token.
fn enclosing_bracket(source: &Source, at: usize) -> Option<usize> {
    let mut closed = 0_usize;
    (0..at).rev().find(|before| match source.tokens[*before].text.as_str() {
        ")" | "]" | "}" => {
            closed += 1;
            false
        }
        "(" | "[" | "{" if closed == 0 => true,
        "(" | "[" | "{" => {
            closed -= 1;
            false
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrows::Dependency;

    fn source(path: &str, text: &str) -> Source {
        Source::parse(path, text).expect("the text of a test is Rust")
    }

    fn orders_service() -> Package {
        let dependency = |name: &str| Dependency { name: name.to_owned(), for_tests: false };
        Package {
            name: "orders-service".to_owned(),
            folder: "orders-service".to_owned(),
            dependencies: ["events", "serde", "tokio", "http-body"].map(dependency).to_vec(),
        }
    }

    fn found_in(path: &str, text: &str) -> Vec<usize> {
        let violations = impure_rules(&source(path, text), &[orders_service()]);
        violations.iter().map(|violation| violation.line).collect()
    }

    fn found(text: &str) -> Vec<usize> {
        found_in("orders-service/src/order.rs", text)
    }

    #[test]
    fn a_rule_is_a_file_or_a_folder() {
        let depth = |path| rule_of(path).map(|rule| rule.depth);

        assert_eq!(depth("orders-service/src/order.rs"), Some(1));
        assert_eq!(depth("orders-service/src/order/mod.rs"), Some(1));
        assert_eq!(depth("orders-service/src/order/ship.rs"), Some(2));
        assert_eq!(depth("orders-service/src/http.rs"), None);
        assert_eq!(depth("orders-service/src/orders.rs"), None);
        assert_eq!(depth("fraud-service/src/order.rs"), None);
        assert_eq!(depth("orders-service/tests/order.rs"), None);
    }

    #[test]
    fn facts_decisions_and_derives_are_all_right() {
        let text = "use std::collections::BTreeMap;\nuse events::{Money, order};\n\
                    use self::decide::Decision;\nuse crate::order::ship;\n\
                    #[derive(Debug, serde::Serialize)]\n#[serde(rename_all = \"camelCase\")]\n\
                    struct Order { tokio: u64, env: u8 }\n\
                    fn decide(order: &Order) -> u64 { u64::MAX - order.tokio }";

        assert_eq!(found(text), [0; 0]);
    }

    #[test]
    fn another_crate_is_found_in_imports_paths_and_groups() {
        let text = "use tokio::sync;\nuse http_body::Body;\nuse {std::fmt, serde::Serialize};\n\
                    use tokio;\nfn a() { tokio::spawn(()); }";

        assert_eq!(found(text), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn the_rest_of_the_crate_is_found_by_either_name() {
        assert_eq!(found("use crate::http::Body;\nuse super::topology;"), [1, 2]);
        assert_eq!(found("use crate::{http, order};"), [1]);
        let nested = "use super::Order;\nuse super::super::http;\nuse crate::order::Order;";
        assert_eq!(found_in("orders-service/src/order/ship.rs", nested), [2]);
    }

    #[test]
    fn clocks_files_and_random_orders_are_found() {
        let text = "use std::collections::HashMap;\nasync fn a() {}\nuse std::time::Instant;\n\
                    fn b() { std::fs::read(\"c\"); }\nfn c(env: u8) -> u8 { env }\n\
                    use std::{fmt::{self}, net};\nuse events::{env, fs};";

        assert_eq!(found(text), [1, 2, 3, 4, 6]);
    }

    #[test]
    fn other_files_and_tests_are_free() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n use super::*;\n use tokio::sync;\n}";

        assert_eq!(found(text), [0; 0]);
        assert_eq!(found_in("orders-service/src/http.rs", "use tokio::sync;"), [0; 0]);
    }

    #[test]
    fn a_service_without_rules_is_found() {
        let sources = [
            source("orders-service/src/order.rs", ""),
            source("inventory-service/src/stock/reserve.rs", ""),
            source("fraud-service/src/spending.rs", ""),
        ];

        let violations = missing_rule_files(&sources);

        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].file, "payments-service/src/payment.rs");
    }
}
