//! Compiles JSON schemas that callers send, and explains how a value differs from a schema.
//!
//! Invariants: nothing is fetched, because references lead only to the schema itself. Every validation ends soon, because
//! only a bounded number of subschemas applies to the same value.

use std::collections::HashMap;

use jsonschema::{Validator, validator_for};
use serde_json::{Map, Value};

/// Maximum number of errors in a text about schema errors.
const MAX_MISTAKES: usize = 5;
/// Maximum size of one error in bytes.
const MAX_MISTAKE_BYTES: usize = 400;
/// Maximum number of subschemas that apply to the same value.
const MAX_APPLIED: u64 = 10_000;

/// Keywords whose value is a reference.
const REFERENCES: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];
/// Keywords whose subschemas apply to the same value as the schema.
const APPLIERS: [&str; 9] = [
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "dependencies",
];
/// Keywords that make the validator apply the subschemas a second time.
const REPEATERS: [&str; 2] = ["unevaluatedProperties", "unevaluatedItems"];
/// Keywords whose value is data and contains no schemas.
const DATA: [&str; 4] = ["const", "enum", "default", "examples"];

/// Compiles a schema.
///
/// # Errors
/// The reason why the schema is refused, as the end of a sentence that begins with the schema.
pub fn compile(schema: &Value) -> Result<Validator, String> {
    let mut references = References {
        root: schema,
        anchors: HashMap::new(),
        applied: HashMap::new(),
    };
    let mut schemas = Vec::new();
    references.collect(schema, &mut schemas)?;
    for schema in schemas {
        if references.applied(schema)? > MAX_APPLIED {
            return Err("applies too many subschemas to one value".to_owned());
        }
    }
    validator_for(schema).map_err(|mistake| format!("is not a valid JSON schema: {}", short(&mistake.to_string())))
}

/// Checks a value.
///
/// # Errors
/// Up to five schema errors as text, each with its place in the value.
pub fn check(validator: &Validator, value: &Value) -> Result<(), String> {
    let mistakes: Vec<String> = validator
        .iter_errors(value)
        .take(MAX_MISTAKES)
        .map(|mistake| match mistake.instance_path.to_string() {
            path if path.is_empty() => short(&mistake.to_string()),
            path => format!("{}: {}", short(&path), short(&mistake.to_string())),
        })
        .collect();
    if mistakes.is_empty() {
        Ok(())
    } else {
        Err(mistakes.join("; "))
    }
}

/// Cuts an error, which can quote the whole value.
fn short(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_MISTAKE_BYTES);
    if end < text.len() {
        format!("{}…", &text[..end])
    } else {
        text.to_owned()
    }
}

/// The references of a schema.
struct References<'s> {
    root: &'s Value,
    anchors: HashMap<&'s str, Vec<&'s Value>>,
    /// Number of subschemas that apply to the same value, by the address of the schema. `None` while it is counted.
    applied: HashMap<*const Value, Option<u64>>,
}

impl<'s> References<'s> {
    /// Collects the objects in the schema and its anchors. Refuses references to other documents.
    fn collect(&mut self, value: &'s Value, schemas: &mut Vec<&'s Value>) -> Result<(), String> {
        let fields = match value {
            Value::Array(items) => return items.iter().try_for_each(|item| self.collect(item, schemas)),
            Value::Object(fields) => fields,
            _ => return Ok(()),
        };
        schemas.push(value);
        for keyword in REFERENCES {
            if let Some(target) = fields.get(keyword).and_then(Value::as_str)
                && !target.starts_with('#')
            {
                let target = short(target);
                return Err(format!("refers to {target:?}; a reference must begin with \"#\""));
            }
        }
        let has_id = ["$id", "id"]
            .iter()
            .any(|keyword| fields.get(*keyword).is_some_and(Value::is_string));
        if has_id && !std::ptr::eq(value, self.root) {
            return Err("contains another schema with its own \"$id\"".to_owned());
        }
        for keyword in ["$anchor", "$dynamicAnchor"] {
            if let Some(name) = fields.get(keyword).and_then(Value::as_str) {
                self.anchors.entry(name).or_default().push(value);
            }
        }
        let others = fields.iter().filter(|(keyword, _)| !DATA.contains(&keyword.as_str()));
        others
            .map(|(_, inner)| inner)
            .try_for_each(|inner| self.collect(inner, schemas))
    }

    fn applied(&mut self, schema: &'s Value) -> Result<u64, String> {
        let Value::Object(fields) = schema else { return Ok(1) };
        match self.applied.insert(schema, None) {
            Some(Some(known)) => {
                self.applied.insert(schema, Some(known));
                return Ok(known);
            }
            Some(None) => return Err("refers to itself without end".to_owned()),
            None => {}
        }
        let mut count = 0_u64;
        for inner in self.targets(fields) {
            count = count.saturating_add(self.applied(inner)?);
        }
        if REPEATERS.iter().any(|keyword| fields.contains_key(*keyword)) {
            count = count.saturating_mul(2);
        }
        count = count.saturating_add(1);
        self.applied.insert(schema, Some(count));
        Ok(count)
    }

    /// Returns the subschemas that apply to the same value.
    fn targets(&self, fields: &'s Map<String, Value>) -> Vec<&'s Value> {
        let references = REFERENCES
            .iter()
            .filter_map(|keyword| fields.get(*keyword).and_then(Value::as_str))
            .flat_map(|target| self.resolve(target));
        let mut targets: Vec<&Value> = references.collect();
        for (keyword, value) in APPLIERS
            .iter()
            .filter_map(|keyword| Some((keyword, fields.get(*keyword)?)))
        {
            match value {
                Value::Array(items) => targets.extend(items),
                Value::Object(schemas) if keyword.starts_with("depend") => targets.extend(schemas.values()),
                value => targets.push(value),
            }
        }
        targets
    }

    fn resolve(&self, target: &str) -> Vec<&'s Value> {
        let Some(place) = target.strip_prefix('#') else {
            return Vec::new();
        };
        if place.is_empty() || place.starts_with('/') {
            return self.root.pointer(&percent_decoded(place)).into_iter().collect();
        }
        self.anchors.get(place).cloned().unwrap_or_default()
    }
}

/// Decodes `%XX` in the fragment of a URI. An invalid escape stays.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escape = after.get(..2).filter(|_| *first == b'%');
        let decoded = escape
            .and_then(|escape| std::str::from_utf8(escape).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schemas_with_references_into_themselves_compile() {
        let tree = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {"root": {"$ref": "#/$defs/a%20node"}, "$id": {"type": "string"}},
            "$defs": {"a node": {
                "type": "object",
                "properties": {"next": {"anyOf": [{"$ref": "#/$defs/a%20node"}, {"type": "null"}]}},
                "required": ["next"],
            }},
        });
        let validator = compile(&tree);
        let validator = validator.as_ref().map_err(String::as_str);
        assert!(validator.is_ok(), "{:?}", validator.err());
        let check = |value: &Value| validator.map(|validator| check(validator, value));
        assert_eq!(check(&json!({"root": {"next": {"next": null}}})), Ok(Ok(())));
        let wrong = check(&json!({"root": {"next": {"other": null}}}));
        assert!(
            matches!(&wrong, Ok(Err(mistakes)) if mistakes.starts_with("/root/next: ")),
            "{wrong:?}"
        );
    }

    #[test]
    fn endless_and_remote_references_are_refused() {
        let chain = |next: fn(usize) -> Value| {
            let schemas: Map<String, Value> = (0..40).map(|number| (format!("s{number}"), next(number + 1))).collect();
            json!({"type": "object", "$ref": "#/$defs/s0", "$defs": schemas})
        };
        for (schema, reason) in [
            (json!({"type": "object", "$ref": "#"}), "without end"),
            (
                json!({"type": "object", "allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#/$defs/a"}}}}),
                "without end",
            ),
            (
                json!({"type": "object", "$anchor": "here", "anyOf": [{"$ref": "#here"}]}),
                "without end",
            ),
            (
                chain(|next| {
                    let reference = json!({"$ref": format!("#/$defs/s{next}")});
                    json!({"anyOf": [reference, reference]})
                }),
                "too many subschemas",
            ),
            (json!({"$ref": "https://example.com/schema.json"}), "must begin with"),
            (
                json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}}),
                "must begin with",
            ),
            (
                json!({"properties": {"a": {"$id": "https://example.com/a"}}}),
                "\"$id\"",
            ),
            (json!({"$ref": "#/$defs/missing"}), "not a valid JSON schema"),
            (json!({"type": "objekt"}), "not a valid JSON schema"),
            (
                json!({"$schema": "https://example.com/own", "type": "object"}),
                "not a valid JSON schema",
            ),
        ] {
            let refused = compile(&schema).err();
            assert!(
                refused.as_ref().is_some_and(|text| text.contains(reason)),
                "{schema}: {refused:?}"
            );
        }
        let harmless = chain(|next| {
            let reference = json!({"$ref": format!("#/$defs/s{}", next.min(39))});
            if next == 40 {
                json!({"type": "object"})
            } else {
                json!({"allOf": [reference]})
            }
        });
        assert_eq!(compile(&harmless).err(), None);
    }
}
