//! Adapts output schemas to the rules of providers. Runyard validates the answer with the original schema.

use serde_json::{Map, Value, json};

/// Name of the output in requests.
pub(super) const NAME: &str = "output";

/// Keywords that OpenAI permits in a strict schema.
const STRICT: &[&str] = &[
    "$schema",
    "$defs",
    "definitions",
    "$ref",
    "type",
    "title",
    "description",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "anyOf",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
];

/// Keywords that Anthropic permits.
const CLOSED: &[&str] = &[
    "$ref",
    "type",
    "title",
    "description",
    "required",
    "enum",
    "const",
    "default",
];

/// String formats that OpenAI and Anthropic permit.
const FORMATS: &[&str] = &[
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "uuid",
];

/// Returns whether a schema satisfies OpenAI's rules for strict schemas: each object requires all its properties and
/// permits no others.
pub(super) fn is_strict(schema: &Value) -> bool {
    schema.get("anyOf").is_none() && schema.get("$ref").is_none() && is_strict_part(schema)
}

fn is_strict_part(schema: &Value) -> bool {
    let Value::Object(fields) = schema else { return false };
    let is_object = fields.contains_key("properties") || names_type(fields, "object");
    fields.iter().all(|(keyword, value)| match (keyword.as_str(), value) {
        ("properties" | "$defs" | "definitions", Value::Object(parts)) => parts.values().all(is_strict_part),
        ("anyOf", Value::Array(parts)) => parts.iter().all(is_strict_part),
        ("items", part) => is_strict_part(part),
        ("format", Value::String(format)) => FORMATS.contains(&format.as_str()),
        (keyword, _) => STRICT.contains(&keyword),
    }) && (!is_object || requires_all(fields))
}

fn requires_all(fields: &Map<String, Value>) -> bool {
    let is_required = |name: &String| {
        let required = fields.get("required").and_then(Value::as_array);
        required.is_some_and(|required| required.iter().any(|other| other == name))
    };
    let properties = fields.get("properties").and_then(Value::as_object);
    fields.get("additionalProperties") == Some(&Value::Bool(false))
        && properties.is_none_or(|properties| properties.keys().all(is_required))
}

/// Returns the schema without keywords that Anthropic refuses. Each object permits only its own properties. Returns
/// `None` if an object must permit others.
pub(super) fn closed(schema: &Value) -> Option<Value> {
    let Value::Object(fields) = schema else { return None };
    let mut found = Map::new();
    for (keyword, value) in fields {
        match (keyword.as_str(), value) {
            ("properties" | "$defs" | "definitions", Value::Object(parts)) => {
                let parts = parts.iter().map(|(name, part)| Some((name.clone(), closed(part)?)));
                found.insert(keyword.clone(), Value::Object(parts.collect::<Option<_>>()?));
            }
            ("anyOf" | "oneOf", Value::Array(parts)) => {
                let parts: Option<Vec<Value>> = parts.iter().map(closed).collect();
                found.insert("anyOf".to_owned(), Value::Array(parts?));
            }
            ("allOf", Value::Array(parts)) => {
                let parts: Option<Vec<Value>> = parts.iter().map(closed).collect();
                found.insert("allOf".to_owned(), Value::Array(parts?));
            }
            ("items", part) => {
                found.insert(keyword.clone(), closed(part)?);
            }
            ("format", Value::String(format)) if FORMATS.contains(&format.as_str()) => {
                found.insert(keyword.clone(), value.clone());
            }
            ("patternProperties", _) => return None,
            ("additionalProperties", value) if *value != Value::Bool(false) => return None,
            (keyword, value) if CLOSED.contains(&keyword) => {
                found.insert(keyword.to_owned(), value.clone());
            }
            _ => {}
        }
    }
    if found.contains_key("properties") {
        found.insert("additionalProperties".to_owned(), json!(false));
    } else if names_type(fields, "object") {
        return None;
    }
    Some(Value::Object(found))
}

/// Returns whether the keyword `type` is or contains a name.
fn names_type(fields: &Map<String, Value>, name: &str) -> bool {
    match fields.get("type") {
        Some(Value::String(kind)) => kind == name,
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == name),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_schemas_that_require_everything_and_permit_nothing_else_are_strict() {
        let item = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
        let with = |keyword: &str, value: Value| {
            let mut changed = item.clone();
            changed[keyword] = value;
            changed
        };
        for (schema, expected) in [
            (item.clone(), true),
            (with("properties", json!({"a": {"type": "array", "items": item}})), true),
            (with("properties", json!({"a": {"$ref": "#/$defs/b"}})), true),
            (with("$defs", json!({"b": {"type": "object"}})), false),
            (with("required", json!([])), false),
            (with("additionalProperties", json!(true)), false),
            (with("properties", json!({"a": {"type": ["object", "null"]}})), false),
            (
                with("properties", json!({"a": {"type": "string", "format": "date"}})),
                true,
            ),
            (
                with("properties", json!({"a": {"type": "string", "format": "color"}})),
                false,
            ),
            (with("properties", json!({"a": {"allOf": []}})), false),
            (with("anyOf", json!([{"type": "string"}])), false),
        ] {
            assert_eq!(is_strict(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn closed_schemas_keep_what_anthropic_permits() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {
                "total": {"type": "number", "minimum": 0, "description": "The sum."},
                "day": {"type": "string", "format": "date", "minLength": 1},
                "lines": {"type": "array", "items": {"oneOf": [{"$ref": "#/$defs/line"}, {"type": "null"}]}, "maxItems": 9},
            },
            "required": ["total"],
            "$defs": {"line": {"type": "object", "properties": {"text": {"type": "string"}}}},
        });
        let expected = json!({
            "type": "object",
            "properties": {
                "total": {"type": "number", "description": "The sum."},
                "day": {"type": "string", "format": "date"},
                "lines": {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/line"}, {"type": "null"}]}},
            },
            "required": ["total"],
            "additionalProperties": false,
            "$defs": {"line": {
                "type": "object", "properties": {"text": {"type": "string"}}, "additionalProperties": false,
            }},
        });
        assert_eq!(closed(&schema), Some(expected));
        for open in [
            json!({"type": "object"}),
            json!({"type": "object", "properties": {}, "additionalProperties": {"type": "string"}}),
            json!({"type": "object", "properties": {"a": {"type": "object", "patternProperties": {"^a": {}}}}}),
            json!({"type": "object", "properties": {"a": true}}),
        ] {
            assert_eq!(closed(&open), None, "{open}");
        }
    }
}
