//! Repairs a conversation so that providers accept it: exactly one result follows each tool call.
//!
//! Also creates notes: user messages that the engine sends to the model and never stores.

use std::collections::BTreeMap;

use crate::llm::{ChatMessage, ToolRequest};

/// Prefix of the engine's notes to the model.
pub const NOTE: &str = "[note from Runyard] ";

/// Result of a call that was interrupted before its result was recorded.
pub const INTERRUPTED: &str = "interrupted, outcome unknown: the worker stopped while this call was running. The call may \
                               have done all, some or none of its work. Check before you repeat it.";

pub(super) fn note(text: &str) -> ChatMessage {
    ChatMessage::user(format!("{NOTE}{text}"))
}

pub(super) fn is_note(message: &ChatMessage) -> bool {
    matches!(message, ChatMessage::User { text, .. } if text.starts_with(NOTE))
}

/// Moves each result directly after its call, and adds missing results. Drops empty assistant messages and results
/// without a call.
pub(super) fn mend(messages: Vec<ChatMessage>) -> Vec<ChatMessage> {
    let mut mended = Vec::with_capacity(messages.len());
    let mut open: Vec<ToolRequest> = Vec::new();
    let mut results: BTreeMap<String, ChatMessage> = BTreeMap::new();
    for message in messages {
        match message {
            ChatMessage::Tool { ref tool_call_id, .. } => {
                if open.iter().any(|call| call.id == *tool_call_id) {
                    results.entry(tool_call_id.clone()).or_insert(message);
                }
            }
            message => {
                close(&mut mended, &mut open, &mut results);
                if let ChatMessage::Assistant { text, tool_calls, .. } = &message {
                    if text.is_empty() && tool_calls.is_empty() {
                        continue;
                    }
                    open.clone_from(tool_calls);
                }
                mended.push(message);
            }
        }
    }
    close(&mut mended, &mut open, &mut results);
    mended
}

fn close(mended: &mut Vec<ChatMessage>, open: &mut Vec<ToolRequest>, results: &mut BTreeMap<String, ChatMessage>) {
    for call in open.drain(..) {
        let result = results.remove(&call.id).unwrap_or_else(|| ChatMessage::Tool {
            tool_call_id: call.id,
            name: call.name,
            text: INTERRUPTED.to_owned(),
            images: Vec::new(),
            is_error: true,
        });
        mended.push(result);
    }
    results.clear();
}
