//! Extracts tool calls from plain text, for models without native tool calls.
//!
//! The main loop (`turn`) uses it for an answer without native calls. An answer is accepted if it consists only of
//! calls, or if it ends with calls: JSON, fenced JSON, or the markup of a model family (`salvage/markup.rs`). Each call
//! must name a known tool and have arguments. Invariant: text that only mentions a tool, or contains a call in the
//! middle, stays text.

mod markup;

use serde_json::{Map, Value};

use crate::llm::ToolRequest;

/// Maximum number of calls in one text.
const MAX_SALVAGED: usize = 16;

const NAME_KEYS: [&str; 3] = ["name", "tool", "tool_name"];
const ARGUMENT_KEYS: [&str; 4] = ["arguments", "parameters", "args", "input"];
/// Keys that a call may have in addition to the keys for its name and its arguments.
const OTHER_KEYS: [&str; 2] = ["id", "type"];
/// Marks after which the rest of a text is calls.
const PREFIXES: [&str; 2] = ["[TOOL_CALLS]", "<|python_tag|>"];

/// Returns the calls that a text consists of or ends with. For ordinary text, the list is empty. The ids of the calls
/// are empty. `schema_of` returns the schema of a tool's arguments; `None` if the tool is unknown.
pub fn calls<'s>(text: &str, schema_of: impl Fn(&str) -> Option<&'s Value>) -> Vec<ToolRequest> {
    let mut calls = Vec::new();
    for block in blocks(text.trim()) {
        // If any block is not a call, the whole text is an ordinary answer.
        let Some(found) = markup::calls(block, &schema_of) else {
            return Vec::new();
        };
        calls.extend(found);
    }
    if calls.len() > MAX_SALVAGED || calls.iter().any(|call| schema_of(&call.name).is_none()) {
        return Vec::new();
    }
    calls
}

fn json_calls(block: &str) -> Option<Vec<ToolRequest>> {
    let values = match serde_json::from_str(block).ok()? {
        Value::Array(items) if !items.is_empty() => items,
        value => vec![value],
    };
    values.into_iter().map(call_of).collect()
}

/// Returns the blocks of a text that may contain calls, in order. Prose may precede the blocks, but must not follow
/// them.
fn blocks(text: &str) -> Vec<&str> {
    if let Some((_, rest)) = PREFIXES.iter().find_map(|mark| text.split_once(mark)) {
        return vec![rest];
    }
    let mut blocks = Vec::new();
    let mut rest = text;
    while blocks.len() < MAX_SALVAGED {
        let Some((before, block)) = closing_fence(rest).or_else(|| markup::closing(rest)) else {
            break;
        };
        blocks.push(block);
        rest = before.trim_end();
    }
    if blocks.is_empty() {
        if text.starts_with(['{', '[']) {
            return vec![text];
        }
        return markup::unclosed(text).into_iter().collect();
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
        // The JSON starts on the same line as its fence.
        _ if language.starts_with(['{', '[']) => Some((before, block)),
        _ => None,
    }
}

fn call_of(value: Value) -> Option<ToolRequest> {
    let Value::Object(mut fields) = value else { return None };
    // The format of OpenAI's API: {"type": "function", "function": {…}}.
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
