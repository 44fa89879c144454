//! Reads scripted answers in the unit tests of the readers.

use serde_json::Value;

use super::{
    fault::Fault,
    protocol::{Pieces, Reader},
};
use crate::llm::{EndReason, ModelEvent, TokenUsage, ToolRequest};

/// What a reader has found in an answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Text of the answer.
    pub(super) text: String,
    /// Reasoning of the answer.
    pub(super) reasoning: String,
    /// Tool calls.
    pub(super) calls: Vec<ToolRequest>,
    /// Usage.
    pub(super) usage: Option<TokenUsage>,
    /// End of the answer.
    pub(super) end: Option<EndReason>,
    /// Value that the provider wants back.
    pub(super) carried: Option<Value>,
    /// Number of pieces that were not understood.
    pub(super) skipped: u64,
}

impl Answer {
    /// Returns id, name and arguments of each call.
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

/// Reads events. Each one is the event's name and its data.
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

/// Reads an answer that is one document.
pub(super) fn read_whole(mut reader: impl Reader, body: &Value) -> Result<Answer, Fault> {
    let mut out = Pieces::default();
    reader.whole(body, &mut out)?;
    reader.finish(&mut out)?;
    let mut answer = Answer::default();
    answer.take(out);
    Ok(answer)
}
