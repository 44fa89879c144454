//! Converts a request to genai's types.

use std::sync::Arc;

use genai::chat::{
    ChatMessage as Said, ChatOptions, ChatRequest, ContentPart, MessageContent, ReasoningEffort, Tool, ToolCall,
    ToolResponse,
};
use serde_json::{Value, json};

use super::tap::Tap;
use crate::{
    config::ProviderKind,
    llm::{ChatMessage, ModelRequest, ToolRequest, ToolSpec},
};

/// Maximum number of bytes of text per token. An answer with more bytes per token is considered endless.
const BYTES_PER_TOKEN: usize = 32;

/// Lower bound of the size limit of an answer, in bytes.
const MIN_ANSWER_BYTES: usize = 64 * 1024;

/// Options of one attempt.
pub(super) fn options(request: &ModelRequest, kind: ProviderKind, tap: Arc<Tap>) -> ChatOptions {
    let options = ChatOptions::default()
        .with_max_tokens(request.max_output_tokens)
        .with_capture_usage(true)
        .with_raw_frame_sink_arc(tap);
    match kind {
        // `Tap` assembles the tool calls of this protocol. genai's own code allocates memory up to the index that the
        // provider sends, so a single frame could use up all memory. The reasoning budget is not sent in this protocol.
        // It is set only because genai would otherwise derive a reasoning effort from model names that end in -low,
        // -high or -none.
        ProviderKind::OpenAi => options.with_reasoning_effort(ReasoningEffort::Budget(0)),
        ProviderKind::Anthropic | ProviderKind::Gemini => options.with_capture_tool_calls(true),
    }
}

/// Maximum size of text and reasoning in bytes. The answer is cut at this size even if the provider ignores the token
/// limit.
pub(super) fn answer_limit(request: &ModelRequest) -> usize {
    usize::try_from(request.max_output_tokens)
        .unwrap_or(usize::MAX)
        .saturating_mul(BYTES_PER_TOKEN)
        .max(MIN_ANSWER_BYTES)
}

/// Converts the conversation and the tools.
pub(super) fn chat(request: &ModelRequest) -> ChatRequest {
    let chat = ChatRequest::from_messages(messages(&request.messages));
    let chat = if request.system.is_empty() {
        chat
    } else {
        chat.with_system(request.system.as_str())
    };
    if request.tools.is_empty() {
        chat
    } else {
        chat.with_tools(request.tools.iter().map(tool))
    }
}

fn tool(spec: &ToolSpec) -> Tool {
    Tool::new(spec.name.as_str())
        .with_description(spec.description.as_str())
        .with_schema(spec.parameters.clone())
}

fn messages(history: &[ChatMessage]) -> Vec<Said> {
    let mut said: Vec<Said> = Vec::with_capacity(history.len());
    let mut answers: Vec<ToolResponse> = Vec::new();
    for message in history {
        // Some providers require the results of all calls of one answer in a single message.
        if !matches!(message, ChatMessage::Tool { .. }) && !answers.is_empty() {
            said.push(Said::tool(MessageContent::from_tool_responses(std::mem::take(
                &mut answers,
            ))));
        }
        match message {
            ChatMessage::User { text } => said.push(Said::user(text.as_str())),
            ChatMessage::Assistant { text, tool_calls } => said.extend(assistant(text, tool_calls)),
            ChatMessage::Tool {
                tool_call_id,
                name,
                text,
                is_error,
            } => {
                let text = if *is_error {
                    format!("The call failed.\n{text}")
                } else {
                    text.clone()
                };
                answers.push(ToolResponse::new(tool_call_id.as_str(), text).with_fn_name(name.as_str()));
            }
        }
    }
    if !answers.is_empty() {
        said.push(Said::tool(MessageContent::from_tool_responses(answers)));
    }
    said
}

/// Converts a message of the model. An empty message is skipped, because providers refuse it.
fn assistant(text: &str, calls: &[ToolRequest]) -> Option<Said> {
    let mut parts: Vec<ContentPart> = Vec::with_capacity(1 + calls.len());
    if !text.is_empty() {
        parts.push(ContentPart::from_text(text));
    }
    parts.extend(calls.iter().map(|call| {
        ContentPart::ToolCall(ToolCall {
            call_id: call.id.clone(),
            fn_name: call.name.clone(),
            fn_arguments: arguments(&call.arguments),
            thought_signatures: None,
        })
    }));
    (!parts.is_empty()).then(|| Said::assistant(MessageContent::from_parts(parts)))
}

/// Converts arguments to the JSON object that providers require, even if the model sent something else.
fn arguments(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => value,
        Ok(_) | Err(_) if text.trim().is_empty() => json!({}),
        Ok(_) | Err(_) => json!({"invalid_arguments": text}),
    }
}
