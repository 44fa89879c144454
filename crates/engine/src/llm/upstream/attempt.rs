//! One attempt of a call: a genai stream that is checked for silence, excessive size and a missing end.

use std::{collections::VecDeque, pin::Pin, sync::Arc};

use futures::StreamExt;
use genai::chat::{ChatStream, ChatStreamEvent, MessageContent, StopReason, StreamEnd, Usage};
use serde_json::Value;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    Timeouts,
    fault::{self, Fault, Scrubber},
    tap::{MAX_ARGUMENT_BYTES, Tap},
};
use crate::{
    config::ProviderKind,
    llm::{EndReason, ModelEvent, TokenUsage, ToolRequest},
};

/// Next item of an attempt.
pub(super) enum Step {
    Event(ModelEvent),
    End,
    Fault(Fault),
}

pub(super) struct Attempt {
    stream: ChatStream,
    tap: Arc<Tap>,
    scrubber: Scrubber,
    timeouts: Timeouts,
    opened_at: Instant,
    alarm: Pin<Box<Sleep>>,
    ready: VecDeque<ModelEvent>,
    bytes: usize,
    max_bytes: usize,
    has_started: bool,
    is_over: bool,
}

impl Attempt {
    pub(super) fn new(
        stream: ChatStream,
        tap: Arc<Tap>,
        timeouts: Timeouts,
        scrubber: Scrubber,
        max_bytes: usize,
    ) -> Self {
        let opened_at = Instant::now();
        Self {
            stream,
            tap,
            scrubber,
            timeouts,
            opened_at,
            alarm: Box::pin(sleep_until(opened_at + timeouts.first_byte)),
            ready: VecDeque::new(),
            bytes: 0,
            max_bytes,
            has_started: false,
            is_over: false,
        }
    }

    /// Returns whether any part of the answer has arrived. If so, a retry could repeat text.
    pub(super) fn has_started(&self) -> bool {
        self.has_started
    }

    pub(super) async fn next(&mut self) -> Step {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Step::Event(event);
            }
            if self.is_over {
                return Step::End;
            }
            let item = tokio::select! {
                biased;
                item = self.stream.next() => item,
                () = &mut self.alarm => {
                    if let Some(fault) = self.check_silence() {
                        return Step::Fault(fault);
                    }
                    continue;
                }
            };
            let handled = match item {
                Some(Ok(event)) => self.take(event),
                Some(Err(_)) if self.tap.is_finished() => self.finish(),
                Some(Err(error)) => Err(fault::classify(&error, &self.scrubber)),
                None => self.finish(),
            };
            if let Err(fault) = handled {
                return Step::Fault(fault);
            }
        }
    }

    /// Checks whether the provider has been silent for too long. If frames have arrived meanwhile, the alarm is set to
    /// a later time. Setting the alarm at each frame would cost more.
    fn check_silence(&mut self) -> Option<Fault> {
        let (deadline, what) = match self.tap.last_frame() {
            None => (
                self.opened_at + self.timeouts.first_byte,
                "the provider sent nothing for",
            ),
            Some(at) => (at + self.timeouts.gap, "the provider stopped sending for"),
        };
        if Instant::now() < deadline {
            self.alarm.as_mut().reset(deadline);
            return None;
        }
        if self.tap.is_finished() {
            return self.finish().err();
        }
        let limit = if self.tap.last_frame().is_none() {
            self.timeouts.first_byte
        } else {
            self.timeouts.gap
        };
        Some(Fault::passing(format!("{what} {:.0} s", limit.as_secs_f64())))
    }

    fn take(&mut self, event: ChatStreamEvent) -> Result<(), Fault> {
        match event {
            ChatStreamEvent::Start | ChatStreamEvent::Heartbeat => {}
            ChatStreamEvent::Chunk(chunk) => self.say(chunk.content, ModelEvent::Text),
            ChatStreamEvent::ReasoningChunk(chunk) => self.say(chunk.content, ModelEvent::Reasoning),
            ChatStreamEvent::ThoughtSignatureChunk(_) => self.start(),
            ChatStreamEvent::ToolCallChunk(chunk) => {
                self.start();
                // The tap counts the arguments only for the OpenAI protocol. For the other protocols, each chunk of
                // genai contains all arguments of its call that have arrived so far.
                let bytes = chunk.tool_call.fn_arguments.as_str().map_or(0, str::len);
                if self.tap.has_overflown() || bytes > MAX_ARGUMENT_BYTES {
                    return Err(Fault::passing("the tool calls exceed the size limit of an answer"));
                }
            }
            ChatStreamEvent::End(end) => self.end(end)?,
        }
        Ok(())
    }

    fn start(&mut self) {
        if !self.has_started {
            self.has_started = true;
            // The alarm is still set to the time limit of the first event, which may be later than the limit for the
            // next event.
            self.alarm.as_mut().reset(Instant::now() + self.timeouts.gap);
        }
    }

    fn say(&mut self, text: String, event: fn(String) -> ModelEvent) {
        if text.is_empty() {
            return;
        }
        self.start();
        self.bytes += text.len();
        self.ready.push_back(event(text));
        if self.bytes > self.max_bytes {
            self.ready.push_back(ModelEvent::End(EndReason::Length));
            self.is_over = true;
        }
    }

    /// Handles the regular end of the stream.
    fn end(&mut self, end: StreamEnd) -> Result<(), Fault> {
        if self.tap.kind() == ProviderKind::OpenAi {
            return self.finish_openai(true);
        }
        // genai also reports an end if the connection was closed too early. Only a complete answer has a stop reason.
        let Some(reason) = end.captured_stop_reason else {
            return Err(Fault::passing("the stream ended before the answer was complete"));
        };
        let usage = end.captured_usage.as_ref().and_then(usage);
        let calls = end
            .captured_content
            .map(MessageContent::into_tool_calls)
            .unwrap_or_default();
        self.ready.extend(calls.into_iter().map(|call| {
            let arguments = match call.fn_arguments {
                Value::String(text) => text,
                other => other.to_string(),
            };
            ModelEvent::ToolCall(ToolRequest {
                id: call.call_id,
                name: call.fn_name,
                arguments,
            })
        }));
        self.ready.extend(usage.map(ModelEvent::Usage));
        self.ready.push_back(ModelEvent::End(match reason {
            StopReason::MaxTokens(_) => EndReason::Length,
            StopReason::ContentFilter(_) => EndReason::Refused,
            StopReason::Completed(_) | StopReason::ToolCall(_) | StopReason::StopSequence(_) | StopReason::Other(_) => {
                EndReason::Done
            }
        }));
        self.is_over = true;
        Ok(())
    }

    /// Handles the end of the connection if the provider did not report the end of the stream.
    fn finish(&mut self) -> Result<(), Fault> {
        if self.tap.kind() == ProviderKind::OpenAi {
            return self.finish_openai(false);
        }
        Err(Fault::passing("the stream ended before the answer was complete"))
    }

    fn finish_openai(&mut self, is_done: bool) -> Result<(), Fault> {
        let ending = self.tap.take_ending();
        if !ending.is_finished && !is_done {
            let nothing = self.tap.last_frame().is_none() && !self.has_started;
            return Err(Fault::passing(if nothing {
                "the provider's answer is not an event stream; check the base URL"
            } else {
                "the stream ended before the answer was complete"
            }));
        }
        if !ending.is_finished && !self.has_started {
            return Err(Fault::passing("the provider's answer is empty"));
        }
        self.start();
        self.ready.extend(ending.events);
        self.is_over = true;
        Ok(())
    }
}

fn usage(usage: &Usage) -> Option<TokenUsage> {
    let count = |count: Option<i32>| count.and_then(|count| u64::try_from(count).ok());
    let input = count(usage.prompt_tokens);
    let output = count(usage.completion_tokens);
    (input.is_some() || output.is_some()).then(|| TokenUsage {
        input: input.unwrap_or(0),
        output: output.unwrap_or(0),
        cached_input: usage
            .prompt_tokens_details
            .as_ref()
            .and_then(|details| count(details.cached_tokens))
            .unwrap_or(0),
    })
}
