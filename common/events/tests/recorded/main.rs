//! The form of events on the log: recordings of each type of event and each table, with everything
//! that one may hold.
//!
//! A recording stays as it is and stays readable. A field that is added later goes into a further
//! recording of the same type, and a value with its name into `samples`; `UPDATE=1` then writes the
//! recordings that are missing, and never one that is there.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod samples;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Debug, Write as _};
use std::path::{Path, PathBuf};

use events::order::{Check, CheckState, Order, OrderEvent, OrderState, OrderTotal, Reason};
use events::order_request::OrderRequest;
use events::payment::{CustomerRequest, DeclineReason, Level, PaymentEvent};
use events::stock::{OrderLineEvent, ProductRequest};
use events::validation::OrderValidation;
use samples::Samples;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use streams::{CloudEvents, Codec, DecodeError, Event, Json};
use utoipa::PartialSchema;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded/v1")
}

/// What is recorded under a name: the `ce_type`, where it is an event, and the body.
fn recorded(name: &str) -> (Option<String>, Value) {
    let path = folder().join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let mut file: Value = serde_json::from_str(&text).unwrap();
    (file["ce_type"].as_str().map(str::to_owned), file["body"].take())
}

/// The names of all recordings.
fn names() -> BTreeSet<String> {
    let files = std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name());
    files.filter_map(|name| name.to_str()?.strip_suffix(".json").map(str::to_owned)).collect()
}

fn is_update() -> bool {
    std::env::var_os("UPDATE").is_some()
}

/// The same with a field that nobody knows in every object.
fn from_a_newer_writer(body: Value) -> Value {
    match body {
        Value::Object(fields) => {
            let newer = |(name, value)| (name, from_a_newer_writer(value));
            let unknown = ("addedLater".to_owned(), json!({ "deep": [1, null] }));
            Value::Object(fields.into_iter().map(newer).chain([unknown]).collect())
        }
        Value::Array(items) => items.into_iter().map(from_a_newer_writer).collect(),
        value => value,
    }
}

/// Checks what is written today, and what can be read, against the record of that name.
fn assert_as_recorded<C: Codec<T>, T: PartialEq + Debug>(name: &str, sample: &T) {
    let encoded = C::encode(sample);
    let written: Value = serde_json::from_slice(&encoded.bytes).unwrap();
    if is_update() && !names().contains(name) {
        let file = match encoded.event_type {
            Some(event_type) => json!({ "ce_type": event_type, "body": written }),
            None => json!({ "body": written }),
        };
        let text = serde_json::to_string_pretty(&file).unwrap() + "\n";
        std::fs::write(folder().join(format!("{name}.json")), text).unwrap();
    }
    let (event_type, body) = recorded(name);
    let event_type = event_type.as_deref();
    assert_eq!(event_type, encoded.event_type, "{name}");
    assert_eq!(written, body, "what is written for {name} is not as recorded");

    let read = |body: Value| C::decode(event_type, body.to_string().as_bytes());
    assert_eq!(read(body.clone()).as_ref(), Ok(sample), "the record of {name} reads differently");
    assert_eq!(read(from_a_newer_writer(body)).as_ref(), Ok(sample), "{name} of a newer writer");
    assert!(matches!(read(Value::from(7)), Err(DecodeError::Malformed(_))), "{name}");
}

/// Checks samples of every type of an event, and gives their names.
fn assert_events<T: Event + PartialEq + Debug>(
    types: &[&str],
    samples: &Samples<T>,
) -> Vec<&'static str> {
    let sampled: BTreeSet<&str> = samples.iter().map(|(_, sample)| sample.event_type()).collect();
    assert_eq!(sampled, types.iter().copied().collect(), "a recording of each type of event");
    for (name, sample) in samples {
        assert_as_recorded::<CloudEvents, T>(name, sample);
    }
    let unknown = T::from_json("AddedLater", b"{}");
    assert_eq!(unknown, Err(DecodeError::UnknownType("AddedLater".to_owned())));
    samples.iter().map(|(name, _)| *name).collect()
}

fn assert_table<T>(samples: &Samples<T>) -> Vec<&'static str>
where
    Json: Codec<T>,
    T: PartialEq + Debug,
{
    samples.iter().for_each(|(name, sample)| assert_as_recorded::<Json, T>(name, sample));
    samples.iter().map(|(name, _)| *name).collect()
}

#[test]
fn every_recording_is_understood_as_it_was_meant_and_written_the_same_today() {
    let understood = [
        assert_events(OrderEvent::TYPES, &samples::order_events()),
        assert_events(OrderRequest::TYPES, &samples::order_requests()),
        assert_events(OrderLineEvent::TYPES, &samples::order_line_events()),
        assert_events(OrderValidation::TYPES, &samples::order_validations()),
        assert_events(ProductRequest::TYPES, &samples::product_requests()),
        assert_events(PaymentEvent::TYPES, &samples::payment_events()),
        assert_events(CustomerRequest::TYPES, &samples::customer_requests()),
        assert_table(&samples::products()),
        assert_table(&samples::stock_levels()),
        assert_table(&samples::customers()),
        assert_table(&samples::accounts()),
    ];

    let understood: BTreeSet<String> = understood.concat().into_iter().map(str::to_owned).collect();
    assert_eq!(names(), understood, "recordings that nothing is known of");
}

#[test]
fn what_an_order_comes_to_is_read_of_the_whole_order() {
    for (_, event) in samples::order_events() {
        let bytes = event.to_json();
        let read = OrderEvent::<OrderTotal>::from_json(event.event_type(), &bytes).unwrap();

        assert_eq!(read.state(), event.state());
        let Order { id, customer_id, currency, total, .. } = event.into_order();
        assert_eq!(read.into_order(), OrderTotal { id, customer_id, currency, total });
    }
}

#[test]
fn every_name_that_a_field_may_hold_is_recorded() {
    let recordings: String = names().iter().map(|name| recorded(name).1.to_string()).collect();

    for schema in [
        OrderState::schema(),
        Check::schema(),
        CheckState::schema(),
        Reason::schema(),
        DeclineReason::schema(),
        Level::schema(),
    ] {
        let schema = serde_json::to_value(schema).unwrap();
        for name in schema["enum"].as_array().unwrap() {
            assert!(recordings.contains(&name.to_string()), "no recording holds {name}");
        }
    }
}

/// Only that which is added may differ: with `UPDATE=1` the list takes it in.
#[test]
fn a_recording_is_never_changed() {
    let list = folder().join("SHA256SUMS");
    let text = std::fs::read_to_string(&list).unwrap_or_default();
    let known: BTreeMap<&str, &str> = text
        .lines()
        .map(|line| line.split_once("  ").unwrap())
        .map(|(sum, name)| (name, sum))
        .collect();
    let sum = |name: &str| {
        let digest = Sha256::digest(std::fs::read(folder().join(name)).unwrap());
        digest.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    };
    let files: BTreeSet<String> = names().into_iter().map(|name| format!("{name}.json")).collect();

    for (name, known) in &known {
        assert!(files.contains(*name), "{name} is gone");
        assert_eq!(sum(name), **known, "{name} was changed: record another beside it");
    }
    if is_update() {
        let list_text: String =
            files.iter().map(|name| format!("{}  {name}\n", sum(name))).collect();
        std::fs::write(list, list_text).unwrap();
    } else {
        assert_eq!(files.len(), known.len(), "new recordings are not in the list: UPDATE=1");
    }
}
