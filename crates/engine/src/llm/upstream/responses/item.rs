//! Output items of an answer, assembled from stream events.

use serde_json::{Map, Value, json};

use super::super::{
    held::{Arguments, call_id},
    turns::object_text,
};
use crate::llm::ToolRequest;

pub(super) const MESSAGE: &str = "message";

pub(super) const CALL: &str = "function_call";

pub(super) const REASONING: &str = "reasoning";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    Call,
    Reasoning,
    /// Any other item, such as a web search by the provider.
    Other,
}

impl Kind {
    pub(super) fn of(name: Option<&str>) -> Self {
        match name {
            Some(MESSAGE) => Self::Message,
            Some(CALL) => Self::Call,
            Some(REASONING) => Self::Reasoning,
            _ => Self::Other,
        }
    }
}

pub(super) struct Item {
    pub(super) kind: Kind,
    /// `None` until an event of the item has an index.
    pub(super) index: Option<u64>,
    /// Empty until an event of the item has an id.
    pub(super) id: String,
    /// Indexes of content parts whose text is already in the output. Reasoning is part 0.
    pub(super) shown: Vec<u64>,
    pub(super) arguments: Arguments,
    /// Fields from the newest event with the whole item; empty until such an event arrives.
    value: Map<String, Value>,
    /// Whether `value` is final: from `response.output_item.done` or the final response.
    pub(super) is_done: bool,
}

impl Item {
    pub(super) fn new(kind: Kind, index: Option<u64>, id: &str) -> Self {
        Self {
            kind,
            index,
            id: id.to_owned(),
            shown: Vec::new(),
            arguments: Arguments::default(),
            value: Map::new(),
            is_done: false,
        }
    }

    /// Returns whether an event belongs to this item. The index takes precedence, because GitHub Copilot changes the
    /// id in each event.
    pub(super) fn is_meant(&self, index: Option<u64>, id: &str) -> bool {
        match (index, self.index) {
            (Some(index), Some(own)) => index == own,
            _ => id.is_empty() || self.id.is_empty() || self.id == id,
        }
    }

    /// Returns whether the item's start event and end event are missing.
    pub(super) fn is_implied(&self) -> bool {
        self.value.is_empty()
    }

    /// Replaces the fields with those of the start event, the end event or the final response.
    pub(super) fn set(&mut self, value: Map<String, Value>, is_done: bool) {
        if let Some(arguments) = value.get("arguments") {
            let text = match arguments {
                Value::String(text) => text.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            };
            self.arguments.replace(text);
        }
        self.value = value;
        self.is_done = is_done;
    }

    pub(super) fn set_name(&mut self, name: &str) {
        self.value.entry("name").or_insert_with(|| json!(name));
    }

    /// Converts the item to a tool call. `number` is the call's position in the answer.
    pub(super) fn call(&self, number: usize) -> ToolRequest {
        let field = |key: &str| self.value.get(key).and_then(Value::as_str).unwrap_or_default();
        let own = if field("call_id").is_empty() {
            field("id")
        } else {
            field("call_id")
        };
        ToolRequest {
            id: call_id(own, number),
            name: field("name").to_owned(),
            arguments: self.arguments.get(),
        }
    }

    /// Returns whether a `ChatMessage` can hold the whole item. Other items are kept as provider data.
    pub(super) fn is_plain(&self) -> bool {
        match self.kind {
            Kind::Message => self.value.get("phase").is_none_or(Value::is_null),
            Kind::Call => true,
            Kind::Reasoning | Kind::Other => false,
        }
    }

    /// Returns whether the item can be sent back. The provider stores no answers, so reasoning needs its content,
    /// plain or encrypted.
    pub(super) fn is_readable(&self) -> bool {
        let is_given = |key: &str| match self.value.get(key) {
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(list)) => !list.is_empty(),
            _ => false,
        };
        self.kind != Kind::Reasoning || is_given("encrypted_content") || is_given("content")
    }

    /// Returns the item to send back; `None` for an incomplete item. `keeps_id` must be false if reasoning of the
    /// answer is missing. With an id, the provider would search for the missing reasoning.
    pub(super) fn into_carried(self, keeps_id: bool) -> Option<Value> {
        let is_complete = self.is_done || self.kind == Kind::Call;
        if !is_complete || !self.is_readable() {
            return None;
        }
        let arguments = (self.kind == Kind::Call).then(|| object_text(&self.arguments.get()));
        let mut value = self.value;
        value.retain(|_, field| !field.is_null());
        if !keeps_id {
            value.remove("id");
        }
        if let Some(arguments) = arguments {
            value.insert("type".to_owned(), json!(CALL));
            value.insert("arguments".to_owned(), json!(arguments));
        }
        Some(Value::Object(value))
    }

    /// Returns the texts that are not in the output yet. The flag is true for a refusal.
    pub(super) fn missing_texts(&self) -> Vec<(String, bool)> {
        let content = self.value.get("content").and_then(Value::as_array);
        (0..)
            .zip(content.into_iter().flatten())
            .filter(|(position, _)| !self.shown.contains(position))
            .filter_map(|(_, part)| {
                let refusal = part["refusal"].as_str();
                let text = part["text"].as_str().or(refusal)?;
                Some((text.to_owned(), refusal.is_some()))
            })
            .collect()
    }

    /// Returns the summary of the reasoning or, without a summary, its content.
    pub(super) fn reasoning(&self) -> String {
        let texts = |key: &str| -> Vec<&str> {
            let parts = self.value.get(key).and_then(Value::as_array);
            parts
                .into_iter()
                .flatten()
                .filter_map(|part| part["text"].as_str())
                .collect()
        };
        let summary = texts("summary");
        let found = if summary.is_empty() { texts("content") } else { summary };
        found.join("\n\n")
    }
}
