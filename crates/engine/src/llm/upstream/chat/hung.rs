//! Collects the provider data of an answer: fields that later requests send back with the answer. The chunks of a
//! field are joined, so that the field has the same form as in an answer without streaming.

use serde_json::{Map, Value, json};

use super::frame::Delta;

/// Fields of list items whose text arrives in chunks.
const PIECES: &[&str] = &["text", "summary", "data", "thinking"];

/// Maximum bytes of all texts and list items per answer.
const MAX_TEXT_BYTES: usize = 1024 * 1024;

#[derive(Default)]
pub(super) struct Hung {
    texts: Vec<(&'static str, String)>,
    lists: Vec<(&'static str, Vec<Value>)>,
    values: Map<String, Value>,
    bytes: usize,
}

impl Hung {
    /// Returns the reasoning in the chunk, which may be empty.
    pub(super) fn take<'d>(&mut self, delta: &'d Delta<'_>) -> &'d str {
        let texts = [
            ("reasoning_content", delta.reasoning_content.text()),
            ("reasoning", delta.reasoning.text()),
            ("reasoning_text", delta.reasoning_text.text()),
            ("thinking", delta.thinking.text()),
        ];
        let mut said = "";
        for (name, text) in texts {
            if !text.is_empty() {
                self.add_text(name, text);
                // Some servers send the same reasoning in two fields.
                said = if said.is_empty() { text } else { said };
            }
        }
        for (name, list) in [
            ("reasoning_details", &delta.reasoning_details),
            ("thinking_blocks", &delta.thinking_blocks),
        ] {
            for item in list.other().and_then(Value::as_array).into_iter().flatten() {
                let text = ["text", "summary", "thinking"]
                    .iter()
                    .find_map(|key| item[*key].as_str());
                said = if said.is_empty() {
                    text.unwrap_or_default()
                } else {
                    said
                };
                self.add_item(name, item);
            }
        }
        for (name, field) in [
            ("reasoning_opaque", &delta.reasoning_opaque),
            ("reasoning_signature", &delta.reasoning_signature),
            ("encrypted_content", &delta.encrypted_content),
        ] {
            if !field.text().is_empty() {
                self.values
                    .insert(name.to_owned(), Value::String(field.text().to_owned()));
            }
        }
        for (name, field) in [
            ("extra_content", &delta.extra_content),
            ("provider_specific_fields", &delta.provider_specific_fields),
        ] {
            if let Some(Value::Object(fields)) = field.other() {
                let known = self.values.entry(name).or_insert_with(|| json!({}));
                for (key, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                    known[key] = value.clone();
                }
            }
        }
        said
    }

    fn add_text(&mut self, name: &'static str, text: &str) {
        self.bytes += text.len();
        if self.bytes > MAX_TEXT_BYTES {
            return;
        }
        match self.texts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, whole)) => whole.push_str(text),
            None => self.texts.push((name, text.to_owned())),
        }
    }

    /// Adds an item to the list `name`, or merges it into an earlier item.
    fn add_item(&mut self, name: &'static str, item: &Value) {
        self.bytes += item.to_string().len();
        if self.bytes > MAX_TEXT_BYTES {
            return;
        }
        let position = self.lists.iter().position(|(known, _)| *known == name);
        let position = position.unwrap_or_else(|| {
            self.lists.push((name, Vec::new()));
            self.lists.len() - 1
        });
        let list = &mut self.lists[position].1;
        let Some(whole) = list.iter_mut().rev().find(|whole| continues(whole, item)) else {
            list.push(item.clone());
            return;
        };
        for (key, piece) in item.as_object().into_iter().flatten() {
            match (&mut whole[key], piece) {
                (_, Value::Null) => {}
                (Value::String(text), Value::String(piece)) if PIECES.contains(&key.as_str()) => text.push_str(piece),
                (known, piece) => *known = piece.clone(),
            }
        }
    }

    pub(super) fn into_fields(self) -> Map<String, Value> {
        let mut fields = self.values;
        for (name, text) in self.texts {
            fields.insert(name.to_owned(), Value::String(text));
        }
        for (name, list) in self.lists {
            fields.insert(name.to_owned(), Value::Array(list));
        }
        fields
    }
}

/// Returns whether `item` continues the earlier item `whole`: types and indexes are equal, and the id of `item` is
/// equal or missing. An item with a signature is continued only by an item with an index and without a signature.
fn continues(whole: &Value, item: &Value) -> bool {
    let is_signed = whole["signature"].is_string();
    whole.is_object()
        && item.is_object()
        && whole["type"] == item["type"]
        && whole["index"] == item["index"]
        && (whole["id"] == item["id"] || item["id"].is_null())
        && (!is_signed || (!item["index"].is_null() && item["signature"].is_null()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_reasoning_are_put_together() {
        let chunks = [
            json!({"reasoning": "a", "reasoning_details": [{"type": "reasoning.text", "text": "a", "index": 0}]}),
            json!({"reasoning": "b", "reasoning_details": [{"type": "reasoning.text", "text": "b", "index": 0}]}),
            json!({"reasoning_details": [{"type": "reasoning.text", "signature": "S", "index": 0}]}),
            json!({"reasoning_details": [{"type": "reasoning.encrypted", "data": "E", "index": 1}]}),
            json!({"thinking_blocks": [{"type": "thinking", "thinking": "x"}]}),
            json!({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "T"}]}),
            json!({"extra_content": {"google": {"thought_signature": "G"}}}),
        ];
        let mut hung = Hung::default();
        let said: Vec<String> = chunks
            .iter()
            .filter_map(|chunk| serde::Deserialize::deserialize(chunk).ok())
            .map(|delta: Delta<'_>| hung.take(&delta).to_owned())
            .collect();
        assert_eq!(said, ["a", "b", "", "", "x", "", ""]);
        let expected = json!({
            "reasoning": "ab",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "ab", "index": 0, "signature": "S"},
                {"type": "reasoning.encrypted", "data": "E", "index": 1},
            ],
            "thinking_blocks": [{"type": "thinking", "thinking": "x", "signature": "T"}],
            "extra_content": {"google": {"thought_signature": "G"}},
        });
        assert_eq!(Value::Object(hung.into_fields()), expected);
    }
}
