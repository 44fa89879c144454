//! Builds the requests of the Gemini protocol.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{
    super::{
        profile::Profile,
        turns::{self, Side, Turns, image_label, text_beside, version},
    },
    schema::open_api,
};
use crate::{
    config::EffortStyle,
    images::Image,
    llm::{ChatMessage, ModelRequest, ReasoningEffort, ToolRequest, ToolSpec},
};

/// Placeholder for the signature of another model's call (Google's documentation, "Thought signatures", FAQ).
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// Builds a request body. `http.rs` adds `extra_body`.
pub(super) fn body(request: &ModelRequest, profile: &Profile) -> Value {
    let (mut tools, may_call) = turns::tools(&request.tools, &request.messages);
    if request.output.is_some() && !may_call {
        // Gemini 2.5 and earlier refuse a schema beside declarations, even if the model must not call the tools.
        tools.clear();
    }
    let mut body = Map::new();
    if !request.system.trim().is_empty() {
        body.insert(
            "systemInstruction".to_owned(),
            json!({"parts": [{"text": request.system}]}),
        );
    }
    if !tools.is_empty() {
        let declarations: Vec<Value> = tools.iter().map(|tool| declaration(tool, profile)).collect();
        body.insert("tools".to_owned(), json!([{"functionDeclarations": declarations}]));
        if !may_call {
            body.insert(
                "toolConfig".to_owned(),
                json!({"functionCallingConfig": {"mode": "NONE"}}),
            );
        }
    }
    let mut generation = json!({"maxOutputTokens": request.max_output_tokens});
    if profile.reasoning_effort != EffortStyle::None
        && let Some(thinking) = request.reasoning_effort.and_then(|effort| thinking(request, effort))
    {
        generation["thinkingConfig"] = thinking;
    }
    if let Some(schema) = &request.output {
        generation["responseMimeType"] = json!("application/json");
        if profile.json_schema {
            generation["responseJsonSchema"] = json!(**schema);
        } else {
            generation["responseSchema"] = open_api(schema);
        }
    }
    body.insert("generationConfig".to_owned(), generation);
    body.insert("contents".to_owned(), contents(request, profile));
    Value::Object(body)
}

/// Declares a tool. `parametersJsonSchema` takes any JSON Schema; `parameters` takes only a subset of OpenAPI
/// schemas.
fn declaration(spec: &ToolSpec, profile: &Profile) -> Value {
    let mut declaration = json!({"name": spec.name, "description": spec.description});
    if profile.json_schema {
        declaration["parametersJsonSchema"] = spec.parameters.clone();
    } else {
        declaration["parameters"] = open_api(&spec.parameters);
    }
    declaration
}

/// Returns the `thinkingConfig`. Gemini 2.5 uses budgets, later versions use levels, and earlier versions do not
/// think.
fn thinking(request: &ModelRequest, effort: ReasoningEffort) -> Option<Value> {
    let model = request.model.to_ascii_lowercase();
    let is_pro = model.contains("pro");
    let version = version(&model, "gemini");
    if model.contains("gemma") || version.is_some_and(|version| version < (2, 5)) {
        return None;
    }
    if version.is_some_and(|version| version < (3, 0)) {
        let budget = match effort {
            ReasoningEffort::None if is_pro => 128,
            ReasoningEffort::None => 0,
            ReasoningEffort::Minimal | ReasoningEffort::Low => 1024,
            ReasoningEffort::Medium => 8192,
            ReasoningEffort::High => 24_576,
        };
        let budget = budget.min(request.max_output_tokens / 2);
        return Some(json!({"thinkingBudget": budget, "includeThoughts": budget > 0}));
    }
    let level = match effort {
        ReasoningEffort::None | ReasoningEffort::Minimal if is_pro => "low",
        ReasoningEffort::None | ReasoningEffort::Minimal => "minimal",
        ReasoningEffort::Low => "low",
        ReasoningEffort::Medium => "medium",
        ReasoningEffort::High => "high",
    };
    Some(json!({"thinkingLevel": level, "includeThoughts": true}))
}

/// Returns whether the model refuses calls without thought signatures, as Gemini 3 and later do. A name without a
/// version, such as `gemini-flash-latest`, counts as Gemini 3 or later.
fn needs_signatures(model: &str) -> bool {
    let model = model.to_ascii_lowercase();
    !model.contains("gemma") && version(&model, "gemini").is_none_or(|version| version >= (3, 0))
}

/// Name and id of a call, as the provider sent them.
struct OwnCall {
    name: String,
    id: Option<String>,
}

fn contents(request: &ModelRequest, profile: &Profile) -> Value {
    let mut turns = Turns::default();
    let mut calls: HashMap<&str, OwnCall> = HashMap::new();
    // Only the newest models accept images inside a tool result. All accept them after the results of the turn.
    let mut of_results: Vec<Value> = Vec::new();
    for message in &request.messages {
        if !matches!(message, ChatMessage::Tool { .. }) {
            turns.add(Side::User, std::mem::take(&mut of_results));
        }
        match message {
            ChatMessage::User { text, images } => {
                let text = text_beside(text, images).map(|text| json!({"text": text}));
                turns.add(Side::User, text.into_iter().chain(image_parts(images)).collect());
            }
            ChatMessage::Assistant {
                text,
                tool_calls,
                carried,
            } => {
                let mut parts = match turns::own(carried.as_ref(), profile) {
                    Some(parts) => carried_parts(parts, tool_calls, &mut calls),
                    None => plain_parts(text, tool_calls),
                };
                if needs_signatures(&request.model) {
                    sign(&mut parts);
                }
                turns.add(Side::Model, parts);
            }
            ChatMessage::Tool {
                tool_call_id,
                name,
                text,
                images,
                is_error,
            } => {
                let own = calls.get(tool_call_id.as_str());
                let key = if *is_error { "error" } else { "output" };
                let mut response = json!({"name": own.map_or(name, |own| &own.name), "response": {key: text}});
                if let Some(id) = own.and_then(|own| own.id.as_ref()) {
                    response["id"] = json!(id);
                }
                turns.add(Side::User, vec![json!({"functionResponse": response})]);
                of_results.extend(image_parts(images));
            }
        }
    }
    turns.add(Side::User, of_results);
    let role = |side| match side {
        Side::User => "user",
        Side::Model => "model",
    };
    turns
        .into_vec()
        .into_iter()
        .map(|(side, parts)| json!({"role": role(side), "parts": parts}))
        .collect()
}

/// Returns two parts of the message per image: the image's name as text, and the image.
fn image_parts(images: &[Image]) -> impl Iterator<Item = Value> {
    images.iter().flat_map(|image| {
        let data = json!({"mimeType": image.media_type(), "data": image.base64()});
        [json!({"text": image_label(image)}), json!({"inlineData": data})]
    })
}

fn plain_parts(text: &str, calls: &[ToolRequest]) -> Vec<Value> {
    let text = (!text.trim().is_empty()).then(|| json!({"text": text}));
    text.into_iter().chain(calls.iter().map(call_part)).collect()
}

fn call_part(call: &ToolRequest) -> Value {
    json!({"functionCall": {"name": call.name, "args": turns::arguments(&call.arguments)}})
}

/// Returns the provider's parts of an answer, with one call part per call in `tool_calls`. Surplus call parts are
/// left out, because the engine dropped their calls. Surplus calls get new parts, because the engine found these
/// calls in the text.
fn carried_parts<'a>(
    parts: &[Value],
    tool_calls: &'a [ToolRequest],
    calls: &mut HashMap<&'a str, OwnCall>,
) -> Vec<Value> {
    let mut open = tool_calls.iter();
    let mut kept = Vec::with_capacity(parts.len());
    for part in parts {
        if let Some(own) = part.get("functionCall") {
            let Some(call) = open.next() else { continue };
            let own = OwnCall {
                name: own["name"].as_str().unwrap_or(&call.name).to_owned(),
                id: own["id"].as_str().map(str::to_owned),
            };
            calls.insert(&call.id, own);
        }
        kept.push(part.clone());
    }
    kept.extend(open.map(call_part));
    kept
}

/// Adds the placeholder signature to the first call, unless a part has a signature.
fn sign(parts: &mut [Value]) {
    if parts.iter().any(|part| part.get("thoughtSignature").is_some()) {
        return;
    }
    if let Some(part) = parts.iter_mut().find(|part| part.get("functionCall").is_some()) {
        part["thoughtSignature"] = json!(NO_SIGNATURE);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests;
