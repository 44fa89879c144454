//! JSON values as `google.protobuf.Struct`.

use prost_types::{ListValue, Struct, Value, value::Kind};

/// The object that a JSON text is; nothing when it is none.
pub(super) fn object(text: &str) -> Option<Struct> {
    match serde_json::from_str(text) {
        Ok(serde_json::Value::Object(object)) => Some(convert(object)),
        _ => None,
    }
}

fn convert(object: serde_json::Map<String, serde_json::Value>) -> Struct {
    Struct {
        fields: object.into_iter().map(|(name, json)| (name, value(json))).collect(),
    }
}

fn value(json: serde_json::Value) -> Value {
    let kind = match json {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(truth) => Kind::BoolValue(truth),
        serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        serde_json::Value::String(text) => Kind::StringValue(text),
        serde_json::Value::Array(values) => Kind::ListValue(ListValue {
            values: values.into_iter().map(value).collect(),
        }),
        serde_json::Value::Object(object) => Kind::StructValue(convert(object)),
    };
    Value { kind: Some(kind) }
}
