//! Keeps the lints in force: none is silenced without a reason, none is missed by a crate.

use crate::source::{Source, Token, matches};
use crate::violation::Violation;

/// `unwrap` outside tests, in any form (`x.unwrap()`, `map(Option::unwrap)`, inside a macro).
pub fn unwraps(source: &Source) -> Vec<Violation> {
    let message = "`unwrap` outside tests: return an error with the values that explain it";
    ["unwrap", "unwrap_err", "unwrap_unchecked"]
        .iter()
        .flat_map(|name| source.find(std::slice::from_ref(name)).collect::<Vec<_>>())
        .map(|at| Violation::new(&source.path, source.tokens[at].line, message))
        .collect()
}

/// Lints silenced outside tests with `allow`, or expected without a reason.
pub fn silenced_lints(source: &Source) -> Vec<Violation> {
    let violation =
        |at: usize, message| Violation::new(&source.path, source.tokens[at].line, message);
    attributes(source, "allow")
        .map(|at| violation(at, "`allow` stays when its cause has gone: use `expect` and a reason"))
        .chain(
            attributes(source, "expect").filter(|at| !has_reason(&source.tokens[*at..])).map(
                |at| violation(at, "`expect` without `reason = \"...\"`: say why it is right"),
            ),
        )
        .collect()
}

/// A manifest that does not take over the workspace's lints.
pub fn missing_workspace_lints(manifest: &str, text: &str) -> Option<Violation> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let inherits = lines.any(|line| line == "[lints]") && lines.next() == Some("workspace = true");
    (!inherits).then(|| {
        let message = "the workspace's lints are not in force: add `[lints]`, `workspace = true`";
        Violation::new(manifest, 1, message)
    })
}

/// A clippy configuration inside a crate: it would replace the workspace's, not add to it.
pub fn second_clippy_configuration(path: &str) -> Option<Violation> {
    path.ends_with("clippy.toml").then_some(())?;
    (path != ".clippy.toml").then(|| {
        Violation::new(path, 1, "replaces `.clippy.toml` for its crate: move its lines there")
    })
}

/// A `lib.rs` that does not open with the map of its crate.
pub fn missing_crate_docs(source: &Source) -> Option<Violation> {
    let is_library = source.path.ends_with("src/lib.rs");
    (is_library && !source.text.starts_with("//!")).then(|| {
        Violation::new(&source.path, 1, "starts without `//!`: say what the crate is, and its map")
    })
}

/// A library in `common/` in which a public item may be without documentation.
pub fn missing_docs_lint(source: &Source) -> Option<Violation> {
    let is_common = source.path.starts_with("common/") && source.path.ends_with("src/lib.rs");
    let asks = source.text.lines().any(|line| line.trim() == "#![warn(missing_docs)]");
    (is_common && !asks).then(|| {
        let message = "public items may be undocumented: add `#![warn(missing_docs)]`";
        Violation::new(&source.path, 1, message)
    })
}

/// Positions of the word `name` where it is an attribute's, also under `cfg_attr`.
fn attributes(source: &Source, name: &'static str) -> impl Iterator<Item = usize> {
    let tokens = &source.tokens;
    let call = [name, "("];
    let positions: Vec<usize> = source.find(&call).collect();
    positions.into_iter().filter(move |at| is_attribute(&tokens[..*at]))
}

/// Whether what follows `before` is an attribute: after `#[` or `#![`, or inside `cfg_attr(...)`.
fn is_attribute(before: &[Token]) -> bool {
    let ends_with = |pattern: &[&str]| {
        before.len() >= pattern.len() && matches(&before[before.len() - pattern.len()..], pattern)
    };
    let in_condition = || {
        let start = before.iter().rposition(|token| token.text == "cfg_attr");
        start.is_some_and(|start| before[start..].iter().all(|token| token.text != "]"))
    };
    ends_with(&["#", "["]) || ends_with(&["#", "!", "["]) || in_condition()
}

fn has_reason(attribute: &[Token]) -> bool {
    let end = attribute.iter().position(|token| token.text == "]").unwrap_or(attribute.len());
    (0..end).any(|at| matches(&attribute[at..], &["reason", "="]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source::parse(path, text).expect("the text of a test is Rust")
    }

    fn lines(violations: &[Violation]) -> Vec<usize> {
        violations.iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn unwrap_is_found_in_calls_paths_and_macros() {
        let text = "fn a() {\n b.unwrap();\n c.map(Option::unwrap);\n assert!(d.unwrap_err());\n}";

        assert_eq!(lines(&unwraps(&source("a/src/b.rs", text))), [2, 3, 4]);
    }

    #[test]
    fn unwrap_is_right_in_tests_and_in_examples() {
        let text = "/// `a().unwrap()`\nfn a() { b.unwrap_or(1); }\n\
                    #[cfg(test)]\nmod tests {\n fn c() { d.unwrap(); }\n}";

        assert_eq!(unwraps(&source("a/src/b.rs", text)), []);
        assert_eq!(unwraps(&source("a/tests/b.rs", "fn a() { b.unwrap(); }")), []);
    }

    #[test]
    fn allow_is_found_as_an_outer_inner_and_conditional_attribute() {
        let text = "#![allow(dead_code)]\n#[allow(dead_code)]\nfn a() {}\n\
                    #[cfg_attr(unix, allow(dead_code))]\nfn b() {}\nfn c() { allow(1); }";

        assert_eq!(lines(&silenced_lints(&source("a/src/b.rs", text))), [1, 2, 4]);
    }

    #[test]
    fn expect_needs_a_reason_and_is_no_method_here() {
        let text = "#[expect(dead_code)]\nfn a() {}\n\
                    #[expect(dead_code, reason = \"for b\")]\nfn b() { c.expect(\"d\"); }";

        assert_eq!(lines(&silenced_lints(&source("a/src/b.rs", text))), [1]);
    }

    #[test]
    fn a_manifest_must_inherit_the_lints() {
        let inherits = "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n";
        let has_its_own = "[package]\nversion.workspace = true\n\n[lints]\nrust.dead_code = 1\n";

        assert_eq!(missing_workspace_lints("a/Cargo.toml", inherits), None);
        assert!(missing_workspace_lints("a/Cargo.toml", has_its_own).is_some());
        assert!(missing_workspace_lints("a/Cargo.toml", "[package]\n").is_some());
    }

    #[test]
    fn a_second_clippy_configuration_is_found() {
        assert_eq!(second_clippy_configuration(".clippy.toml"), None);
        assert_eq!(second_clippy_configuration("common/a/Cargo.toml"), None);
        assert!(second_clippy_configuration("common/a/.clippy.toml").is_some());
        assert!(second_clippy_configuration("clippy.toml").is_some());
    }

    #[test]
    fn a_library_opens_with_its_documentation() {
        assert_eq!(missing_crate_docs(&source("a/src/lib.rs", "//! A map.\nmod b;")), None);
        assert_eq!(missing_crate_docs(&source("a/src/b.rs", "mod c;")), None);
        assert!(missing_crate_docs(&source("a/src/lib.rs", "mod b;\n//! A map.")).is_some());
    }

    #[test]
    fn a_common_library_asks_for_documentation_of_public_items() {
        let asks = "//! A map.\n#![warn(missing_docs)]\nmod b;";

        assert_eq!(missing_docs_lint(&source("common/a/src/lib.rs", asks)), None);
        assert_eq!(missing_docs_lint(&source("a-service/src/lib.rs", "//! A map.")), None);
        assert!(missing_docs_lint(&source("common/a/src/lib.rs", "//! A map.")).is_some());
    }
}
