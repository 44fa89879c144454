//! Builds the requests of the Responses protocol.

use serde_json::{Map, Value, json};

use super::{
    super::{
        output,
        profile::Profile,
        turns::{self, CallNames, data_url, image_label, object_text, result_text, text_beside},
    },
    item,
};
use crate::{
    config::{EffortStyle, ReasoningReturn},
    images::Image,
    llm::{ChatMessage, ModelRequest, ReasoningEffort, ToolRequest, ToolSpec},
};

/// Substrings of the names of models that do not reason. These models refuse requests for encrypted reasoning.
const PLAIN_MODELS: &[&str] = &["gpt-3.5", "gpt-4", "chatgpt-4", "-chat-latest"];

/// Builds a request body. `http.rs` adds `extra_body`.
pub(super) fn body(request: &ModelRequest, profile: &Profile) -> Value {
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(request.model));
    if !request.system.trim().is_empty() {
        body.insert("instructions".to_owned(), json!(request.system));
    }
    let (tools, may_call) = turns::tools(&request.tools, &request.messages);
    if !tools.is_empty() {
        body.insert("tools".to_owned(), tools.iter().map(tool).collect());
        if !may_call {
            body.insert("tool_choice".to_owned(), json!("none"));
        }
    }
    if let Some(schema) = &request.output {
        let format = json!({
            "type": "json_schema", "name": output::NAME, "schema": **schema, "strict": output::is_strict(schema),
        });
        body.insert("text".to_owned(), json!({"format": format}));
    }
    body.insert("max_output_tokens".to_owned(), json!(request.max_output_tokens));
    body.insert("store".to_owned(), json!(false));
    body.insert("stream".to_owned(), json!(profile.stream));
    let model = request.model.to_ascii_lowercase();
    let reasons = !PLAIN_MODELS.iter().any(|part| model.contains(part));
    if reasons && profile.returns_reasoning != ReasoningReturn::Never {
        body.insert("include".to_owned(), json!(["reasoning.encrypted_content"]));
    }
    if let Some(effort) = request.reasoning_effort
        && reasons
        && profile.reasoning_effort != EffortStyle::None
    {
        body.insert("reasoning".to_owned(), json!({"effort": word(effort)}));
    }
    body.insert("input".to_owned(), Value::Array(input(request, profile)));
    Value::Object(body)
}

fn word(effort: ReasoningEffort) -> &'static str {
    match effort {
        ReasoningEffort::None => "none",
        ReasoningEffort::Minimal => "minimal",
        ReasoningEffort::Low => "low",
        ReasoningEffort::Medium => "medium",
        ReasoningEffort::High => "high",
    }
}

/// Declares a tool. A `strict` schema would have to require every property.
fn tool(spec: &ToolSpec) -> Value {
    json!({
        "type": "function",
        "name": spec.name,
        "description": spec.description,
        "parameters": spec.parameters,
        "strict": false,
    })
}

fn input_text(text: &str) -> Value {
    json!({"type": "input_text", "text": text})
}

/// Returns the parts of images, each after a part with its name.
fn image_parts(images: &[Image]) -> impl Iterator<Item = Value> {
    images.iter().flat_map(|image| {
        [
            input_text(&image_label(image)),
            json!({"type": "input_image", "image_url": data_url(image), "detail": "auto"}),
        ]
    })
}

fn input(request: &ModelRequest, profile: &Profile) -> Vec<Value> {
    let mut items = Vec::with_capacity(request.messages.len());
    let mut ids = CallNames::default();
    for said in &request.messages {
        match said {
            ChatMessage::User { text, images } => {
                let text = text_beside(text, images).map(input_text);
                let content: Vec<Value> = text.into_iter().chain(image_parts(images)).collect();
                items.push(json!({"type": "message", "role": "user", "content": content}));
            }
            ChatMessage::Assistant {
                text,
                tool_calls,
                carried,
            } => {
                if let Some(carried) = turns::own(carried.as_ref(), profile) {
                    add_carried(&mut items, carried, text, tool_calls, &mut ids);
                } else {
                    items.extend(answer(text));
                    items.extend(tool_calls.iter().map(|call| call_item(call, &mut ids)));
                }
            }
            ChatMessage::Tool {
                tool_call_id,
                text,
                images,
                is_error,
                ..
            } => {
                let id = ids.of(tool_call_id);
                let text = result_text(text, *is_error);
                let output = if images.is_empty() {
                    json!(text)
                } else {
                    std::iter::once(input_text(&text)).chain(image_parts(images)).collect()
                };
                items.push(json!({"type": "function_call_output", "call_id": id, "output": output}));
            }
        }
    }
    items
}

fn answer(text: &str) -> Option<Value> {
    let content = json!([{"type": "output_text", "text": text}]);
    (!text.trim().is_empty()).then(|| json!({"type": "message", "role": "assistant", "content": content}))
}

fn call_item<'a>(call: &'a ToolRequest, ids: &mut CallNames<'a>) -> Value {
    let id = ids.note(call, None);
    json!({"type": "function_call", "call_id": id, "name": call.name, "arguments": object_text(&call.arguments)})
}

/// Adds the provider's items of an answer, with one call item per call in `calls`. Surplus call items are left out,
/// because the engine dropped their calls. Surplus calls get new items, because the engine found these calls in the
/// text. Reasoning at the end is left out, because the provider refuses a reasoning item that no other item follows.
fn add_carried<'a>(
    items: &mut Vec<Value>,
    carried: &[Value],
    text: &str,
    calls: &'a [ToolRequest],
    ids: &mut CallNames<'a>,
) {
    let first = items.len();
    let mut calls = calls.iter();
    for own in carried {
        let mut own = own.clone();
        if own["type"] == item::CALL {
            let Some(call) = calls.next() else { continue };
            own["call_id"] = json!(ids.note(call, own["call_id"].as_str()));
        }
        items.push(own);
    }
    if !items[first..].iter().any(|own| own["type"] == item::MESSAGE) {
        let place = items[first..].iter().position(|own| own["type"] == item::CALL);
        let place = place.map_or(items.len(), |place| first + place);
        if let Some(answer) = answer(text) {
            items.insert(place, answer);
        }
    }
    items.extend(calls.map(|call| call_item(call, ids)));
    while items.len() > first && items.last().is_some_and(|last| last["type"] == item::REASONING) {
        items.pop();
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests;
