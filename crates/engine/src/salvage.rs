//! Finds tool calls in plain text, for models without native tool calls.
//!
//! An answer contains calls if it is JSON, or ends with fenced JSON or `<tool_call>` tags. Each JSON value must
//! contain the name of a known tool, and arguments for it. Invariant: an answer is ordinary text if it only mentions
//! a tool, or if text follows its JSON.

pub(crate) mod markup;

use serde_json::{Map, Value};

use crate::llm::ToolRequest;

/// Maximum number of calls from one answer.
const MAX_SALVAGED: usize = 16;

const NAME_KEYS: [&str; 3] = ["name", "tool", "tool_name"];
const ARGUMENT_KEYS: [&str; 4] = ["arguments", "parameters", "args", "input"];
const OTHER_KEYS: [&str; 2] = ["id", "type"];

/// Returns the calls in `text`, which must consist of calls or end with them. The calls have empty ids.
pub fn calls(text: &str, is_known: impl Fn(&str) -> bool) -> Vec<ToolRequest> {
    let text = text.trim();
    let blocks = if text.starts_with(['{', '[']) {
        vec![text]
    } else {
        closing_blocks(text)
    };
    let mut calls = Vec::new();
    for block in blocks {
        let Ok(value) = serde_json::from_str::<Value>(block.trim()) else {
            return Vec::new();
        };
        let values = match value {
            Value::Array(items) if !items.is_empty() => items,
            value => vec![value],
        };
        for value in values {
            match call_of(value).filter(|call| is_known(&call.name)) {
                Some(call) if calls.len() < MAX_SALVAGED => calls.push(call),
                // One value that is not a call makes the whole text an ordinary answer.
                _ => return Vec::new(),
            }
        }
    }
    calls
}

/// Returns the fenced or tagged blocks at the end of `text`.
fn closing_blocks(text: &str) -> Vec<&str> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while blocks.len() < MAX_SALVAGED {
        let Some((before, block)) = closing_fence(rest).or_else(|| closing_tag(rest)) else {
            break;
        };
        blocks.push(block);
        rest = before.trim_end();
    }
    blocks.reverse();
    blocks
}

fn closing_fence(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_suffix("```")?;
    let (before, block) = inner.rsplit_once("```")?;
    let (language, json) = block.split_once('\n').unwrap_or(("", block));
    let language = language.trim();
    match language {
        "" | "json" | "tool_call" | "tool_code" | "tool" => Some((before, json)),
        // The JSON starts on the line of the opening fence.
        _ if language.starts_with(['{', '[']) => Some((before, block)),
        _ => None,
    }
}

fn closing_tag(text: &str) -> Option<(&str, &str)> {
    text.strip_suffix("</tool_call>")?.rsplit_once("<tool_call>")
}

fn call_of(value: Value) -> Option<ToolRequest> {
    let Value::Object(mut fields) = value else { return None };
    // OpenAI's format: {"type": "function", "function": {…}}.
    if let Some(Value::Object(function)) = fields.remove("function") {
        if fields.keys().any(|key| !OTHER_KEYS.contains(&key.as_str())) {
            return None;
        }
        fields = function;
    }
    let Value::String(name) = take(&mut fields, &NAME_KEYS)? else {
        return None;
    };
    let arguments = match take(&mut fields, &ARGUMENT_KEYS)? {
        Value::Object(arguments) => Value::Object(arguments).to_string(),
        Value::String(text) => serde_json::from_str::<Map<String, Value>>(&text).ok().map(|_| text)?,
        _ => return None,
    };
    let only_known_keys = fields.keys().all(|key| OTHER_KEYS.contains(&key.as_str()));
    only_known_keys.then_some(ToolRequest {
        id: String::new(),
        name,
        arguments,
    })
}

fn take(fields: &mut Map<String, Value>, keys: &[&str]) -> Option<Value> {
    keys.iter().find_map(|key| fields.remove(*key))
}
