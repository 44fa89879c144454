//! Converts JSON objects to `google.protobuf.Struct`.

use prost_types::{ListValue, Struct, Value, value::Kind};
use serde_json::{Map, Value as Json};

/// Maximum nesting depth of a JSON object. Protobuf readers accept 100 nested messages, and a Struct needs three per
/// JSON level. 24 levels need 72 messages, which leaves 28 for the messages around the Struct.
const MAX_DEPTH: usize = 24;

/// Converts a JSON object. Returns `None` for other values and for objects that are nested too deeply. Replaces NUL
/// characters, because PostgreSQL cannot store them.
pub fn object(json: &Json) -> Option<Struct> {
    match json {
        Json::Object(fields) if depth(json) <= MAX_DEPTH => Some(convert(fields)),
        _ => None,
    }
}

/// Parses a JSON text and converts it with [`object`]. Returns `None` if either step fails.
pub fn parse_object(text: &str) -> Option<Struct> {
    object(&serde_json::from_str(text).ok()?)
}

/// Converts a Struct to a JSON object. A Struct stores every number as a double; whole numbers become JSON integers.
pub fn to_json(object: &Struct) -> Json {
    let fields = object.fields.iter();
    Json::Object(
        fields
            .map(|(name, value)| (name.clone(), value_to_json(value)))
            .collect(),
    )
}

fn value_to_json(value: &Value) -> Json {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(truth)) => Json::Bool(*truth),
        Some(Kind::NumberValue(number)) => number_to_json(*number),
        Some(Kind::StringValue(text)) => Json::String(text.clone()),
        Some(Kind::ListValue(list)) => Json::Array(list.values.iter().map(value_to_json).collect()),
        Some(Kind::StructValue(object)) => to_json(object),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the number is whole and within the range"
)]
fn number_to_json(number: f64) -> Json {
    /// 2^53: up to this number, a double represents every whole number.
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= LARGEST {
        Json::from(number as i64)
    } else {
        Json::from(number)
    }
}

/// Replaces NUL characters with U+FFFD.
pub fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn depth(json: &Json) -> usize {
    match json {
        Json::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Json::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn convert(fields: &Map<String, Json>) -> Struct {
    Struct {
        fields: fields
            .iter()
            .map(|(name, json)| (without_nul(name), value(json)))
            .collect(),
    }
}

fn value(json: &Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(truth) => Kind::BoolValue(*truth),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Json::String(text) => Kind::StringValue(without_nul(text)),
        Json::Array(items) => Kind::ListValue(ListValue {
            values: items.iter().map(value).collect(),
        }),
        Json::Object(fields) => Kind::StructValue(convert(fields)),
    };
    Value { kind: Some(kind) }
}
