//! Content blocks of an answer, assembled from stream events.

use serde_json::{Map, Value, json};

use super::super::{
    held::{Arguments, call_id},
    turns,
};
use crate::llm::ToolRequest;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Thinking,
    Call,
    /// Encrypted reasoning.
    Redacted,
    /// Any other block, such as a server tool call.
    Other,
}

impl Kind {
    pub(super) fn of(name: &str) -> Self {
        match name {
            "text" => Self::Text,
            "thinking" => Self::Thinking,
            "tool_use" => Self::Call,
            "redacted_thinking" => Self::Redacted,
            _ => Self::Other,
        }
    }
}

pub(super) struct Block {
    /// `None` if the block's first event had no index.
    pub(super) index: Option<u64>,
    pub(super) kind: Kind,
    pub(super) text: String,
    /// Empty until a signature arrives.
    pub(super) signature: String,
    pub(super) arguments: Arguments,
    pub(super) citations: Vec<Value>,
    /// True if part of the block could not be parsed. Such a block is not sent back.
    pub(super) is_partial: bool,
    /// Fields of the block's start event.
    start: Map<String, Value>,
}

impl Block {
    pub(super) fn new(index: Option<u64>, start: Map<String, Value>) -> Self {
        let text_of = |key: &str| start.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let kind = Kind::of(&text_of("type"));
        let text = match kind {
            Kind::Text => text_of("text"),
            Kind::Thinking => text_of("thinking"),
            Kind::Call | Kind::Redacted | Kind::Other => String::new(),
        };
        Self {
            index,
            kind,
            text,
            signature: text_of("signature"),
            arguments: Arguments::default(),
            citations: Vec::new(),
            is_partial: false,
            start,
        }
    }

    /// Creates a block whose start event is missing.
    pub(super) fn implied(index: Option<u64>, kind: &'static str) -> Self {
        let mut start = Map::new();
        start.insert("type".to_owned(), json!(kind));
        Self::new(index, start)
    }

    /// Converts the block to a tool call. `number` is the call's position in the answer.
    pub(super) fn call(&self, number: usize) -> ToolRequest {
        let field = |key: &str| {
            self.start
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        ToolRequest {
            id: call_id(&field("id"), number),
            name: field("name"),
            arguments: self.argument_text(),
        }
    }

    /// Returns whether a `ChatMessage` can hold the whole block. Other blocks are kept as provider data.
    pub(super) fn is_plain(&self) -> bool {
        let is_plain_id = |id: &str| {
            id.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        };
        match self.kind {
            Kind::Text => self.citations.is_empty(),
            Kind::Call => self.start.get("id").and_then(Value::as_str).is_none_or(is_plain_id),
            Kind::Thinking | Kind::Redacted | Kind::Other => false,
        }
    }

    /// Returns the block to send back; `None` for a block that the provider would refuse.
    pub(super) fn into_carried(self) -> Option<Value> {
        if self.is_partial {
            return None;
        }
        let input = self.input();
        let mut block = self.start;
        match self.kind {
            Kind::Text if self.text.trim().is_empty() => return None,
            Kind::Text => {
                block.insert("text".to_owned(), Value::String(self.text));
                if !self.citations.is_empty() {
                    block.insert("citations".to_owned(), Value::Array(self.citations));
                }
            }
            Kind::Thinking => {
                block.insert("thinking".to_owned(), Value::String(self.text));
                block.insert("signature".to_owned(), Value::String(self.signature));
            }
            Kind::Call | Kind::Redacted | Kind::Other => {
                if let Some(input) = input {
                    block.insert("input".to_owned(), input);
                }
            }
        }
        Some(Value::Object(block))
    }

    /// Returns the arguments as text. Some servers send all arguments in the start event.
    fn argument_text(&self) -> String {
        match self.start.get("input") {
            Some(Value::String(text)) if self.arguments.is_empty() => text.clone(),
            Some(input @ Value::Object(_)) if self.arguments.is_empty() => input.to_string(),
            _ => self.arguments.get(),
        }
    }

    /// Returns the arguments as the JSON object that the provider requires; `None` for a block without arguments.
    fn input(&self) -> Option<Value> {
        let is_call = self.kind == Kind::Call || !self.arguments.is_empty();
        is_call.then(|| turns::arguments(&self.argument_text()))
    }
}
