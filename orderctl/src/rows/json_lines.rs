//! JSON lines: one object a line.

use std::io::{self, BufRead, Read};

use anyhow::Context;
use serde_json::Value;

use super::{ROW_BYTES_MAX, Row};
use crate::arguments::Kind;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// The rows of a text of JSON lines. Empty lines are none.
pub(super) struct JsonLines<R> {
    kind: Kind,
    source: R,
    line: u64,
    text: Vec<u8>,
    has_ended: bool,
}

impl<R: BufRead> JsonLines<R> {
    pub(super) fn new(kind: Kind, source: R) -> Self {
        JsonLines { kind, source, line: 0, text: Vec::new(), has_ended: false }
    }

    /// Reads the next line; `None` where there is none, and whether it is short enough to be one.
    fn next_line(&mut self) -> io::Result<Option<bool>> {
        self.text.clear();
        let mut bounded = self.source.by_ref().take(ROW_BYTES_MAX as u64);
        if bounded.read_until(b'\n', &mut self.text)? == 0 {
            return Ok(None);
        }
        self.line += 1;
        if self.text.ends_with(b"\n") || self.text.len() < ROW_BYTES_MAX {
            return Ok(Some(true));
        }
        self.source.skip_until(b'\n')?;
        Ok(Some(false))
    }

    fn row(&self) -> Row {
        let (line, text) = (self.line, self.text.as_slice());
        let text = text.strip_prefix(BYTE_ORDER_MARK).filter(|_| line == 1).unwrap_or(text);
        let (id, entry) = match serde_json::from_slice(text) {
            Ok(Value::Object(object)) => {
                let id = object.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
                (id, self.kind.of_object(object))
            }
            Ok(_) => (String::new(), Err("it is no JSON object".to_owned())),
            Err(error) => (String::new(), Err(format!("it is no JSON: {error}"))),
        };
        Row { line, id, entry }
    }
}

impl<R: BufRead> Iterator for JsonLines<R> {
    type Item = anyhow::Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.has_ended {
            match self.next_line().context("cannot read on") {
                Ok(Some(true)) if self.text.trim_ascii().is_empty() => {}
                Ok(Some(true)) => return Some(Ok(self.row())),
                Ok(Some(false)) => {
                    let entry = Err(format!("it is longer than {ROW_BYTES_MAX} bytes"));
                    return Some(Ok(Row { line: self.line, id: String::new(), entry }));
                }
                Ok(None) => self.has_ended = true,
                Err(error) => {
                    self.has_ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(text: &[u8]) -> Vec<Row> {
        JsonLines::new(Kind::Products, text).map(Result::unwrap).collect()
    }

    /// The lines of the rows, and whether each is one to import.
    fn outline(rows: &[Row]) -> Vec<(u64, &str, bool)> {
        rows.iter().map(|row| (row.line, row.id.as_str(), row.entry.is_ok())).collect()
    }

    #[test]
    fn each_line_is_a_row_and_a_bad_one_does_not_hide_the_next() {
        let text = "\u{feff}{\"id\": \"a\", \"stock\": 7}\r\n\n{\"id\": \n[1]\n{\"id\":\"b\"}";

        let rows = rows(text.as_bytes());

        let expected = [(1, "a", true), (3, "", false), (4, "", false), (5, "b", true)];
        assert_eq!(outline(&rows), expected);
        let first = rows[0].entry.clone().unwrap();
        assert_eq!((first.body, first.stock), (json!({}), Some(7)));
    }

    #[test]
    fn a_line_without_an_end_does_not_fill_the_memory() {
        let mut text = vec![b'x'; 3 * ROW_BYTES_MAX];
        text.extend_from_slice(b"\n{\"id\":\"b\"}\n");

        let mut lines = JsonLines::new(Kind::Products, text.as_slice());
        let long = lines.next().unwrap().unwrap();

        assert_eq!(long.entry, Err("it is longer than 1048576 bytes".to_owned()));
        assert!(lines.text.capacity() <= 2 * ROW_BYTES_MAX, "{}", lines.text.capacity());
        assert_eq!(lines.next().unwrap().unwrap().id, "b");
    }
}
