//! The events that the engine records, built in one place.
//!
//! Called by `turn`, `answer` and `calls`. The invariant: no text that leaves the engine holds a NUL, which not every
//! database can store, and no event nests deeper than a protobuf reader follows.

use std::time::Duration;

use serde_json::Value;

use super::{Recorded, StoredMessage, answer::Answer};
use crate::{
    id,
    llm::{ChatMessage, TokenUsage, ToolRequest},
    tools::ToolAnswer,
    v1::{MessageFinished, ModelUsage, Notice, NoticeKind, ToolCall, ToolResult, run_event::Event},
};

/// How deep arguments may nest: readers of protobuf stop at 100 messages, and a level of a Struct takes three.
const MAX_STRUCT_DEPTH: usize = 24;

/// The text without NUL characters.
pub(super) fn clean(text: &str) -> String {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text.to_owned()
    }
}

pub(super) fn notice_event(kind: NoticeKind, message: impl Into<String>) -> Event {
    Event::Notice(Notice {
        kind: kind.into(),
        message: message.into(),
    })
}

pub(super) fn notice(kind: NoticeKind, message: impl Into<String>) -> Recorded {
    Recorded {
        event: notice_event(kind, message),
        message: None,
    }
}

/// A finished message of the model, with the calls that it makes.
pub(super) fn message(answer: &Answer, calls: Vec<ToolRequest>, partial: bool) -> Recorded {
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
                tool_calls: calls,
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

/// A call that is about to start.
pub(super) fn tool_call(request: &ToolRequest, arguments: &Value) -> Recorded {
    let fields = match arguments {
        Value::Object(fields) if depth(arguments) <= MAX_STRUCT_DEPTH => Some(fields),
        _ => None,
    };
    let event = Event::ToolCall(ToolCall {
        tool_call_id: request.id.clone(),
        name: request.name.clone(),
        arguments: fields.map(to_struct),
        invalid_arguments: fields.is_none().then(|| request.arguments.clone()),
    });
    Recorded { event, message: None }
}

/// A call that has ended, with the message that tells the model.
pub(super) fn tool_result(request: &ToolRequest, answer: &ToolAnswer, took: Duration) -> (Recorded, ChatMessage) {
    let message = ChatMessage::Tool {
        tool_call_id: request.id.clone(),
        name: request.name.clone(),
        text: answer.text.clone(),
        is_error: answer.is_error,
    };
    let event = Event::ToolResult(ToolResult {
        tool_call_id: request.id.clone(),
        name: request.name.clone(),
        is_error: answer.is_error,
        text: answer.text.clone(),
        truncated: answer.truncated,
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

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn to_struct(fields: &serde_json::Map<String, Value>) -> prost_types::Struct {
    prost_types::Struct {
        fields: fields
            .iter()
            .map(|(name, value)| (clean(name), to_value(value)))
            .collect(),
    }
}

fn to_value(value: &Value) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(0.0)),
        Value::String(text) => Kind::StringValue(clean(text)),
        Value::Array(items) => Kind::ListValue(prost_types::ListValue {
            values: items.iter().map(to_value).collect(),
        }),
        Value::Object(fields) => Kind::StructValue(to_struct(fields)),
    };
    prost_types::Value { kind: Some(kind) }
}
