//! `docs/events`: every topic as an AsyncAPI 3 document, and every body as a JSON Schema. They are
//! made from the types that services write and read; `UPDATE=1` writes them anew.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod asyncapi;
mod schemas;
mod topics;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use events::topics::ALL;
use jsonschema::Validator;
use orders_service::order::state::Timeouts;
use serde_json::{Value, json};
use streams::Topology;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn folder() -> PathBuf {
    repository().join("docs/events")
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    serde_json::from_str(&text).unwrap()
}

fn topologies() -> [Topology; 4] {
    [
        orders_service::topology(Timeouts::DEFAULT).unwrap(),
        inventory_service::topology().unwrap(),
        fraud_service::topology().unwrap(),
        payments_service::topology().unwrap(),
    ]
}

/// Every document by its path.
fn documents() -> BTreeMap<PathBuf, Value> {
    let described = topics::described();
    let mut documents: BTreeMap<PathBuf, Value> = described
        .iter()
        .flat_map(|topic| &topic.messages)
        .map(|message| {
            let path = folder().join(asyncapi::schema_path(&message.body));
            (path, schemas::document(&message.body, &message.schema))
        })
        .collect();
    let asyncapi = asyncapi::document(&described, &topologies());
    documents.insert(folder().join("asyncapi.json"), asyncapi);
    documents
}

/// The recordings of events: the name under which each is kept, the `ce_type` where it has one, and
/// the body.
fn recordings() -> Vec<(String, Option<String>, Value)> {
    let folder = repository().join("common/events/tests/recorded/v1");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let recordings = files.filter(|path| path.extension().is_some_and(|kind| kind == "json"));
    let recordings: Vec<_> = recordings
        .map(|path| {
            let mut recording = read(&path);
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let event_type = recording["ce_type"].as_str().map(str::to_owned);
            (name, event_type, recording["body"].take())
        })
        .collect();
    assert!(recordings.len() >= 39, "{}", recordings.len());
    recordings
}

/// How a recording is to look by the documents: one schema for each topic that may hold it.
fn validators(
    documents: &BTreeMap<PathBuf, Value>,
    name: &str,
    event_type: Option<&str>,
) -> Vec<Validator> {
    let of_table = name.split('.').next().unwrap();
    let channels = documents[&folder().join("asyncapi.json")]["channels"].as_object();
    let channels = channels.unwrap().values();
    let messages = channels.flat_map(|channel| channel["messages"].as_object().unwrap().values());
    let its_own = messages.filter(|message| {
        let told = message.pointer("/headers/allOf/1/properties/ce_type/const");
        match (told, event_type) {
            (Some(told), Some(event_type)) => told == event_type,
            (None, None) => message["name"] == of_table,
            _ => false,
        }
    });
    let schema = |message: &Value| {
        let path = message.pointer("/payload/$ref").unwrap().as_str().unwrap();
        jsonschema::draft202012::new(&documents[&folder().join(path)]).unwrap()
    };
    its_own.map(schema).collect()
}

/// The places of all values in a value, as JSON pointers.
fn pointers(value: &Value, at: &str, pointers: &mut Vec<String>) {
    pointers.push(at.to_owned());
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                self::pointers(field, &format!("{at}/{name}"), pointers);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                self::pointers(item, &format!("{at}/{index}"), pointers);
            }
        }
        _ => {}
    }
}

#[test]
fn the_documents_are_what_the_types_say() {
    let documents = documents();

    for (path, document) in &documents {
        let written = path.exists().then(|| read(path));
        if std::env::var_os("UPDATE").is_some() && written.as_ref() != Some(document) {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = serde_json::to_string_pretty(document).unwrap() + "\n";
            std::fs::write(path, text).unwrap();
            continue;
        }
        assert_eq!(written.as_ref(), Some(document), "{path:?} is stale: UPDATE=1 writes it anew");
    }
    let files = std::fs::read_dir(folder().join("schemas")).unwrap();
    for file in files {
        let path = file.unwrap().path();
        assert!(documents.contains_key(&path), "{path:?} is the schema of no topic's records");
    }
}

#[test]
fn every_topic_and_every_type_of_event_is_described() {
    let described = topics::described();

    let names: BTreeSet<_> = described.iter().map(|topic| topic.name).collect();
    let all: BTreeSet<_> = ALL.iter().map(|topic| topic.name).collect();
    assert_eq!(all.difference(&names).collect::<Vec<_>>(), [&events::topics::DEAD_LETTERS]);
    for topic in &described {
        let told: BTreeSet<&str> = topic.messages.iter().map(|message| message.name).collect();
        if let Some(event_types) = topic.event_types {
            assert_eq!(told, event_types.iter().copied().collect(), "{}", topic.name);
        }
    }
}

#[test]
fn every_topic_has_a_writer_and_those_for_other_services_have_a_reader() {
    let asyncapi = asyncapi::document(&topics::described(), &topologies());
    let of = |action: &str| -> BTreeSet<String> {
        let operations = asyncapi["operations"].as_object().unwrap().values();
        let operations = operations.filter(|operation| operation["action"] == action);
        let topic = |operation: &Value| {
            let channel = operation["channel"]["$ref"].as_str().unwrap();
            channel.strip_prefix("#/channels/").unwrap().to_owned()
        };
        operations.map(topic).collect()
    };
    let all: BTreeSet<String> = ALL.iter().map(|topic| topic.name.to_string()).collect();

    assert_eq!(of("send"), all);
    let unread: Vec<String> = all.difference(&of("receive")).cloned().collect();
    assert_eq!(unread, ["accounts", "dead-letters", "stock-levels"]);
}

#[test]
fn every_schema_is_one() {
    for (path, document) in documents() {
        if path.ends_with("asyncapi.json") {
            continue;
        }
        assert!(jsonschema::meta::is_valid(&document), "{path:?}");
        assert!(document["description"].is_string(), "{path:?} is not described");
        let text = document.to_string();
        assert!(!text.contains("[`"), "{path:?} has a link to code");
        for reference in text.split(r##""$ref":"#"##).skip(1) {
            let (pointer, _) = reference.split_once('"').unwrap();
            assert!(document.pointer(pointer).is_some(), "{path:?}: {pointer} is not there");
        }
    }
}

#[test]
fn every_recorded_event_is_as_its_schema_says_also_with_fields_of_a_newer_writer() {
    let documents = documents();

    for (name, event_type, mut body) in recordings() {
        let validators = validators(&documents, &name, event_type.as_deref());
        assert!(!validators.is_empty(), "no topic has {name}");
        for validator in &validators {
            let errors: Vec<String> =
                validator.iter_errors(&body).map(|error| error.to_string()).collect();
            assert_eq!(errors, [""; 0], "{name}");
        }
        body["addedLater"] = json!({ "deep": [1, null] });
        assert!(validators.iter().all(|validator| validator.is_valid(&body)), "{name}");
    }
}

#[test]
fn a_recorded_event_with_a_value_that_is_broken_or_missing_is_not() {
    let documents = documents();

    for (name, event_type, body) in recordings() {
        let validators = validators(&documents, &name, event_type.as_deref());
        let mut places = Vec::new();
        pointers(&body, "", &mut places);
        for place in places {
            let mut broken = body.clone();
            let value = broken.pointer_mut(&place).unwrap();
            // No field takes both a truth value and a list of one.
            *value = if value.is_boolean() { json!([false]) } else { json!(false) };
            let refused = validators.iter().all(|validator| !validator.is_valid(&broken));
            assert!(refused, "{name} with a broken {place}");
        }
        assert!(validators.iter().all(|validator| !validator.is_valid(&json!({}))), "{name}");
    }
}
