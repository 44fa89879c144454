//! Builds a Chat Completions request.
//!
//! Invariant: a message has the same form in every request of a conversation, so that prompt caches work.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{answer::THOUGHT, ids::Ids};
use crate::{
    config::{EffortStyle, ReasoningReturn, SystemRole},
    history::NOTE,
    images::Image,
    llm::{
        Carried, ChatMessage, ModelRequest, ReasoningEffort, ToolRequest, ToolSpec,
        upstream::{
            output,
            profile::Profile,
            turns::{data_url, image_label, object_text, result_text},
        },
    },
};

/// Placeholder reasoning for tool calls of another provider's model. Some providers require reasoning with every tool
/// call.
const SUBSTITUTE: &str = "(not recorded)";

/// Text of an assistant message between a tool result and a user message, which some chat templates require.
const BETWEEN: &str = "Understood.";

/// Provider data that is always sent back. The other provider data is reasoning: `returns_reasoning` decides whether
/// it is sent.
const ALWAYS_BACK: &[&str] = &["extra_content", "provider_specific_fields"];

/// Builds a request body. `http.rs` adds `extra_body`.
pub(super) fn body(request: &ModelRequest, profile: &Profile) -> Value {
    let mut body = json!({
        "model": request.model,
        "messages": messages(request, profile),
        "stream": profile.stream,
    });
    body[profile.max_tokens_field.as_str()] = json!(request.max_output_tokens);
    if profile.stream && profile.stream_options {
        body["stream_options"] = json!({"include_usage": true});
    }
    if !request.tools.is_empty() {
        body["tools"] = request.tools.iter().map(tool).collect();
    }
    if let Some(schema) = &request.output {
        let format = json!({"name": output::NAME, "schema": **schema, "strict": output::is_strict(schema)});
        body["response_format"] = json!({"type": "json_schema", "json_schema": format});
    }
    if let Some(effort) = request.reasoning_effort {
        add_effort(&mut body, effort, profile.reasoning_effort);
    }
    body
}

fn tool(spec: &ToolSpec) -> Value {
    json!({
        "type": "function",
        "function": {"name": spec.name, "description": spec.description, "parameters": spec.parameters},
    })
}

fn add_effort(body: &mut Value, effort: ReasoningEffort, style: EffortStyle) {
    let thinks = effort != ReasoningEffort::None;
    match style {
        EffortStyle::None => {}
        EffortStyle::Field => body["reasoning_effort"] = json!(effort),
        EffortStyle::Object if thinks => body["reasoning"] = json!({"effort": effort}),
        EffortStyle::Object => body["reasoning"] = json!({"enabled": false}),
        EffortStyle::Thinking => {
            body["thinking"] = json!({"type": if thinks { "enabled" } else { "disabled" }});
        }
        EffortStyle::EnableThinking => body["enable_thinking"] = json!(thinks),
        EffortStyle::Template => body["chat_template_kwargs"] = json!({"enable_thinking": thinks}),
    }
}

fn messages(request: &ModelRequest, profile: &Profile) -> Vec<Value> {
    let mut writer = Writer {
        profile,
        ids: Ids::new(profile.tool_call_ids),
        messages: Vec::with_capacity(request.messages.len() + 1),
        of_results: Vec::new(),
    };
    if !request.system.is_empty() {
        let role = match profile.system_role {
            SystemRole::System => "system",
            SystemRole::Developer => "developer",
            SystemRole::User => "user",
        };
        writer.messages.push(json!({"role": role, "content": request.system}));
    }
    for message in &request.messages {
        writer.add(message);
    }
    writer.show_results();
    if profile.cache_markers {
        mark(&mut writer.messages);
    }
    writer.messages
}

/// Adds cache markers to the system prompt and the last two messages. The provider caches the conversation up to each
/// marker.
fn mark(messages: &mut [Value]) {
    let last = messages.len().saturating_sub(1);
    let marked = [0, last.saturating_sub(1), last];
    for (position, message) in messages.iter_mut().enumerate() {
        if !marked.contains(&position) {
            continue;
        }
        let ephemeral = json!({"type": "ephemeral"});
        match &mut message["content"] {
            Value::String(text) if !text.is_empty() => {
                message["content"] = json!([{"type": "text", "text": text, "cache_control": ephemeral}]);
            }
            // Only texts may have a marker.
            Value::Array(parts) => {
                if let Some(text) = parts.iter_mut().rfind(|part| part["type"] == "text") {
                    text["cache_control"] = ephemeral;
                }
            }
            _ => {}
        }
    }
}

fn text_part(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// Returns the parts of images, each after a part with its name.
fn image_parts(images: &[Image]) -> impl Iterator<Item = Value> {
    images.iter().flat_map(|image| {
        [
            text_part(&image_label(image)),
            json!({"type": "image_url", "image_url": {"url": data_url(image)}}),
        ]
    })
}

/// Appends the content of a message to the content of the message before it.
fn merge(known: &mut Value, more: Value) {
    if let (Value::String(known), Value::String(more)) = (&mut *known, &more) {
        known.push_str("\n\n");
        known.push_str(more);
        return;
    }
    let parts = |content: Value| match content {
        Value::Array(parts) => parts,
        Value::String(text) if !text.is_empty() => vec![text_part(&text)],
        _ => Vec::new(),
    };
    let mut merged = parts(known.take());
    merged.extend(parts(more));
    *known = Value::Array(merged);
}

struct Writer<'p> {
    profile: &'p Profile,
    ids: Ids,
    messages: Vec<Value>,
    /// Parts with the images of the last tool results. A tool message cannot contain images, so the next user message
    /// shows them.
    of_results: Vec<Value>,
}

impl Writer<'_> {
    fn add(&mut self, message: &ChatMessage) {
        if !matches!(message, ChatMessage::Tool { .. }) {
            self.show_results();
        }
        match message {
            ChatMessage::User { text, images } if images.is_empty() => self.add_user(json!(text)),
            ChatMessage::User { text, images } => {
                let text = (!text.trim().is_empty()).then(|| text_part(text));
                self.add_user(text.into_iter().chain(image_parts(images)).collect());
            }
            ChatMessage::Assistant {
                text,
                tool_calls,
                carried,
            } => self.add_assistant(text, tool_calls, carried.as_ref()),
            ChatMessage::Tool {
                tool_call_id,
                name,
                text,
                images,
                is_error,
            } => {
                let text = result_text(text, *is_error);
                let id = self.ids.of_result(tool_call_id);
                let mut result = json!({"role": "tool", "tool_call_id": id, "content": text});
                if self.profile.tool_result_name {
                    result["name"] = json!(name);
                }
                self.messages.push(result);
                self.of_results.extend(image_parts(images));
            }
        }
    }

    /// Adds a user message with the images of the last tool results.
    fn show_results(&mut self) {
        if !self.of_results.is_empty() {
            let note = text_part(&format!("{NOTE}These images belong to the tool results above."));
            let images = std::mem::take(&mut self.of_results);
            self.add_user(std::iter::once(note).chain(images).collect());
        }
    }

    /// Adds a user message. `content` is a text or a list of parts.
    fn add_user(&mut self, content: Value) {
        let last = self.messages.last_mut();
        match last.as_ref().and_then(|last| last["role"].as_str()) {
            Some("user") if self.profile.merges_turns || self.profile.system_role == SystemRole::User => {
                if let Some(known) = last.and_then(|last| last.get_mut("content")) {
                    merge(known, content);
                    return;
                }
            }
            Some("tool") if self.profile.assistant_after_tool => {
                self.messages.push(json!({"role": "assistant", "content": BETWEEN}));
            }
            _ => {}
        }
        self.messages.push(json!({"role": "user", "content": content}));
    }

    /// Skips empty messages, because providers refuse them.
    fn add_assistant(&mut self, text: &str, calls: &[ToolRequest], carried: Option<&Carried>) {
        if text.is_empty() && calls.is_empty() {
            return;
        }
        let carried = self.profile.carried(carried);
        let mut message = json!({"role": "assistant"});
        let wants_back = match self.profile.returns_reasoning {
            ReasoningReturn::Never => false,
            ReasoningReturn::ToolCalls => !calls.is_empty(),
            ReasoningReturn::Always | ReasoningReturn::Required => true,
        };
        let mut thought = "";
        for (name, value) in carried
            .and_then(|carried| carried["message"].as_object())
            .into_iter()
            .flatten()
        {
            if name == THOUGHT {
                thought = value.as_str().filter(|_| wants_back).unwrap_or_default();
            } else if wants_back || ALWAYS_BACK.contains(&name.as_str()) {
                message[name] = value.clone();
            }
        }
        message["content"] = match (thought, text) {
            ("", "") => Value::Null,
            ("", text) => json!(text),
            (thought, text) => json!(format!("{thought}\n\n{text}")),
        };
        if !calls.is_empty() {
            message["tool_calls"] = self.calls(calls, carried);
            if self.profile.returns_reasoning == ReasoningReturn::Required && message["reasoning_content"].is_null() {
                message["reasoning_content"] = json!(SUBSTITUTE);
            }
        }
        self.messages.push(message);
    }

    fn calls(&mut self, calls: &[ToolRequest], carried: Option<&Value>) -> Value {
        let mut used = HashSet::new();
        calls
            .iter()
            .enumerate()
            .map(|(position, call)| {
                let back = carried.and_then(|carried| carried["calls"][position].as_object());
                let own = back.and_then(|back| back.get("id")).and_then(Value::as_str);
                let id = self.ids.of_call(&call.id, &call.name, own, &mut used);
                let mut written = json!({
                    "id": id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": object_text(&call.arguments)},
                });
                for (name, value) in back.into_iter().flatten().filter(|(name, _)| *name != "id") {
                    written[name] = value.clone();
                }
                written
            })
            .collect()
    }
}
