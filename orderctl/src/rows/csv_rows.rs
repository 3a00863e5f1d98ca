//! CSV with a line of column names.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};

use anyhow::{Context, bail};
use csv::{ByteRecord, ReaderBuilder, StringRecord, Trim};
use serde_json::Value;

use super::{ROW_BYTES_MAX, Row};
use crate::arguments::Kind;
use crate::kind::{Column, Entry, Is, line_of_row};

/// How many lines an order may have at all.
const LINES_MAX: usize = 100;

/// The rows of a text of CSV.
pub(super) struct CsvRows<R> {
    kind: Kind,
    reader: csv::Reader<Source<R>>,
    /// The names of the columns, as the file has them.
    columns: Vec<&'static str>,
    record: ByteRecord,
    /// The order whose rows are being read.
    open: Option<Row>,
    /// Rows that are complete.
    ready: VecDeque<anyhow::Result<Row>>,
    has_ended: bool,
}

impl<R: Read> CsvRows<R> {
    /// # Errors
    /// Where the first line cannot be read, or names other columns than there are.
    pub(super) fn new(kind: Kind, source: R) -> anyhow::Result<Self> {
        let source = Source::new(source);
        let mut reader =
            ReaderBuilder::new().flexible(true).trim(Trim::Headers).from_reader(source);
        let columns = columns_of(kind, reader.headers()?)?;
        Ok(CsvRows {
            kind,
            reader,
            columns,
            record: ByteRecord::new(),
            open: None,
            ready: VecDeque::new(),
            has_ended: false,
        })
    }

    /// Reads one row of the file, which completes rows or goes on with one.
    fn read(&mut self) {
        self.reader.get_mut().bytes_left = ROW_BYTES_MAX;
        match self.reader.read_byte_record(&mut self.record) {
            Ok(true) if self.kind == Kind::Orders => self.take_line(),
            Ok(true) => {
                let row = self.row();
                self.ready.push_back(Ok(row));
            }
            Ok(false) => {
                self.has_ended = true;
                self.ready.extend(self.open.take().map(Ok));
            }
            Err(error) => {
                self.has_ended = true;
                // What was read of an order may not be all of it.
                self.open = None;
                let line = error.position().map_or(0, csv::Position::line);
                let read = Err(error).with_context(|| format!("cannot read on from line {line}"));
                self.ready.push_back(read);
            }
        }
    }

    /// The row just read, as one that tells a thing of its own.
    fn row(&self) -> Row {
        let breaks = self.record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        // The reader is at the begin of the line after the row's last.
        let line = self.reader.position().line().saturating_sub(breaks + 1);
        let lossy = StringRecord::from_byte_record_lossy(self.record.clone());
        let cell = |name: &str| lossy.get(self.columns.iter().position(|column| *column == name)?);
        let id = cell("id").unwrap_or_default().to_owned();
        let entry = if id.is_empty() {
            Err("it has no `id`".to_owned())
        } else if StringRecord::from_byte_record(self.record.clone()).is_err() {
            Err("it is not UTF-8".to_owned())
        } else if lossy.len() != self.columns.len() {
            let (cells, columns) = (lossy.len(), self.columns.len());
            Err(format!("it has {cells} cells where the file has {columns} columns"))
        } else {
            self.kind.of_row(cell).and_then(|entry| match self.kind {
                Kind::Orders => Ok(with_line(entry, line_of_row(cell)?)),
                Kind::Customers | Kind::Products => Ok(entry),
            })
        };
        Row { line, id, entry }
    }

    /// Takes the row just read as a line of an order.
    fn take_line(&mut self) {
        let row = self.row();
        match &mut self.open {
            Some(open) if row.id == open.id || row.id.is_empty() => add(open, row),
            _ => self.ready.extend(self.open.replace(row).map(Ok)),
        }
    }
}

fn with_line(mut entry: Entry, line: Value) -> Entry {
    if let Some(lines) = entry.body["lines"].as_array_mut() {
        lines.push(line);
    }
    entry
}

/// Adds a row to the order that it goes on with. Where one row of an order is bad, it is not placed
/// at all; a row without an id may belong to it, too.
fn add(open: &mut Row, row: Row) {
    let Ok(order) = &mut open.entry else { return };
    let problem = match row.entry {
        Ok(more) => match joined(order, more) {
            Ok(()) => return,
            Err(problem) => problem,
        },
        Err(problem) => problem,
    };
    open.entry = Err(format!("line {}: {problem}", row.line));
}

fn joined(order: &mut Entry, more: Entry) -> Result<(), String> {
    for name in ["customerId", "currency"] {
        if order.body[name] != more.body[name] {
            return Err(format!("{name} is another than in the order's first row"));
        }
    }
    let Value::Object(mut more) = more.body else { return Ok(()) };
    let more = more.remove("lines").unwrap_or_default();
    if let (Value::Array(lines), Value::Array(more)) = (&mut order.body["lines"], more) {
        lines.extend(more);
        if lines.len() > LINES_MAX {
            return Err(format!("an order has at most {LINES_MAX} lines"));
        }
    }
    Ok(())
}

impl<R: Read> Iterator for CsvRows<R> {
    type Item = anyhow::Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.has_ended {
            self.read();
        }
        self.ready.pop_front()
    }
}

/// The columns of a file that begins with these names.
fn columns_of(kind: Kind, names: &StringRecord) -> anyhow::Result<Vec<&'static str>> {
    let all = || {
        let describe = |column: &Column| match column.is {
            Is::Needed => column.name.to_owned(),
            Is::Wanted => format!("{} (if wanted)", column.name),
            Is::Told => format!("{} (passed over)", column.name),
        };
        let columns: Vec<String> = kind.columns().iter().map(describe).collect();
        format!("the columns of {} are {}", kind.name(), columns.join(", "))
    };
    let mut columns: Vec<&'static str> = Vec::new();
    for name in names {
        let Some(column) = kind.columns().iter().find(|column| column.name == name) else {
            bail!("unknown column `{name}`: {}", all());
        };
        if columns.contains(&column.name) {
            bail!("column `{name}` stands there twice");
        }
        columns.push(column.name);
    }
    let is_missing = |column: &&Column| column.is == Is::Needed && !columns.contains(&column.name);
    if let Some(missing) = kind.columns().iter().find(is_missing) {
        bail!("no column `{}`: {}", missing.name, all());
    }
    Ok(columns)
}

/// What the rows of a file are read from: every line ends in a line feed alone, the last one too,
/// so that lines can be counted. It ends with an error where a row goes on and on: a quote that is
/// not closed makes one row of the rest of a file.
struct Source<R> {
    source: BufReader<R>,
    /// How many bytes the row may still have.
    bytes_left: usize,
    /// The byte given last.
    last: u8,
    /// Whether a carriage return came last, which is not given yet.
    has_return: bool,
}

impl<R: Read> Source<R> {
    fn new(source: R) -> Self {
        let source = BufReader::new(source);
        Source { source, bytes_left: ROW_BYTES_MAX, last: b'\n', has_return: false }
    }

    /// Gives a byte, after the carriage return that came before it where that ends no line.
    fn give(&mut self, byte: u8, to: &mut [u8]) -> usize {
        let mut count = 0;
        if std::mem::take(&mut self.has_return) && byte != b'\n' {
            to[count] = b'\r';
            count += 1;
        }
        if byte == b'\r' {
            self.has_return = true;
        } else {
            to[count] = byte;
            count += 1;
            self.last = byte;
        }
        count
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.bytes_left == 0 {
            let reason = format!("a row of over {ROW_BYTES_MAX} bytes: is a quote not closed?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        let mut count = 0;
        // Each byte may bring a carriage return along.
        while count + 1 < buffer.len() {
            let Some(byte) = self.source.fill_buf()?.first().copied() else {
                if self.last != b'\n' {
                    count += self.give(b'\n', &mut buffer[count..]);
                }
                break;
            };
            self.source.consume(1);
            count += self.give(byte, &mut buffer[count..]);
        }
        self.bytes_left = self.bytes_left.saturating_sub(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(kind: Kind, text: &[u8]) -> Vec<Row> {
        CsvRows::new(kind, text).unwrap().map(Result::unwrap).collect()
    }

    fn refusal(kind: Kind, text: &str) -> String {
        CsvRows::new(kind, text.as_bytes()).err().unwrap().to_string()
    }

    const CUSTOMERS: &str = "id,firstName,lastName,email,address,level,creditLimit,currency\n";

    #[test]
    fn a_customer_is_a_row_and_quotes_hold_what_they_hold() {
        let text = CUSTOMERS.to_owned()
            + "c-1,Ada,\"Love, \"\"lace\"\"\",a@b,\"1 Street\nTown\",GOLD,10.00,GBP\r\n\
               c-2,short\n\nc-3,Alan,Turing,c@d,2 Street,GOLD,10.00,GBP";

        let rows = read(Kind::Customers, text.as_bytes());

        let lines: Vec<_> = rows.iter().map(|row| (row.line, row.id.as_str())).collect();
        assert_eq!(lines, [(2, "c-1"), (4, "c-2"), (6, "c-3")]);
        let first = rows[0].entry.clone().unwrap().body;
        let expected = json!({
            "firstName": "Ada", "lastName": "Love, \"lace\"", "email": "a@b",
            "address": "1 Street\nTown", "level": "GOLD",
            "creditLimit": {"amount": "10.00", "currency": "GBP"},
        });
        assert_eq!(first, expected);
        let problem = "it has 2 cells where the file has 8 columns".to_owned();
        assert_eq!(rows[1].entry, Err(problem));
        assert!(rows[2].entry.is_ok());
    }

    #[test]
    fn columns_come_in_any_order_and_each_that_is_wrong_is_named() {
        let rows = read(Kind::Products, b"\xEF\xBB\xBFprice, id,currency,name\n1.00,p,GBP,P\n");
        let body = json!({"name": "P", "price": {"amount": "1.00", "currency": "GBP"}});
        let entry = Entry { id: "p".to_owned(), body, stock: None };
        assert_eq!(rows, [Row { line: 2, id: "p".to_owned(), entry: Ok(entry) }]);

        let all = "the columns of products are id, name, price, currency, stock (if wanted)";
        let unknown = refusal(Kind::Products, "id,name,prize,currency\n");
        assert_eq!(unknown, format!("unknown column `prize`: {all}"));
        assert_eq!(refusal(Kind::Products, ""), format!("no column `id`: {all}"));
        let twice = refusal(Kind::Products, "id,name,name,price,currency\n");
        assert_eq!(twice, "column `name` stands there twice");
    }

    #[test]
    fn stock_is_a_number_of_pieces_or_left_empty() {
        let text = "id,name,price,currency,stock\na,A,1.00,GBP,7\nb,B,1.00,GBP,\nc,C,1.00,GBP,x\n";

        let rows = read(Kind::Products, text.as_bytes());

        let stock = |row: &Row| row.entry.clone().map(|entry| entry.stock);
        assert_eq!(stock(&rows[0]), Ok(Some(7)));
        assert_eq!(stock(&rows[1]), Ok(None));
        assert_eq!(stock(&rows[2]), Err("stock: `x` is no number of pieces".to_owned()));
    }

    const ORDERS: &str = "id,customerId,currency,productId,quantity,unitPrice\n";

    fn orders(rows: &str) -> Vec<Row> {
        read(Kind::Orders, (ORDERS.to_owned() + rows).as_bytes())
    }

    #[test]
    fn rows_of_one_id_that_stand_together_are_one_order() {
        let rows = orders("o-1,c,GBP,p,1,2.00\no-1,c,GBP,q,2,\no-2,c,GBP,p,3,\no-1,c,GBP,r,1,\n");

        let lines: Vec<_> = rows.iter().map(|row| (row.line, row.id.as_str())).collect();
        assert_eq!(lines, [(2, "o-1"), (4, "o-2"), (5, "o-1")]);
        let first = rows[0].entry.clone().unwrap().body;
        let lines = json!([
            {"productId": "p", "quantity": 1, "unitPrice": "2.00"},
            {"productId": "q", "quantity": 2},
        ]);
        let expected = json!({"id": "o-1", "customerId": "c", "currency": "GBP", "lines": lines});
        assert_eq!(first, expected);
    }

    #[test]
    fn an_order_with_one_bad_row_is_not_placed_at_all() {
        for (bad, why) in [
            ("o-1,c,GBP,q,many,", "line 3: quantity: `many` is no number of pieces"),
            ("o-1,c,GBP", "line 3: it has 3 cells where the file has 6 columns"),
            ("o-1,d,GBP,q,1,", "line 3: customerId is another than in the order's first row"),
            (",c,GBP,q,1,", "line 3: it has no `id`"),
        ] {
            let rows = orders(&format!("o-1,c,GBP,p,1,\n{bad}\no-1,c,GBP,r,1,\no-2,c,GBP,p,1,\n"));

            assert_eq!(rows.len(), 2, "{rows:?}");
            assert_eq!((rows[0].line, rows[0].entry.clone()), (2, Err(why.to_owned())));
            assert!(rows[1].entry.is_ok());
        }
    }

    #[test]
    fn an_order_of_more_lines_than_an_order_has_is_not_kept() {
        let rows = orders(&"o-1,c,GBP,p,1,\n".repeat(5_000));

        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].entry, Err("line 102: an order has at most 100 lines".to_owned()));
    }

    #[test]
    fn a_quote_that_is_not_closed_ends_the_file_with_a_reason() {
        let text = format!("{ORDERS}o-1,c,GBP,p,1,\n\"o-2,{}", "x,".repeat(3 * ROW_BYTES_MAX));

        let rows: Vec<_> = CsvRows::new(Kind::Orders, text.as_bytes()).unwrap().collect();

        let error = rows.into_iter().map(Result::unwrap_err).next().unwrap();
        let text = format!("{error:#}");
        assert!(text.contains("is a quote not closed?"), "{text}");
    }
}
