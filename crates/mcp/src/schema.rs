//! Adapts the argument schemas of tools to model providers.
//!
//! Providers require an object with properties, and refuse `$defs`, `$ref` and top-level `anyOf`. Therefore
//! definitions replace references, and top-level alternatives become one object. An adapted schema permits at least
//! the arguments of the original; the server itself checks the arguments. Invariant: references are never fetched.

use serde_json::{Map, Value, json};

/// Maximum bytes of an adapted schema. A larger schema becomes "any object".
const MAX_BYTES: usize = 64 * 1024;
/// Maximum depth of nested schemas and references.
const MAX_DEPTH: usize = 32;
/// Maximum number of visited schemas. A few definitions can expand to a huge schema.
const MAX_NODES: usize = 10_000;

/// Top-level keywords that providers refuse.
const DROPPED_AT_TOP: [&str; 15] = [
    "$schema",
    "$id",
    "$anchor",
    "$comment",
    "$defs",
    "definitions",
    "anyOf",
    "oneOf",
    "allOf",
    "not",
    "if",
    "then",
    "else",
    "enum",
    "const",
];

/// Returns a schema for model providers that permits all arguments that `schema` permits.
pub fn adapted(schema: &Map<String, Value>) -> Value {
    let root = Value::Object(schema.clone());
    let mut resolver = Resolver { root: &root, nodes: 0 };
    let Value::Object(whole) = resolver.resolved(&root, 0) else {
        return any_object(schema);
    };
    let mut object = flat(whole, 0);
    object.insert("type".to_owned(), json!("object"));
    if !object.get("properties").is_some_and(Value::is_object) {
        object.insert("properties".to_owned(), json!({}));
    }
    let adapted = Value::Object(object);
    if resolver.nodes > MAX_NODES || adapted.to_string().len() > MAX_BYTES {
        return any_object(schema);
    }
    adapted
}

fn any_object(schema: &Map<String, Value>) -> Value {
    let mut object = json!({"type": "object", "properties": {}, "additionalProperties": true});
    if let Some(Value::String(description)) = schema.get("description")
        && description.len() < MAX_BYTES
    {
        object["description"] = json!(description);
    }
    object
}

struct Resolver<'a> {
    root: &'a Value,
    nodes: usize,
}

impl<'a> Resolver<'a> {
    /// Replaces references. An external, unknown or recursive reference becomes "any value".
    fn resolved(&mut self, schema: &Value, depth: usize) -> Value {
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return json!({});
        }
        match schema {
            Value::Object(object) => self.resolved_object(object, depth),
            Value::Array(list) => Value::Array(list.iter().map(|item| self.resolved(item, depth + 1)).collect()),
            value => value.clone(),
        }
    }

    fn resolved_object(&mut self, object: &Map<String, Value>, depth: usize) -> Value {
        let mut whole: Map<String, Value> = Map::new();
        if let Some(Value::String(reference)) = object.get("$ref")
            && let Some(target) = self.target(reference)
            && let Value::Object(target) = self.resolved(target, depth + 1)
        {
            whole.extend(target);
        }
        for (key, value) in object {
            let value = match key.as_str() {
                "$ref" | "$dynamicRef" => continue,
                "$defs" | "definitions" if depth == 0 => continue,
                // The values of these keywords are not schemas.
                "default" | "const" | "enum" | "examples" | "required" => value.clone(),
                _ => self.resolved(value, depth + 1),
            };
            whole.insert(key.clone(), value);
        }
        Value::Object(whole)
    }

    fn target(&self, reference: &str) -> Option<&'a Value> {
        let pointer = reference.strip_prefix('#')?;
        self.root.pointer(pointer)
    }
}

/// Merges the schemas in `allOf`, `anyOf` and `oneOf` into the object that contains these keywords.
fn flat(mut object: Map<String, Value>, depth: usize) -> Map<String, Value> {
    let mut properties = taken_object(&mut object, "properties");
    let mut required = taken_names(&mut object, "required");
    let mut is_open = false;
    for key in ["allOf", "anyOf", "oneOf"] {
        let Some(Value::Array(parts)) = object.remove(key) else {
            continue;
        };
        if depth >= MAX_DEPTH {
            continue;
        }
        let parts: Vec<_> = parts
            .into_iter()
            .filter_map(into_object)
            .map(|part| flat(part, depth + 1))
            .collect();
        let needs: Vec<Vec<String>> = parts.iter().map(|part| names(part.get("required"))).collect();
        let common = |name: &String| needs.iter().all(|names| names.contains(name));
        let all = needs
            .iter()
            .flatten()
            .filter(|name| key == "allOf" || common(name))
            .cloned();
        required.extend(all);
        for mut part in parts {
            is_open |= part
                .get("additionalProperties")
                .is_some_and(|more| *more != Value::Bool(false));
            for (name, schema) in taken_object(&mut part, "properties") {
                match properties.get_mut(&name) {
                    None => {
                        properties.insert(name, schema);
                    }
                    Some(known) if *known == schema || key == "allOf" => {}
                    Some(known) => *known = either(known.take(), schema),
                }
            }
        }
        // A merged schema may permit properties that the object itself forbids.
        if object.get("additionalProperties") == Some(&Value::Bool(false)) && is_open {
            object.remove("additionalProperties");
        }
    }
    for key in DROPPED_AT_TOP {
        object.remove(key);
    }
    required.retain(|name| properties.contains_key(name));
    required.sort();
    required.dedup();
    object.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        object.insert("required".to_owned(), json!(required));
    }
    object
}

fn either(one: Value, other: Value) -> Value {
    match one {
        Value::Object(mut object) if object.len() == 1 && object.get("anyOf").is_some_and(Value::is_array) => {
            if let Some(Value::Array(list)) = object.get_mut("anyOf")
                && !list.contains(&other)
            {
                list.push(other);
            }
            Value::Object(object)
        }
        one => json!({"anyOf": [one, other]}),
    }
}

fn into_object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(object) => Some(object),
        _ => None,
    }
}

fn taken_object(object: &mut Map<String, Value>, key: &str) -> Map<String, Value> {
    object.remove(key).and_then(into_object).unwrap_or_default()
}

fn taken_names(object: &mut Map<String, Value>, key: &str) -> Vec<String> {
    names(object.remove(key).as_ref())
}

fn names(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapt(schema: Value) -> Value {
        adapted(&into_object(schema).unwrap_or_default())
    }

    #[test]
    fn references_are_replaced_by_what_they_name() {
        let adapted = adapt(json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": {"City": {"type": "string", "description": "A city."}},
            "properties": {"city": {"$ref": "#/$defs/City"}, "more": {"type": "array", "items": {"$ref": "#/$defs/City"}}},
            "required": ["city"]
        }));
        let city = json!({"type": "string", "description": "A city."});
        assert_eq!(
            adapted,
            json!({"type": "object", "properties": {"city": city, "more": {"type": "array", "items": city}}, "required": ["city"]})
        );
    }

    #[test]
    fn recursive_and_external_references_become_any_value() {
        let adapted = adapt(json!({
            "type": "object",
            "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
            "properties": {"list": {"$ref": "#/$defs/Node"}, "far": {"$ref": "https://attacker.example/schema.json"}}
        }));
        assert_eq!(adapted["properties"]["far"], json!({}));
        assert!(!adapted.to_string().contains("$ref"), "{adapted}");
        // Each definition names the next one four times, so 30 levels expand to 4^30 schemas.
        let mut definitions = Map::new();
        for level in 0..30 {
            let next = json!({"$ref": format!("#/$defs/L{}", level + 1)});
            definitions.insert(
                format!("L{level}"),
                json!({"properties": {"a": next, "b": next, "c": next, "d": next}}),
            );
        }
        let bomb = adapt(json!({"type": "object", "$defs": definitions, "properties": {"x": {"$ref": "#/$defs/L0"}}}));
        assert_eq!(
            bomb,
            json!({"type": "object", "properties": {}, "additionalProperties": true})
        );
    }

    #[test]
    fn alternatives_at_the_top_are_merged() {
        let adapted = adapt(json!({
            "anyOf": [
                {"type": "object", "properties": {"id": {"type": "integer"}, "at": {"type": "string"}}, "required": ["id", "at"]},
                {"type": "object", "properties": {"name": {"type": "string"}, "at": {"type": "number"}}, "required": ["name", "at"]}
            ],
            "properties": {"verbose": {"type": "boolean"}}
        }));
        assert_eq!(adapted["type"], "object");
        assert_eq!(adapted["required"], json!(["at"]));
        assert_eq!(
            adapted["properties"],
            json!({
                "verbose": {"type": "boolean"}, "id": {"type": "integer"}, "name": {"type": "string"},
                "at": {"anyOf": [{"type": "string"}, {"type": "number"}]}
            })
        );
        assert!(adapted.get("anyOf").is_none());
    }

    #[test]
    fn an_empty_schema_becomes_an_object_without_properties() {
        assert_eq!(adapt(json!({})), json!({"type": "object", "properties": {}}));
        assert_eq!(
            adapt(json!({"type": "object", "properties": null})),
            json!({"type": "object", "properties": {}})
        );
    }
}
