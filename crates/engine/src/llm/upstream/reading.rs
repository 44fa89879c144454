//! Test helpers that build requests and read scripted answers.

use serde_json::{Map, Value, json};

use super::{
    fault::Fault,
    profile::{Overlay, Profile, family},
    protocol::{Pieces, Reader},
};
use crate::llm::{Carried, ChatMessage, EndReason, ModelEvent, ModelRequest, TokenUsage, ToolRequest, ToolSpec};

/// The events of a reader, joined to an answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) reasoning: String,
    pub(super) calls: Vec<ToolRequest>,
    pub(super) usage: Option<TokenUsage>,
    pub(super) end: Option<EndReason>,
    pub(super) carried: Option<Value>,
    /// Number of parts that could not be parsed.
    pub(super) skipped: u64,
}

impl Answer {
    pub(super) fn calls(&self) -> Vec<(&str, &str, &str)> {
        self.calls
            .iter()
            .map(|call| (call.id.as_str(), call.name.as_str(), call.arguments.as_str()))
            .collect()
    }

    fn take(&mut self, mut out: Pieces) {
        while let Some(event) = out.pop() {
            match event {
                ModelEvent::Text(text) => self.text.push_str(&text),
                ModelEvent::Reasoning(text) => self.reasoning.push_str(&text),
                ModelEvent::ToolCall(call) => self.calls.push(call),
                ModelEvent::Usage(usage) => self.usage = Some(usage),
                ModelEvent::End(end) => self.end = Some(end),
                ModelEvent::Retried { .. } | ModelEvent::Carried(_) => {}
            }
        }
        self.carried = out.take_carried();
        self.skipped = out.take_skipped();
    }
}

pub(super) fn read(mut reader: impl Reader, events: &[(&str, Value)]) -> Result<Answer, Fault> {
    let mut out = Pieces::default();
    for (name, data) in events {
        reader.event(name, &data.to_string(), &mut out)?;
        if out.ending().is_some() {
            break;
        }
    }
    if out.ending().is_none() {
        reader.finish(&mut out)?;
    }
    let mut answer = Answer::default();
    answer.take(out);
    Ok(answer)
}

pub(super) fn read_whole(mut reader: impl Reader, body: &Value) -> Result<Answer, Fault> {
    let mut out = Pieces::default();
    reader.whole(body, &mut out)?;
    reader.finish(&mut out)?;
    let mut answer = Answer::default();
    answer.take(out);
    Ok(answer)
}

pub(super) fn request(model: &str, messages: Vec<ChatMessage>) -> ModelRequest {
    ModelRequest {
        model: model.to_owned(),
        system: "Be brief.".to_owned(),
        messages,
        tools: vec![ToolSpec {
            name: "bash".to_owned(),
            description: "Runs a command.".to_owned(),
            parameters: json!({"type": "object"}),
        }],
        output: None,
        max_output_tokens: 1000,
        reasoning_effort: None,
        extra_body: Map::new(),
        vision: crate::config::VisionSettings::UNSET,
    }
}

pub(super) fn profile(model: &str) -> Profile {
    Profile::new("p", model, Overlay::default())
}

pub(super) fn user(text: &str) -> ChatMessage {
    ChatMessage::user(text)
}

/// Returns a message that calls `bash` once per id. `carried` names a model of the provider `p`, and has the provider
/// data of this model.
pub(super) fn called(text: &str, ids: &[&str], carried: Option<(&str, Value)>) -> ChatMessage {
    ChatMessage::Assistant {
        text: text.to_owned(),
        tool_calls: ids
            .iter()
            .map(|id| ToolRequest {
                id: (*id).to_owned(),
                name: "bash".to_owned(),
                arguments: "{\"command\":\"ls\"}".to_owned(),
            })
            .collect(),
        carried: carried.map(|(model, value)| Carried {
            provider: "p".to_owned(),
            family: family(model),
            value,
        }),
    }
}

/// Returns the result of a call. Only the call `bad` failed.
pub(super) fn result(id: &str) -> ChatMessage {
    ChatMessage::Tool {
        tool_call_id: id.to_owned(),
        name: "bash".to_owned(),
        text: format!("result of {id}"),
        images: Vec::new(),
        is_error: id == "bad",
    }
}
