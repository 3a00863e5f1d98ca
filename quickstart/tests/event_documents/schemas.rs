//! JSON Schemas of Rust types, each whole in itself.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Where schemas point to each other as the types give them, and where in a schema of its own.
const AMONG_ROUTES: &str = "#/components/schemas/";
const WITHIN: &str = "#/$defs/";

/// The schema of a type, with those of all types in it.
pub(crate) fn schema_of<T: ToSchema>() -> Value {
    let mut schema = within(json!(T::schema()));
    let mut parts = Vec::new();
    T::schemas(&mut parts);
    let parts: Map<String, Value> =
        parts.into_iter().map(|(name, part)| (name, within(json!(part)))).collect();
    if !parts.is_empty() {
        schema["$defs"] = Value::Object(parts);
    }
    schema
}

/// The same as a file of its own.
pub(crate) fn document(name: &str, schema: &Value) -> Value {
    let mut document = schema.clone();
    document["$schema"] = json!(DIALECT);
    document["title"] = json!(name);
    document
}

fn within(schema: Value) -> Value {
    match schema {
        Value::String(text) => match text.strip_prefix(AMONG_ROUTES) {
            Some(name) => json!(format!("{WITHIN}{name}")),
            None => Value::String(text),
        },
        Value::Array(items) => items.into_iter().map(within).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, within(value))).collect()
        }
        other => other,
    }
}
