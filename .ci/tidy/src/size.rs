//! Lengths: what fits on a screen, or into a head, is found and changed without fear.
//!
//! Blank lines never count. The length of a function and of its parameter list is clippy's to
//! check (`.clippy.toml`).

use crate::rules;
use crate::source::Source;
use crate::violation::Violation;

const LINE_COLUMNS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 500;
const MAIN_LINES_MAX: usize = 50;
const RULE_FILE_LINES_MAX: usize = 300;
const CRATE_LINES_MAX: usize = 3_500;

/// Lines of one file that are too wide; rustfmt leaves long strings and comments as they are.
pub fn wide_lines(source: &Source) -> Vec<Violation> {
    source
        .lines()
        .map(|(line, text)| (line, text.chars().count()))
        .filter(|(_, columns)| *columns > LINE_COLUMNS_MAX)
        .map(|(line, columns)| {
            let message = format!(
                "{columns} columns, at most {LINE_COLUMNS_MAX}: break the line, comment or string"
            );
            Violation::new(&source.path, line, message)
        })
        .collect()
}

/// A file that is too long, its tests counted too.
pub fn long_file(source: &Source) -> Option<Violation> {
    let advice = "split it by concept, or move its tests to a file of their own";
    too_long(source, "lines", source.lines().count(), FILE_LINES_MAX, advice)
}

/// A `main.rs` that does more than read its configuration, build the parts and run them.
pub fn long_main(source: &Source) -> Option<Violation> {
    if !source.path.ends_with("src/main.rs") {
        return None;
    }
    let count = code_lines(source);
    let advice = "move work into the library, where it can be tested";
    too_long(source, "lines of code", count, MAIN_LINES_MAX, advice)
}

/// A rule file that has outgrown one reading.
pub fn long_rule_file(source: &Source) -> Option<Violation> {
    rules::rule_of(&source.path)?;
    let count = source.production_lines().count();
    let advice = "make it a folder with one file a command";
    too_long(source, "lines of rules", count, RULE_FILE_LINES_MAX - 1, advice)
}

/// Lines of production code. Comments are left out, so that no limit is a reason to explain less.
fn code_lines(source: &Source) -> usize {
    let is_code = |line: &str| !line.trim_start().starts_with("//");
    source.production_lines().filter(|(_, line)| is_code(line)).count()
}

/// A crate whose sources together are too long, their comments left out. `folder` is the crate's;
/// `sources` may hold the files of others too.
pub fn long_crate(folder: &str, sources: &[Source]) -> Option<Violation> {
    let inside = format!("{folder}/src/");
    let count: usize =
        sources.iter().filter(|source| source.path.starts_with(&inside)).map(code_lines).sum();
    (count > CRATE_LINES_MAX).then(|| {
        let message = format!(
            "{count} lines of code under src/, at most {CRATE_LINES_MAX}: \
             move a part with a name of its own into a crate of its own"
        );
        Violation::new(format!("{folder}/Cargo.toml"), 1, message)
    })
}

fn too_long(
    source: &Source,
    what: &str,
    count: usize,
    max: usize,
    advice: &str,
) -> Option<Violation> {
    let message = || format!("{count} {what}, at most {max}: {advice}");
    (count > max).then(|| Violation::new(&source.path, max + 1, message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source::parse(path, text).expect("the text of a test is Rust")
    }

    fn constants(count: usize) -> String {
        "const A: () = ();\n\n".repeat(count)
    }

    fn constants_in_tests(count: usize) -> String {
        format!("#[cfg(test)]\nmod tests {{\n{}}}\n", constants(count))
    }

    #[test]
    fn a_line_is_measured_in_characters() {
        let fits = format!("// {}", "ö".repeat(97));
        let wide = format!("fn a() {{}}\n{fits}ö");

        assert_eq!(wide_lines(&source("a/src/b.rs", &fits)), []);
        let found = wide_lines(&source("a/src/b.rs", &wide));
        assert_eq!(found.len(), 1);
        assert!(found[0].to_string().starts_with("a/src/b.rs:2: 101 columns, at most 100"));
    }

    #[test]
    fn a_file_is_measured_with_its_tests_and_without_blank_lines() {
        let fits = constants(200) + &constants_in_tests(297);
        let long = constants(201) + &constants_in_tests(297);

        assert_eq!(long_file(&source("a/src/b.rs", &fits)), None);
        let found = long_file(&source("a/src/b.rs", &long)).expect("the file is too long");
        assert!(found.message.starts_with("501 lines, at most 500"), "{found}");
    }

    #[test]
    fn main_is_measured_without_its_comments() {
        let fits = format!("//! Runs it.\n{}", constants(50));
        let long = constants(51);

        assert_eq!(long_main(&source("a/src/main.rs", &fits)), None);
        assert_eq!(long_main(&source("a/src/other.rs", &long)), None);
        assert!(long_main(&source("a/src/main.rs", &long)).is_some());
    }

    #[test]
    fn a_rule_file_is_measured_without_its_tests() {
        let fits = constants(299) + &constants_in_tests(100);
        let long = constants(300);

        assert_eq!(long_rule_file(&source("orders-service/src/order.rs", &fits)), None);
        assert_eq!(long_rule_file(&source("orders-service/src/http.rs", &long)), None);
        assert!(long_rule_file(&source("orders-service/src/order.rs", &long)).is_some());
        assert!(long_rule_file(&source("orders-service/src/order/ship.rs", &long)).is_some());
    }

    #[test]
    fn a_crate_is_measured_over_its_own_sources_without_tests() {
        let file = |path: &str, lines| source(path, &constants(lines));
        let mut sources = vec![
            file("common/a/src/b.rs", 3_000),
            file("common/a/src/c/d.rs", 500),
            file("common/a/tests/e.rs", 9),
            file("common/ab/src/f.rs", 9),
            source("common/a/src/g.rs", &constants_in_tests(9)),
        ];

        assert_eq!(long_crate("common/a", &sources), None);
        sources.push(file("common/a/src/h.rs", 1));
        let found = long_crate("common/a", &sources).expect("the crate is too long");
        assert!(found.to_string().starts_with("common/a/Cargo.toml:1: 3501 lines of code"));
    }
}
