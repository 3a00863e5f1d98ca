//! The topics as an AsyncAPI 3 document.

use clap::Parser;
use events::topics;
use quickstart::Settings;
use serde_json::{Map, Value, json};
use streams::{Retention, TopicConfig, TopicName, Topology, cloud_event, dead_letter};

use crate::topics::{Described, Message};

const ABOUT: &str = "What the services of the order management tell each other, and what anybody \
    may read along. Records are JSON in UTF-8 with CloudEvents 1.0 headers in Kafka's binary \
    mode. The key is an id as it is, and decides the partition as Kafka's own clients do \
    (murmur2): what has the same key comes in the order in which it happened. Records of a \
    transaction that was not committed must not be read: `isolation.level=read_committed`. \
    Readers ignore fields and types of events that they do not know, and a field that is added \
    later may be missing. Money is a string of digits with a point, never a number. Each topic has \
    the same number of partitions; the one told here is what a new system has unless it is set. \
    The topics that keep the state of a service, whose names end in `-changelog`, are its own.";

const KAFKA_CHANNEL: &str = "0.5.0";
const KAFKA_MESSAGE: &str = "0.5.0";

pub(crate) fn document(described: &[Described], topologies: &[Topology]) -> Value {
    let channels: Map<String, Value> = topics::ALL
        .iter()
        .map(|config| {
            let topic = described.iter().find(|topic| topic.name == config.name);
            let channel = topic.map_or_else(dead_letters, channel);
            (config.name.to_string(), with_binding(channel, config))
        })
        .collect();
    let mut operations: Map<String, Value> = topologies.iter().flat_map(operations).collect();
    // Beside the topologies there is the read model, which orders-service keeps for its lists.
    operations.extend([operation(topics::ORDERS_SERVICE, "reads", topics::ORDERS.name())]);
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Order management: topics",
            "version": "1",
            "description": ABOUT,
            "license": { "name": "Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": { "schemas": { "EventHeaders": event_headers() } },
    })
}

fn channel(topic: &Described) -> Value {
    let messages: Map<String, Value> = topic
        .messages
        .iter()
        .map(|message| (message.name.to_owned(), told(topic, message)))
        .collect();
    json!({ "address": topic.name.as_str(), "description": topic.about, "messages": messages })
}

fn told(topic: &Described, message: &Message) -> Value {
    let mut told = json!({
        "name": message.name,
        "summary": message.about,
        "contentType": "application/json",
        "payload": { "$ref": schema_path(&message.body) },
        "bindings": { "kafka": { "key": topic.key, "bindingVersion": KAFKA_MESSAGE } },
    });
    if topic.event_types.is_some() {
        let its_type = json!({ "properties": { cloud_event::TYPE: { "const": message.name } } });
        told["headers"] =
            json!({ "allOf": [{ "$ref": "#/components/schemas/EventHeaders" }, its_type] });
    }
    told
}

/// Where the schema of a body lies, from the document.
pub(crate) fn schema_path(body: &str) -> String {
    format!("schemas/{body}.json")
}

fn with_binding(mut channel: Value, config: &TopicConfig) -> Value {
    let (policy, kept) = match config.retention {
        Retention::Forever => ("delete", "Records are kept for ever.".to_owned()),
        Retention::Compacted => {
            ("compact", "The newest record of each key is kept, and is what counts.".to_owned())
        }
        Retention::UntilConsumed { by } => {
            let readers = by.join(" and ");
            ("delete", format!("Records may be removed once {readers} took them, never by age."))
        }
    };
    let mut settings = json!({ "cleanup.policy": [policy] });
    if policy == "delete" {
        settings["retention.ms"] = json!(-1);
        settings["retention.bytes"] = json!(-1);
    }
    let about = channel["description"].as_str().unwrap_or_default();
    channel["description"] = json!(format!("{about} {kept}"));
    channel["bindings"] = json!({ "kafka": {
        "topic": config.name.as_str(),
        "partitions": Settings::parse_from(["quickstart"]).partitions,
        "topicConfiguration": settings,
        "bindingVersion": KAFKA_CHANNEL,
    }});
    channel
}

fn dead_letters() -> Value {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let headers = json!({
        "type": "object",
        "description": "The headers that it had, and these.",
        "properties": {
            dead_letter::TOPIC: text("The topic it was read from."),
            dead_letter::PARTITION: text("The partition it was read from."),
            dead_letter::OFFSET: text("Its offset there."),
            dead_letter::ERROR: text("Why it could not be read."),
        },
        "required": [
            dead_letter::TOPIC, dead_letter::PARTITION, dead_letter::OFFSET, dead_letter::ERROR,
        ],
    });
    let offset = "The offset of the letter in this partition.";
    let of_mark = json!({
        "type": "object",
        "properties": { dead_letter::REQUEUED: text(offset) },
        "required": [dead_letter::REQUEUED],
    });
    json!({
        "address": topics::DEAD_LETTERS.as_str(),
        "description": "Records that could not be read, with the key and the bytes that they had, \
            and marks of those that were put back.",
        "messages": {
            "DeadLetter": {
                "name": "DeadLetter",
                "summary": "A record that could not be read.",
                "contentType": "application/octet-stream",
                "headers": headers,
            },
            "Requeued": {
                "name": "Requeued",
                "summary": "The mark of a letter that was put back where it came from. No body.",
                "headers": of_mark,
            },
        },
    })
}

fn event_headers() -> Value {
    let text = |about: &str| json!({ "type": "string", "description": about });
    json!({
        "type": "object",
        "description": "CloudEvents 1.0 in Kafka's binary mode, and the W3C trace context.",
        "properties": {
            "ce_specversion": { "const": "1.0" },
            cloud_event::ID: text("The id of the event, unique within its source."),
            cloud_event::SOURCE: { "enum": topics::SERVICES, "description": "Who wrote it." },
            cloud_event::TYPE: text("What happened, or is asked for."),
            cloud_event::TIME: {
                "type": "string",
                "format": "date-time",
                "description": "When: RFC 3339, UTC, with milliseconds.",
            },
            "content-type": { "const": "application/json" },
            cloud_event::TRACE_PARENT: text("The trace that it belongs to, where it is known."),
            dead_letter::REQUEUED: text(
                "Of a copy that was put back because a service could not read the record: its \
                 offset at the first time. Whoever read it then passes over the copy.",
            ),
        },
        "required": [
            "ce_specversion", cloud_event::ID, cloud_event::SOURCE, cloud_event::TYPE,
            cloud_event::TIME, "content-type",
        ],
    })
}

/// What a service reads and writes. Requests it reads are written by its own HTTP routes.
fn operations(topology: &Topology) -> impl Iterator<Item = (String, Value)> {
    let service = topology.name();
    let read = topology.sources().chain(topology.tables());
    let written = topology.sinks().into_iter().chain(topology.request_sources());
    let written = written.chain([topology.dead_letters()]);
    let read = read.map(move |topic| operation(service, "reads", topic));
    read.chain(written.map(move |topic| operation(service, "writes", topic)))
}

fn operation(service: &str, verb: &str, topic: TopicName) -> (String, Value) {
    let action = if verb == "reads" { "receive" } else { "send" };
    let operation = json!({
        "action": action,
        "channel": { "$ref": format!("#/channels/{topic}") },
        "summary": format!("{service} {verb} {topic}."),
    });
    (format!("{service}-{verb}-{topic}"), operation)
}
