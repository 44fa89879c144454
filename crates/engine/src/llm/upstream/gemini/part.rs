//! A part of a message, parsed without intermediate JSON values for speed.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value};

use super::super::word::Word;

/// A part of a message. Field names may be camelCase or snake_case, which some gateways use.
#[derive(Default)]
pub(super) struct Part {
    /// Text of the answer or of a thought.
    pub(super) text: Option<String>,
    /// True if the part is reasoning.
    pub(super) is_thought: bool,
    /// Signature to send back to the provider.
    pub(super) signature: Option<String>,
    /// A tool call (`functionCall`).
    pub(super) call: Option<Value>,
    /// All other fields.
    pub(super) rest: Map<String, Value>,
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PartVisitor)
    }
}

struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a part")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part, A::Error> {
        let mut part = Part::default();
        while let Some(key) = map.next_key::<Word<'de>>()? {
            match &*key {
                "text" => part.text = map.next_value()?,
                "thought" => part.is_thought = map.next_value::<Option<bool>>()?.unwrap_or_default(),
                "thoughtSignature" | "thought_signature" => part.signature = map.next_value()?,
                "functionCall" | "function_call" => part.call = map.next_value()?,
                _ => {
                    let value: Value = map.next_value()?;
                    if !value.is_null() {
                        part.rest.insert(key.to_owned(), value);
                    }
                }
            }
        }
        Ok(part)
    }
}

impl Part {
    pub(super) fn is_text(&self) -> bool {
        self.call.is_none() && self.is_plain()
    }

    /// Returns whether a `ChatMessage` can hold the whole part. Other parts are kept as provider data.
    pub(super) fn is_plain(&self) -> bool {
        let has_id = self.call.as_ref().is_some_and(|call| call["id"].is_string());
        self.signature.is_none() && self.rest.is_empty() && !has_id
    }

    /// Returns the part to send back; `None` for empty parts and for thoughts without a signature.
    pub(super) fn into_carried(self) -> Option<Value> {
        let is_for_people = self.is_thought && self.signature.is_none();
        let is_empty = self.signature.is_none() && self.text.as_ref().is_none_or(String::is_empty);
        if is_for_people || (is_empty && self.call.is_none() && self.rest.is_empty()) {
            return None;
        }
        let mut fields = self.rest;
        if let Some(text) = self.text {
            fields.insert("text".to_owned(), Value::String(text));
        }
        if self.is_thought {
            fields.insert("thought".to_owned(), Value::Bool(true));
        }
        if let Some(call) = self.call {
            fields.insert("functionCall".to_owned(), call);
        }
        if let Some(signature) = self.signature {
            fields.insert("thoughtSignature".to_owned(), Value::String(signature));
        }
        Some(Value::Object(fields))
    }
}
