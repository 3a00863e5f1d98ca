//! One broken rule, as it is printed.

use std::fmt;

/// A broken rule at one place. Printed as `file:line: message`, which terminals and editors open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Path from the workspace root, with `/` on every system.
    pub file: String,
    /// Counted from 1; 1 where the whole file is meant.
    pub line: usize,
    /// What was found, the limit, and what to do.
    pub message: String,
}

impl Violation {
    /// A violation at `line` of `file`.
    pub fn new(file: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.into(), line, message: message.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.file, self.line, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_prints_its_place_first() {
        let violation = Violation::new("common/a/src/b.rs", 7, "too long: shorten it");

        assert_eq!(violation.to_string(), "common/a/src/b.rs:7: too long: shorten it");
    }
}
