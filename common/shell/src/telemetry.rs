//! Logs: to stderr, so that stdout is left to what a command has to say.

use std::env;
use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

/// What is logged unless the environment variable `RUST_LOG` says otherwise.
const DEFAULT_FILTER: &str = "info";
/// What is logged of clients that tell each transaction, unless `RUST_LOG` names them.
const QUIETER: &str = "krafka=warn";
/// The environment variable with the form of the lines: `json`, or `text` as without it.
const FORMAT: &str = "LOG_FORMAT";

/// The form of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs: one JSON object a line, its fields beside `timestamp`, `level`, `target` and
    /// `message`.
    Json,
}

/// Begins to log as `RUST_LOG` says, in lines as `LOG_FORMAT` says. A part of either that cannot be
/// read is ignored. Where logging has begun already nothing changes.
pub fn start() {
    let filter = filter(&env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default());
    let wanted = env::var(FORMAT).unwrap_or_default();
    let format = parse(&wanted);
    let subscriber = subscriber(format.unwrap_or(Format::Text), filter, io::stderr);
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        tracing::debug!("logging has begun already");
    } else if format.is_none() {
        tracing::warn!(wanted, "LOG_FORMAT is text or json: text it is");
    }
}

/// What lets those lines through that are wanted, in the language of `RUST_LOG`.
fn filter(wanted: &str) -> EnvFilter {
    let is_usable = !wanted.is_empty() && EnvFilter::try_new(wanted).is_ok();
    let wanted = if is_usable { wanted } else { DEFAULT_FILTER };
    let filter = EnvFilter::new(wanted);
    // To one that lets no more than warnings through, the directive could only add lines.
    let is_quiet = filter.max_level_hint().is_some_and(|level| level <= LevelFilter::WARN);
    if is_quiet { filter } else { EnvFilter::new(format!("{QUIETER},{wanted}")) }
}

/// The form with this name; that of no name is text.
fn parse(name: &str) -> Option<Format> {
    match name {
        "" | "text" => Some(Format::Text),
        "json" => Some(Format::Json),
        _ => None,
    }
}

/// What writes lines of this form.
pub(crate) fn subscriber<W>(format: Format, filter: EnvFilter, writer: W) -> impl Subscriber
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer);
    let lines = match format {
        Format::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    Registry::default().with(filter).with(lines)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use super::*;

    /// What was written.
    #[derive(Clone, Default)]
    pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        /// Logs of this thread, as JSON, until the guard is dropped.
        pub(crate) fn log_json(&self, filter: &str) -> tracing::subscriber::DefaultGuard {
            let writer = self.clone();
            let subscriber =
                subscriber(Format::Json, super::filter(filter), move || writer.clone());
            tracing::subscriber::set_default(subscriber)
        }

        /// The lines, each of which must be a JSON object.
        pub(crate) fn lines(&self) -> Vec<Value> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_of_json_has_its_fields_beside_level_target_and_message() {
        let written = Written::default();
        let guard = written.log_json("info");

        tracing::warn!(order_id = "o-1", count = 7, "two\nlines \"in\" one");
        tracing::debug!("not at this level");
        drop(guard);

        let [mut line] = <[Value; 1]>::try_from(written.lines()).unwrap();
        let timestamp = line.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert!(timestamp.as_str().unwrap().ends_with('Z'), "{timestamp}");
        assert_eq!(
            line,
            json!({
                "level": "WARN",
                "target": "shell::telemetry::tests",
                "message": "two\nlines \"in\" one",
                "order_id": "o-1",
                "count": 7,
            })
        );
    }

    #[test]
    fn a_client_that_tells_each_transaction_is_heard_where_it_is_named() {
        let lines_of = |filter: &str| {
            let written = Written::default();
            let guard = written.log_json(filter);
            tracing::info!(target: "krafka::producer", "transaction committed");
            tracing::info!("ready");
            tracing::warn!(target: "krafka::producer", "transaction aborted");
            drop(guard);
            written.lines().len()
        };
        assert_eq!(lines_of(""), 2);
        assert_eq!(lines_of("info"), 2);
        assert_eq!(lines_of("info,krafka=info"), 3);
        assert_eq!(lines_of("off"), 0);
        assert_eq!(lines_of("error"), 0);
        assert_eq!(lines_of("no=such=filter"), 2);
    }

    #[test]
    fn lines_are_text_unless_another_form_is_named() {
        assert_eq!(parse(""), Some(Format::Text));
        assert_eq!(parse("text"), Some(Format::Text));
        assert_eq!(parse("json"), Some(Format::Json));
        assert_eq!(parse("yaml"), None);
    }
}
