//! The interface of a wire protocol, which builds requests and reads answers without I/O.
//!
//! `upstream.rs` sends the requests. `attempt.rs` receives the answers, splits them into server-sent events, and
//! enforces timeouts and size limits.

use std::collections::VecDeque;

use reqwest::header::{HeaderMap, HeaderName};
use serde_json::Value;

use super::{fault::Fault, profile::Profile};
use crate::llm::{EndReason, ModelEvent, ModelRequest, TokenUsage, ToolRequest};

/// Maximum number of tool calls in an answer. With more calls, the attempt fails.
pub(super) const MAX_CALLS: usize = 128;

/// Maximum bytes of the ids, names and arguments of all tool calls of an answer.
pub(super) const MAX_ARGUMENT_BYTES: usize = 4 * 1024 * 1024;

/// Maximum bytes of an answer's provider data.
pub(super) const MAX_CARRIED_BYTES: usize = 1024 * 1024;

pub(super) trait Protocol: Send + Sync {
    /// Returns the header for the API key. In `authorization`, the key is a bearer token (RFC 6750).
    fn key_header(&self) -> HeaderName;

    /// Builds a request. Equal conversations give equal bytes, so that prompt caches work.
    fn request(&self, request: &ModelRequest, profile: &Profile) -> WireRequest;

    fn reader(&self, request: &ModelRequest, profile: &Profile) -> Box<dyn Reader>;
}

pub(super) struct WireRequest {
    /// Path below the base URL, such as `chat/completions`.
    pub(super) path: String,
    /// Query parameters of the protocol, such as `alt=sse`.
    pub(super) query: Vec<(&'static str, String)>,
    /// Headers of the protocol, such as `anthropic-version`.
    pub(super) headers: HeaderMap,
    /// The JSON body, without the configured `extra_body`.
    pub(super) body: Value,
}

/// Converts an answer to [`ModelEvent`]s.
pub(super) trait Reader: Send {
    /// Reads one server-sent event. An event without a name has the name `message`. Unknown events are counted with
    /// [`Pieces::skip`]. For the last event, such as `[DONE]`, the implementation calls [`Reader::finish`].
    ///
    /// # Errors
    /// The reported failure, or a temporary failure if the tool calls exceed the limits.
    fn event(&mut self, name: &str, data: &str, out: &mut Pieces) -> Result<(), Fault>;

    /// Reads an answer that is one JSON document. The caller then calls [`Reader::finish`].
    ///
    /// # Errors
    /// The reported failure.
    fn whole(&mut self, body: &Value, out: &mut Pieces) -> Result<(), Fault>;

    /// Handles the end of the answer. Adds to `out`, in this order: tool calls, usage, provider data, end.
    ///
    /// # Errors
    /// A temporary failure for an incomplete answer.
    fn finish(&mut self, out: &mut Pieces) -> Result<(), Fault>;

    /// Returns whether part of a tool call has arrived. A failure is then [`Fault::Broken`], which is retried only a
    /// few times. Only the Chat Completions reader implements this check.
    fn has_calls(&self) -> bool {
        false
    }

    /// Returns whether the answer is complete, so that a broken connection does not matter.
    fn is_complete(&self) -> bool;
}

/// Queue of the events that a reader has produced.
#[derive(Default)]
pub(super) struct Pieces {
    events: VecDeque<ModelEvent>,
    carried: Option<Value>,
    calls: usize,
    call_bytes: usize,
    skipped: u64,
}

impl Pieces {
    /// Adds a chunk of text, unless it is empty.
    pub(super) fn text(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.events.push_back(ModelEvent::Text(text));
        }
    }

    /// Adds a chunk of reasoning, unless it is empty.
    pub(super) fn reasoning(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.events.push_back(ModelEvent::Reasoning(text));
        }
    }

    /// Adds a tool call. Fails with a temporary failure if the calls are too many or too large.
    pub(super) fn call(&mut self, call: ToolRequest) -> Result<(), Fault> {
        self.calls += 1;
        self.call_bytes += call.id.len() + call.name.len() + call.arguments.len();
        if self.calls > MAX_CALLS || self.call_bytes > MAX_ARGUMENT_BYTES {
            return Err(Fault::passing("the tool calls exceed the size limit of an answer"));
        }
        self.events.push_back(ModelEvent::ToolCall(call));
        Ok(())
    }

    pub(super) fn usage(&mut self, usage: TokenUsage) {
        self.events.push_back(ModelEvent::Usage(usage));
    }

    /// Sets the provider data. Data over [`MAX_CARRIED_BYTES`] is dropped and counted as skipped.
    pub(super) fn carry(&mut self, value: Value) {
        if value.to_string().len() > MAX_CARRIED_BYTES {
            self.skip();
        } else {
            self.carried = Some(value);
        }
    }

    /// Adds the last event of the answer.
    pub(super) fn end(&mut self, reason: EndReason) {
        self.events.push_back(ModelEvent::End(reason));
    }

    /// Counts a part of the answer that could not be parsed.
    pub(super) fn skip(&mut self) {
        self.skipped += 1;
    }

    /// Removes and returns the next event. Does not return the provider data; see [`Pieces::take_carried`].
    pub(super) fn pop(&mut self) -> Option<ModelEvent> {
        self.events.pop_front()
    }

    pub(super) fn next_is_end(&self) -> bool {
        matches!(self.events.front(), Some(ModelEvent::End(_)))
    }

    pub(super) fn take_carried(&mut self) -> Option<Value> {
        self.carried.take()
    }

    pub(super) fn ending(&self) -> Option<EndReason> {
        match self.events.back() {
            Some(ModelEvent::End(reason)) => Some(*reason),
            _ => None,
        }
    }

    pub(super) fn waiting_calls(&self) -> impl Iterator<Item = &ToolRequest> {
        self.events.iter().filter_map(|event| match event {
            ModelEvent::ToolCall(call) => Some(call),
            _ => None,
        })
    }

    /// Removes the provider data and all events except text and reasoning.
    pub(super) fn drop_calls(&mut self) {
        self.carried = None;
        self.events
            .retain(|event| matches!(event, ModelEvent::Text(_) | ModelEvent::Reasoning(_)));
    }

    /// Returns and resets the number of skipped parts.
    pub(super) fn take_skipped(&mut self) -> u64 {
        std::mem::take(&mut self.skipped)
    }
}
