//! Builds the events that the engine records. Invariants: no text contains NUL, which PostgreSQL cannot store, and no
//! event is nested more deeply than protobuf readers accept.

use std::time::Duration;

use runyard_contract::{
    structs,
    v1::{
        Attachment, MessageFinished, ModelUsage, Notice, NoticeKind, ToolCall, ToolResult, UserMessage,
        run_event::Event,
    },
};
use serde_json::Value;

use super::{AddedMessage, Recorded, StoredMessage, answer::Answer};
use crate::{
    id,
    images::Image,
    llm::{Carried, ChatMessage, TokenUsage, ToolRequest},
    tools::ToolAnswer,
};

pub(super) fn notice_event(kind: NoticeKind, message: impl Into<String>) -> Event {
    Event::Notice(Notice {
        kind: kind.into(),
        // The message may quote the provider and thus contain NUL.
        message: structs::without_nul(&message.into()),
    })
}

pub(super) fn notice(kind: NoticeKind, message: impl Into<String>) -> Recorded {
    Recorded {
        event: notice_event(kind, message),
        message: None,
    }
}

pub(super) fn user_message(added: &AddedMessage) -> Recorded {
    Recorded {
        event: Event::UserMessage(UserMessage {
            message_id: added.message_id.to_string(),
            text: added.text.clone(),
        }),
        message: None,
    }
}

pub(super) fn message(answer: &Answer, calls: Vec<ToolRequest>) -> Recorded {
    recorded(answer, calls, answer.carried.clone(), false)
}

/// Returns `None` for an answer without text.
pub(super) fn partial_message(answer: &Answer) -> Option<Recorded> {
    (!answer.text.is_empty()).then(|| recorded(answer, Vec::new(), None, true))
}

fn recorded(answer: &Answer, tool_calls: Vec<ToolRequest>, carried: Option<Carried>, partial: bool) -> Recorded {
    let text = answer.text.clone();
    Recorded {
        event: Event::Message(MessageFinished {
            message_id: answer.message_id.to_string(),
            text: text.clone(),
            partial,
        }),
        message: Some(StoredMessage {
            message_id: answer.message_id,
            message: ChatMessage::Assistant {
                text,
                tool_calls,
                carried,
            },
            partial,
        }),
    }
}

pub(super) fn usage(model_name: &str, usage: TokenUsage, estimated: bool) -> Recorded {
    let tokens = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let event = Event::Usage(ModelUsage {
        model_name: model_name.to_owned(),
        input_tokens: tokens(usage.input),
        output_tokens: tokens(usage.output),
        cached_input_tokens: tokens(usage.cached_input),
        estimated,
        credits: 0.0,
    });
    Recorded { event, message: None }
}

/// Builds the event for a tool call, which is recorded before the tool starts.
pub(super) fn tool_call(request: &ToolRequest, arguments: &Value) -> Recorded {
    let arguments = structs::object(arguments);
    let event = Event::ToolCall(ToolCall {
        tool_call_id: request.id.clone(),
        name: request.name.clone(),
        invalid_arguments: arguments.is_none().then(|| request.arguments.clone()),
        arguments,
    });
    Recorded { event, message: None }
}

pub(super) fn tool_result(request: &ToolRequest, answer: &ToolAnswer, took: Duration) -> (Recorded, ChatMessage) {
    let message = ChatMessage::Tool {
        tool_call_id: request.id.clone(),
        name: request.name.clone(),
        text: answer.text.clone(),
        images: answer.images.clone(),
        is_error: answer.is_error,
    };
    let event = Event::ToolResult(ToolResult {
        tool_call_id: request.id.clone(),
        name: request.name.clone(),
        is_error: answer.is_error,
        text: answer.text.clone(),
        truncated: answer.truncated,
        attachments: answer.images.iter().filter_map(attachment).collect(),
        duration_ms: i64::try_from(took.as_millis()).unwrap_or(i64::MAX),
    });
    let stored = StoredMessage {
        message_id: id::new(),
        message: message.clone(),
        partial: false,
    };
    (
        Recorded {
            event,
            message: Some(stored),
        },
        message,
    )
}

/// Describes an image that is in a file of the workspace; `None` for any other image.
fn attachment(image: &Image) -> Option<Attachment> {
    Some(Attachment {
        name: image.name().to_owned(),
        path: image.path()?.to_owned(),
        size: i64::try_from(image.size()).unwrap_or(i64::MAX),
        content_type: image.media_type().to_owned(),
        width: Some(image.width()),
        height: Some(image.height()),
    })
}
