//! Builds an object that matches a JSON schema, for the output of the demo model. Strings contain the names of their
//! properties.

use serde_json::{Map, Value, json};

/// Maximum depth of the object. Optional properties end at half of it, because a schema can refer to itself.
const MAX_DEPTH: usize = 12;
/// Maximum number of elements of a list, and of characters that a string gets to reach its minimum length.
const MAX_LENGTH: u64 = 100;

/// Returns an object for a schema. It may not match a schema with rules such as `pattern`.
pub(super) fn object(schema: &Value) -> Value {
    Sampler { root: schema }.value(schema, "value", MAX_DEPTH)
}

struct Sampler<'s> {
    root: &'s Value,
}

impl Sampler<'_> {
    fn value(&self, schema: &Value, name: &str, depth: usize) -> Value {
        let Some(below) = depth.checked_sub(1) else {
            return Value::Null;
        };
        let first = |keyword: &str| schema.get(keyword)?.as_array()?.first();
        if let Some(given) = schema
            .get("const")
            .or_else(|| first("enum"))
            .or_else(|| first("examples"))
        {
            return given.clone();
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let found = target.strip_prefix('#').and_then(|place| self.root.pointer(place));
            return found.map_or(Value::Null, |found| self.value(found, name, below));
        }
        if let Some(choice) = first("anyOf").or_else(|| first("oneOf")).or_else(|| first("allOf")) {
            return self.value(choice, name, below);
        }
        let kind = match schema.get("type") {
            Some(Value::Array(kinds)) => kinds.first(),
            kind => kind,
        };
        match kind.and_then(Value::as_str) {
            Some("object") => self.fields(schema, depth),
            Some("array") => {
                let count = limit(schema, "minItems").unwrap_or(0).min(MAX_LENGTH);
                let items = schema.get("items").unwrap_or(&Value::Null);
                (0..count).map(|_| self.value(items, name, below)).collect()
            }
            Some("integer" | "number") => number(schema),
            Some("boolean") => json!(false),
            Some("null") => Value::Null,
            _ if schema.get("properties").is_some() => self.fields(schema, depth),
            _ => json!(text(schema, name)),
        }
    }

    fn fields(&self, schema: &Value, depth: usize) -> Value {
        let required = schema.get("required").and_then(Value::as_array);
        let is_required = |name: &str| required.is_some_and(|required| required.iter().any(|other| other == name));
        let properties = schema.get("properties").and_then(Value::as_object);
        let shown = properties
            .into_iter()
            .flatten()
            .filter(|(name, _)| depth > MAX_DEPTH / 2 || is_required(name))
            .map(|(name, part)| (name.clone(), self.value(part, name, depth - 1)));
        Value::Object(shown.collect::<Map<_, _>>())
    }
}

fn limit(schema: &Value, keyword: &str) -> Option<u64> {
    schema.get(keyword)?.as_u64()
}

/// Returns the number of the permitted range that is closest to zero.
fn number(schema: &Value) -> Value {
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_i64);
    let low = bound("minimum").or_else(|| bound("exclusiveMinimum").map(|low| low.saturating_add(1)));
    let high = bound("maximum").or_else(|| bound("exclusiveMaximum").map(|high| high.saturating_sub(1)));
    json!(0.max(low.unwrap_or(0)).min(high.unwrap_or(i64::MAX)))
}

fn text(schema: &Value, name: &str) -> String {
    let plain = match schema.get("format").and_then(Value::as_str) {
        Some("date") => "2026-01-01",
        Some("time") => "00:00:00Z",
        Some("date-time") => "2026-01-01T00:00:00Z",
        Some("email") => "demo@example.com",
        Some("uri") => "https://example.com",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        _ => name,
    };
    let least = limit(schema, "minLength").unwrap_or(0).min(MAX_LENGTH);
    let most = limit(schema, "maxLength").unwrap_or(u64::MAX);
    let size = |length: u64| usize::try_from(length).unwrap_or(usize::MAX);
    let mut text: String = plain.chars().take(size(most)).collect();
    while text.chars().count() < size(least) {
        text.push('.');
    }
    text
}
