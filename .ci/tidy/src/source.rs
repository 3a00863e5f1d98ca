//! A Rust file as lines and tokens.
//!
//! Checks look at tokens, not at text: in a token list no comment or string can be mistaken for
//! code, and the inside of a macro call is seen like any other code.

use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A file that is not Rust.
#[derive(Debug, thiserror::Error)]
#[error("{path}: cannot be read as Rust: {error}")]
pub struct Error {
    path: String,
    error: proc_macro2::LexError,
}

/// One token, or one bracket of a pair. A doc comment is the attribute that it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The token as written; `::` is two tokens.
    pub text: String,
    /// Counted from 1.
    pub line: usize,
}

/// A Rust file.
#[derive(Debug)]
pub struct Source {
    /// Path from the workspace root, with `/` on every system.
    pub path: String,
    /// The whole text.
    pub text: String,
    /// All tokens in order.
    pub tokens: Vec<Token>,
    tests: Vec<RangeInclusive<usize>>,
}

impl Source {
    /// Reads `text` as Rust. Files under a `tests` folder beside `src` are tests as a whole; for
    /// test modules in files of their own see [`mark_test_modules`].
    pub fn parse(path: &str, text: &str) -> Result<Self, Error> {
        let stream: TokenStream =
            text.parse().map_err(|error| Error { path: path.to_owned(), error })?;
        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        let tests = if is_integration_test(path) || starts_with_cfg_test(&tokens) {
            vec![1..=usize::MAX]
        } else {
            test_items(&tokens).map(|item| item.lines(&tokens)).collect()
        };
        Ok(Self { path: path.to_owned(), text: text.to_owned(), tokens, tests })
    }

    /// Whether `line` belongs to a test.
    pub fn is_test(&self, line: usize) -> bool {
        self.tests.iter().any(|lines| lines.contains(&line))
    }

    /// Paths, without `.rs`, of the test modules that this file declares (`#[cfg(test)] mod x;`).
    fn test_modules(&self) -> Vec<String> {
        let folder = self.module_folder();
        test_items(&self.tokens)
            .filter_map(|item| match &self.tokens[item.start..=item.end] {
                [.., keyword, name, end] if keyword.text == "mod" && end.text == ";" => {
                    Some(format!("{folder}/{}", name.text))
                }
                _ => None,
            })
            .collect()
    }

    /// Non-blank lines with their numbers.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines()).filter(|(_, line)| !line.trim().is_empty())
    }

    /// Non-blank lines that belong to no test, with their numbers.
    pub fn production_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().filter(|(line, _)| !self.is_test(*line))
    }

    /// Positions in `tokens` where they spell `pattern`, outside tests.
    pub fn find<'a>(&'a self, pattern: &'a [&'a str]) -> impl Iterator<Item = usize> + 'a {
        (0..self.tokens.len())
            .filter(|at| matches(&self.tokens[*at..], pattern))
            .filter(|at| !self.is_test(self.tokens[*at].line))
    }

    fn module_folder(&self) -> &str {
        let stem = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        match stem.rsplit_once('/') {
            Some((folder, "lib" | "main" | "mod")) => folder,
            _ => stem,
        }
    }
}

/// Makes tests of the files that another file declares as test modules, and of their children.
pub fn mark_test_modules(sources: &mut [Source]) {
    let modules: Vec<String> = sources.iter().flat_map(Source::test_modules).collect();
    for source in sources {
        let stem = source.path.trim_end_matches(".rs");
        if modules.iter().any(|module| stem == module || stem.starts_with(&format!("{module}/"))) {
            source.tests = vec![1..=usize::MAX];
        }
    }
}

/// Whether `tokens` begin with the texts of `pattern`.
pub fn matches(tokens: &[Token], pattern: &[&str]) -> bool {
    tokens.len() >= pattern.len()
        && tokens.iter().zip(pattern).all(|(token, text)| token.text == *text)
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    for tree in stream {
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                tokens.push(Token { text: open.to_owned(), line });
                flatten(group.stream(), tokens);
                let line = group.span_close().start().line;
                tokens.push(Token { text: close.to_owned(), line });
            }
            token => tokens.push(Token { text: token.to_string(), line }),
        }
    }
}

fn is_integration_test(path: &str) -> bool {
    path.split('/').rev().skip(1).any(|folder| folder == "tests" || folder == "benches")
        && !path.contains("/src/")
}

fn starts_with_cfg_test(tokens: &[Token]) -> bool {
    (0..tokens.len()).any(|at| matches(&tokens[at..], &["#", "!", "[", "cfg", "(", "test", ")"]))
}

/// Positions of an item's first and last token, its attributes included.
struct Item {
    start: usize,
    end: usize,
}

impl Item {
    fn lines(&self, tokens: &[Token]) -> RangeInclusive<usize> {
        tokens[self.start].line..=tokens[self.end].line
    }
}

/// Items that exist only in a test build, of their own crate or of another.
fn test_items(tokens: &[Token]) -> impl Iterator<Item = Item> {
    const ATTRIBUTES: [&[&str]; 4] = [
        &["#", "[", "cfg", "(", "test", ")"],
        &["#", "[", "cfg", "(", "any", "(", "test"],
        &["#", "[", "cfg", "(", "all", "(", "test"],
        &["#", "[", "test", "]"],
    ];
    (0..tokens.len())
        .filter(|at| ATTRIBUTES.iter().any(|attribute| matches(&tokens[*at..], attribute)))
        .map(|start| Item { start, end: item_end(tokens, start) })
}

/// An item ends with its body, or without a body at the first semicolon.
fn item_end(tokens: &[Token], start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(start) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" => depth = depth.saturating_sub(1),
            "}" if depth <= 1 => return at,
            "}" => depth -= 1,
            ";" if depth == 0 => return at,
            _ => {}
        }
    }
    tokens.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str, text: &str) -> Source {
        Source::parse(path, text).expect("the text of a test is Rust")
    }

    fn production(source: &Source) -> Vec<usize> {
        source.production_lines().map(|(line, _)| line).collect()
    }

    #[test]
    fn a_test_module_is_no_production_code() {
        let text = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";

        assert_eq!(production(&parse("a/src/b.rs", text)), [1, 7]);
    }

    #[test]
    fn a_test_only_item_ends_with_its_body_or_its_semicolon() {
        let function = "#[cfg(all(test, unix))]\n#[inline]\nfn a(b: [u8; 3]) {\n}\nfn c() {}\n";
        let constant = "#[cfg(test)]\nconst A: [u8;\n 3] = [1, 2,\n 3];\nfn c() {}\n";
        let module = "#[cfg(test)]\nmod b;\nfn c() {}\n";

        assert_eq!(production(&parse("a/src/b.rs", function)), [5]);
        assert_eq!(production(&parse("a/src/b.rs", constant)), [5]);
        assert_eq!(production(&parse("a/src/b.rs", module)), [3]);
    }

    #[test]
    fn code_for_tests_of_other_crates_is_no_production_code() {
        let text = "#[cfg(any(test, feature = \"test-util\"))]\nmod testing {\n}\n";

        assert_eq!(production(&parse("a/src/b.rs", text)), Vec::<usize>::new());
    }

    #[test]
    fn a_file_in_the_tests_folder_is_a_test_as_a_whole() {
        assert!(parse("a/tests/common/b.rs", "fn a() {}").is_test(1));
        assert!(!parse("e2e-tests/src/b.rs", "fn a() {}").is_test(1));
        assert!(!parse("a/src/tests/b.rs", "fn a() {}").is_test(1));
        assert!(parse("a/src/b.rs", "#![cfg(test)]\nfn a() {}").is_test(2));
    }

    #[test]
    fn a_test_module_in_a_file_of_its_own_is_a_test_with_its_children() {
        let mut sources = [
            parse("a/src/lib.rs", "mod order;\n#[cfg(test)]\nmod fixtures;\n"),
            parse("a/src/fixtures.rs", "fn b() {}"),
            parse("a/src/fixtures/large.rs", "fn b() {}"),
            parse("a/src/order.rs", "fn c() {}\n#[cfg(test)]\nmod matchers;"),
            parse("a/src/order/matchers/mod.rs", "fn b() {}"),
            parse("a/src/order/ship.rs", "fn c() {}"),
        ];

        mark_test_modules(&mut sources);

        let is_test = sources.each_ref().map(|source| source.is_test(1));
        assert_eq!(is_test, [false, true, true, false, true, false]);
    }

    #[test]
    fn comments_and_strings_are_no_code() {
        let text =
            "// x.unwrap()\nfn a() -> &'static str { \"x.unwrap()\" }\nfn b() { c.unwrap() }";
        let source = parse("a/src/b.rs", text);

        let lines: Vec<usize> = source.find(&["unwrap"]).map(|at| source.tokens[at].line).collect();

        assert_eq!(lines, [3]);
    }

    #[test]
    fn a_file_that_is_not_rust_is_named() {
        let error = Source::parse("a/src/b.rs", "fn a( {").expect_err("the bracket is open");

        assert!(error.to_string().starts_with("a/src/b.rs: cannot be read as Rust"), "{error}");
    }
}
