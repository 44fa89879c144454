//! Builds requests of the Anthropic Messages protocol.
//!
//! Invariant: a growing conversation keeps the bytes of its earlier messages, so that the provider's prompt cache
//! finds them. Only the cache markers move; the provider ignores them when it compares messages.

use serde_json::{Map, Value, json};

use super::{
    super::{
        output,
        profile::Profile,
        turns::{self, CallNames, Side, Turns, image_label, result_text, text_beside},
    },
    thinking,
};
use crate::{
    history::NOTE,
    images::Image,
    llm::{ChatMessage, ModelRequest, ToolRequest, ToolSpec},
};

/// Number of newest user turns with a cache marker. The provider searches a cached prefix only 20 blocks back from
/// each marker. The second-newest turn had a marker in the previous request, so its marker finds the prefix of that
/// request. The provider accepts four markers; the tools and the system prompt use the other two.
const MARKED_TURNS: usize = 2;

/// Builds a request body. `http.rs` adds `extra_body`.
pub(super) fn body(request: &ModelRequest, profile: &Profile) -> Value {
    let mut messages = messages(request, profile);
    let (tools, may_call) = turns::tools(&request.tools, &request.messages);
    let mut tools: Vec<Value> = tools.iter().map(tool).collect();
    let mut system = vec![text_block(&request.system)];
    if profile.cache_markers {
        tools.last_mut().into_iter().for_each(mark);
        system.last_mut().into_iter().for_each(mark);
        mark_turns(&mut messages);
    }
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(request.model));
    body.insert("max_tokens".to_owned(), json!(request.max_output_tokens));
    body.insert("stream".to_owned(), json!(profile.stream));
    if !request.system.trim().is_empty() {
        let system = if profile.cache_markers {
            json!(system)
        } else {
            json!(request.system)
        };
        body.insert("system".to_owned(), system);
    }
    if !tools.is_empty() {
        body.insert("tools".to_owned(), Value::Array(tools));
        if !may_call {
            body.insert("tool_choice".to_owned(), json!({"type": "none"}));
        }
    }
    thinking::add(request, profile, &mut body);
    if let Some(schema) = request.output.as_ref().and_then(|schema| output::closed(schema)) {
        let config = body.entry("output_config").or_insert_with(|| json!({}));
        config["format"] = json!({"type": "json_schema", "schema": schema});
    }
    body.insert("messages".to_owned(), Value::Array(messages));
    Value::Object(body)
}

fn tool(spec: &ToolSpec) -> Value {
    json!({"name": spec.name, "description": spec.description, "input_schema": spec.parameters})
}

fn text_block(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// Returns the blocks of images, each after a block with its name.
fn image_blocks(images: &[Image]) -> impl Iterator<Item = Value> {
    images.iter().flat_map(|image| {
        let source = json!({"type": "base64", "media_type": image.media_type(), "data": image.base64()});
        [
            text_block(&image_label(image)),
            json!({"type": "image", "source": source}),
        ]
    })
}

/// Returns the block of a tool result. The provider refuses images in a result with `is_error`, so a failed result with
/// images states the failure in its text.
fn result_block(id: &str, text: &str, images: &[Image], is_error: bool) -> Value {
    let mut result = json!({"type": "tool_result", "tool_use_id": id});
    if images.is_empty() {
        result["content"] = json!(text);
        if is_error {
            result["is_error"] = json!(true);
        }
        return result;
    }
    let text = Some(result_text(text, is_error)).filter(|text| !text.trim().is_empty());
    let blocks = text.iter().map(|text| text_block(text));
    result["content"] = blocks.chain(image_blocks(images)).collect();
    result
}

fn messages(request: &ModelRequest, profile: &Profile) -> Vec<Value> {
    let mut turns = Turns::default();
    let mut ids = CallNames::default();
    for message in &request.messages {
        match message {
            ChatMessage::User { text, images } => {
                let text = text_beside(text, images).map(text_block);
                turns.add(Side::User, text.into_iter().chain(image_blocks(images)).collect());
            }
            ChatMessage::Assistant {
                text,
                tool_calls,
                carried,
            } => {
                let blocks = match turns::own(carried.as_ref(), profile) {
                    Some(blocks) => carried_blocks(blocks, tool_calls, &mut ids),
                    None => plain_blocks(text, tool_calls, &mut ids),
                };
                turns.add(Side::Model, blocks);
            }
            ChatMessage::Tool {
                tool_call_id,
                text,
                images,
                is_error,
                ..
            } => {
                let result = result_block(&ids.of(tool_call_id), text, images, *is_error);
                turns.add(Side::User, vec![result]);
            }
        }
    }
    let role = |side| match side {
        Side::User => "user",
        Side::Model => "assistant",
    };
    turns
        .into_vec()
        .into_iter()
        .map(|(side, blocks)| json!({"role": role(side), "content": blocks}))
        .collect()
}

fn plain_blocks<'a>(text: &str, calls: &'a [ToolRequest], ids: &mut CallNames<'a>) -> Vec<Value> {
    let text = (!text.trim().is_empty()).then(|| text_block(text));
    text.into_iter()
        .chain(calls.iter().map(|call| call_block(call, ids)))
        .collect()
}

fn call_block<'a>(call: &'a ToolRequest, ids: &mut CallNames<'a>) -> Value {
    let id = ids.note(call, None);
    json!({"type": "tool_use", "id": id, "name": call.name, "input": turns::arguments(&call.arguments)})
}

/// Returns the provider's blocks of an answer, with one call block per call in `calls`. Surplus call blocks are left
/// out, because the engine dropped their calls. Surplus calls get new blocks, because the engine found these calls in
/// the text.
fn carried_blocks<'a>(blocks: &[Value], calls: &'a [ToolRequest], ids: &mut CallNames<'a>) -> Vec<Value> {
    let mut calls = calls.iter();
    let mut kept = Vec::with_capacity(blocks.len());
    for block in blocks {
        let mut block = block.clone();
        if block["type"] == "tool_use" {
            let Some(call) = calls.next() else { continue };
            block["id"] = json!(ids.note(call, block["id"].as_str()));
        }
        kept.push(block);
    }
    kept.extend(calls.map(|call| call_block(call, ids)));
    kept
}

fn mark_turns(messages: &mut [Value]) {
    let turns = messages.iter_mut().rev().filter(|message| message["role"] == "user");
    for turn in turns.take(MARKED_TURNS) {
        let Some(blocks) = turn["content"].as_array_mut() else {
            continue;
        };
        // The next request will not contain the engine's note, so the cached prefix must end before the note.
        let is_note = |block: &Value| block["text"].as_str().is_some_and(|text| text.starts_with(NOTE));
        let last = blocks.iter().rposition(|block| !is_note(block));
        if let Some(block) = last.and_then(|last| blocks.get_mut(last)) {
            mark(block);
        }
    }
}

fn mark(block: &mut Value) {
    block["cache_control"] = json!({"type": "ephemeral"});
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests;
