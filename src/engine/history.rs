//! The conversation as providers accept it: every call has exactly one result, right behind it.
//!
//! `turn` mends the history that it is given once; what it adds itself keeps the order. Notes of the engine to the model are
//! user messages that open with [`NOTE`]; they are never stored.

use std::collections::BTreeMap;

use crate::llm::{ChatMessage, ToolRequest};

/// How a note of the engine to the model begins.
pub const NOTE: &str = "[note from Runyard] ";

/// What the model is told of a call that changes things and was interrupted.
pub const INTERRUPTED: &str = "interrupted, outcome unknown: the worker stopped while this call was running. The call may \
                               have done all, some or none of its work. Check before you repeat it.";

/// A note of the engine to the model.
pub(super) fn note(text: &str) -> ChatMessage {
    ChatMessage::User {
        text: format!("{NOTE}{text}"),
    }
}

/// Whether a message is a note of the engine.
pub(super) fn is_note(message: &ChatMessage) -> bool {
    matches!(message, ChatMessage::User { text } if text.starts_with(NOTE))
}

/// Puts each result behind its call, makes up what is missing, drops results without a call and empty messages.
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
                if let ChatMessage::Assistant { text, tool_calls } = &message {
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
            is_error: true,
        });
        mended.push(result);
    }
    results.clear();
}
