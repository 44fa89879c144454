//! Reads raw frames for the information that genai does not pass on: the arrival time of each frame, and the end of an
//! OpenAI-compatible answer.
//!
//! genai reports the end only when `[DONE]` arrives. It drops tool calls without an index, and the index in a frame
//! determines how much memory genai allocates. The tap therefore parses the end and the tool calls from the raw frames
//! itself, with limits. Text and reasoning come from genai.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use genai::chat::{ChatFrameSink, FrameCtx, RawFrameRef};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    config::ProviderKind,
    llm::{EndReason, ModelEvent, TokenUsage, ToolRequest},
};

/// Maximum number of tool calls in one answer.
const MAX_CALLS: usize = 128;

/// Maximum total size in bytes of the ids, names and arguments of all tool calls of one answer.
pub(super) const MAX_ARGUMENT_BYTES: usize = 4 * 1024 * 1024;

/// Parses the raw frames of one attempt.
pub(super) struct Tap {
    kind: ProviderKind,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    last_frame: Option<Instant>,
    calls: Vec<Call>,
    argument_bytes: usize,
    overflow: bool,
    refusal: String,
    usage: Option<TokenUsage>,
    finish: Option<String>,
}

#[derive(Default)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

/// The end of an answer, parsed from its frames.
pub(super) struct StreamEnd {
    /// A refusal as text, the tool calls, the usage and the end, in this order.
    pub(super) events: VecDeque<ModelEvent>,
    /// True if a finish reason or a refusal arrived.
    pub(super) is_finished: bool,
}

impl Tap {
    pub(super) fn new(kind: ProviderKind) -> Arc<Self> {
        Arc::new(Self {
            kind,
            seen: Mutex::default(),
        })
    }

    /// Protocol of the answer.
    pub(super) fn kind(&self) -> ProviderKind {
        self.kind
    }

    /// Arrival time of the last frame; `None` before the first frame. Keep-alive comments count as frames.
    pub(super) fn last_frame(&self) -> Option<Instant> {
        self.lock().last_frame
    }

    /// Returns whether the tool calls exceed their size or number limit.
    pub(super) fn has_overflown(&self) -> bool {
        self.lock().overflow
    }

    /// Returns whether a finish reason has arrived.
    pub(super) fn is_finished(&self) -> bool {
        self.lock().finish.is_some()
    }

    /// Returns the last events of an OpenAI-compatible answer and forgets all frames.
    pub(super) fn take_ending(&self) -> StreamEnd {
        let mut seen = std::mem::take(&mut *self.lock());
        let mut events = VecDeque::new();
        if !seen.refusal.is_empty() {
            events.push_back(ModelEvent::Text(std::mem::take(&mut seen.refusal)));
            seen.finish = Some("refusal".to_owned());
        }
        events.extend(seen.calls.into_iter().enumerate().map(|(position, call)| {
            let id = if call.id.is_empty() {
                format!("call_{position}")
            } else {
                call.id
            };
            ModelEvent::ToolCall(ToolRequest {
                id,
                name: call.name,
                arguments: call.arguments,
            })
        }));
        events.extend(seen.usage.map(ModelEvent::Usage));
        let reason = match seen.finish.as_deref() {
            Some("length" | "max_tokens" | "model_length") => EndReason::Length,
            Some("content_filter" | "refusal") => EndReason::Refused,
            _ => EndReason::Done,
        };
        events.push_back(ModelEvent::End(reason));
        StreamEnd {
            events,
            is_finished: seen.finish.is_some(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChatFrameSink for Tap {
    fn on_frame(&self, _: &FrameCtx, frame: RawFrameRef<'_>) {
        let mut seen = self.lock();
        seen.last_frame = Some(Instant::now());
        if self.kind != ProviderKind::OpenAi {
            return;
        }
        if let Ok(chunk) = serde_json::from_str::<Chunk>(frame.data) {
            seen.take(chunk);
        }
    }
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Option<Vec<Choice>>,
    #[serde(default)]
    usage: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Option<Delta>,
    #[serde(default)]
    finish_reason: Option<Value>,
}

#[derive(Deserialize)]
struct Delta {
    #[serde(default)]
    tool_calls: Option<Value>,
    #[serde(default)]
    refusal: Option<Value>,
}

impl Seen {
    fn take(&mut self, chunk: Chunk) {
        if let Some(usage) = chunk.usage.as_ref().and_then(usage) {
            self.usage = Some(usage);
        }
        let Some(choice) = chunk.choices.and_then(|choices| choices.into_iter().next()) else {
            return;
        };
        if let Some(delta) = choice.delta {
            if let Some(Value::Array(calls)) = delta.tool_calls {
                for call in &calls {
                    self.take_call(call);
                }
            }
            if let Some(refusal) = delta.refusal.as_ref().and_then(Value::as_str)
                && self.refusal.len() < MAX_ARGUMENT_BYTES
            {
                self.refusal.push_str(refusal);
            }
        }
        if let Some(Value::String(finish)) = choice.finish_reason {
            self.finish = Some(finish);
        }
    }

    fn take_call(&mut self, delta: &Value) {
        let index = delta["index"].as_u64();
        let id = delta["id"].as_str().unwrap_or_default();
        let function = &delta["function"];
        let name = function["name"].as_str().unwrap_or_default();
        let arguments = match &function["arguments"] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            // Some local servers send an object instead of a string.
            other => other.to_string(),
        };
        self.argument_bytes += id.len() + name.len() + arguments.len();
        if self.argument_bytes > MAX_ARGUMENT_BYTES || self.calls.len() >= MAX_CALLS {
            self.overflow = true;
            return;
        }
        let position = self.position(index, id, name);
        let Some(call) = self.calls.get_mut(position) else {
            return;
        };
        if call.id.is_empty() {
            id.clone_into(&mut call.id);
        }
        if call.name.is_empty() {
            name.clone_into(&mut call.name);
        }
        call.arguments.push_str(&arguments);
    }

    /// Returns the position of the call to which a delta belongs, and adds the call if it is new. A delta refers to its
    /// call by an index if it has one, otherwise by an id. A delta without an index and without an id belongs to the
    /// newest call.
    fn position(&mut self, index: Option<u64>, id: &str, name: &str) -> usize {
        let known = self.calls.iter().rposition(|call| match index {
            Some(_) => call.index == index,
            None => id.is_empty() || call.id == id,
        });
        if let Some(known) = known {
            let call = &self.calls[known];
            // Some servers give all calls the index 0 or no index. With such servers, a different id or a second name
            // starts another call.
            let is_other = !name.is_empty()
                && !call.name.is_empty()
                && ((!id.is_empty() && call.id != id) || (id.is_empty() && index.is_none()));
            if !is_other {
                return known;
            }
        }
        self.calls.push(Call {
            index,
            ..Call::default()
        });
        self.calls.len() - 1
    }
}

/// Parses token counts. Values that are not token counts are ignored, because the provider may send any JSON.
fn usage(value: &Value) -> Option<TokenUsage> {
    let count = |value: &Value| {
        let number = value.as_f64().filter(|number| number.is_finite() && *number >= 0.0)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be finite and not negative"
        )]
        Some(value.as_u64().unwrap_or(number as u64))
    };
    let input = count(&value["prompt_tokens"]);
    let output = count(&value["completion_tokens"]);
    (input.is_some() || output.is_some()).then(|| TokenUsage {
        input: input.unwrap_or(0),
        output: output.unwrap_or(0),
        cached_input: count(&value["prompt_tokens_details"]["cached_tokens"]).unwrap_or(0),
    })
}
