//! Converts JSON Schema to OpenAPI 3.0, for servers that do not support `parametersJsonSchema`.

use serde_json::{Map, Value, json};

/// JSON Schema keywords that Gemini also supports.
const KNOWN: &[&str] = &[
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "required",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
];

/// The only string formats that Gemini accepts.
const FORMATS: &[&str] = &["enum", "date-time"];

/// Converts a schema. Drops keywords without an equivalent.
pub(super) fn open_api(schema: &Value) -> Value {
    let Value::Object(fields) = schema else {
        return json!({});
    };
    let mut found = Map::new();
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                let properties: Map<String, Value> = properties
                    .iter()
                    .map(|(name, schema)| (name.clone(), open_api(schema)))
                    .collect();
                found.insert(key.clone(), Value::Object(properties));
            }
            ("items", _) => {
                found.insert(key.clone(), open_api(value));
            }
            ("anyOf" | "oneOf", Value::Array(schemas)) => {
                found.insert("anyOf".to_owned(), schemas.iter().map(open_api).collect());
            }
            ("type", Value::Array(types)) => add_types(types, &mut found),
            ("const", Value::String(_)) => {
                found.insert("enum".to_owned(), json!([value]));
            }
            ("format", Value::String(format))
                if fields.get("type").is_some_and(|name| name == "string") && !FORMATS.contains(&format.as_str()) => {}
            _ if KNOWN.contains(&key.as_str()) => {
                found.insert(key.clone(), value.clone());
            }
            _ => {}
        }
    }
    Value::Object(found)
}

/// Converts a list of types: `null` becomes `nullable`, and several other types become `anyOf`.
fn add_types(types: &[Value], found: &mut Map<String, Value>) {
    let mut real: Vec<&Value> = types.iter().filter(|name| *name != "null").collect();
    if real.len() < types.len() {
        found.insert("nullable".to_owned(), json!(true));
    }
    match (real.pop(), real.is_empty()) {
        (Some(only), true) => {
            found.insert("type".to_owned(), only.clone());
        }
        (Some(last), false) => {
            real.push(last);
            let schemas: Vec<Value> = real.into_iter().map(|name| json!({"type": name})).collect();
            found.insert("anyOf".to_owned(), Value::Array(schemas));
        }
        (None, _) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_keep_what_gemini_understands() {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "path": {"type": "string", "format": "uri", "description": "A path."},
                "mode": {"const": "fast"},
                "count": {"type": ["integer", "null"], "minimum": 0, "exclusiveMaximum": 9},
                "either": {"type": ["string", "integer"]},
                "list": {"type": "array", "items": {"type": "string", "default": "x"}},
                "any": {"oneOf": [{"type": "string"}, {"type": "boolean"}]},
                "free": true,
            },
            "required": ["path"],
        });
        assert_eq!(
            open_api(&schema),
            json!({
                "type": "object",
                "properties": {
                    "path": {"type": "string", "description": "A path."},
                    "mode": {"enum": ["fast"]},
                    "count": {"type": "integer", "nullable": true, "minimum": 0},
                    "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                    "list": {"type": "array", "items": {"type": "string"}},
                    "any": {"anyOf": [{"type": "string"}, {"type": "boolean"}]},
                    "free": {},
                },
                "required": ["path"],
            })
        );
    }
}
