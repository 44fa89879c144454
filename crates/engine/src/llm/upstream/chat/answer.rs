//! Reads a Chat Completions answer, streamed or whole.
//!
//! Invariants: an answer is complete only after a known finish reason, or after an unknown finish reason and
//! `[DONE]`. Any reported error fails the answer. A chunk that cannot be parsed is skipped.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    finish::{self, Finish},
    frame::{Choice, Delta, Frame, Loose},
    hung::Hung,
};
use crate::llm::{
    EndReason, ModelRequest, TokenUsage,
    upstream::{
        calls::Calls,
        fault::Fault,
        profile::Profile,
        protocol::{Pieces, Reader},
        text::Splitter,
    },
};

pub(super) struct ChatReader {
    splitter: Splitter,
    calls: Calls,
    hung: Hung,
    usage: Option<TokenUsage>,
    timings: Option<TokenUsage>,
    finish: Option<(Finish, String)>,
    has_refused: bool,
    has_spoken: bool,
    is_done: bool,
}

impl ChatReader {
    pub(super) fn new(request: &ModelRequest, profile: &Profile) -> Self {
        Self {
            splitter: Splitter::new(profile.think_tags, &request.tools),
            calls: Calls::new(&request.tools),
            hung: Hung::default(),
            usage: None,
            timings: None,
            finish: None,
            has_refused: false,
            has_spoken: false,
            is_done: false,
        }
    }

    fn frame(&mut self, frame: &Frame<'_>, is_whole: bool, out: &mut Pieces) -> Result<(), Fault> {
        check(frame)?;
        self.count(&frame.usage, &frame.timings);
        if let Some(usage) = frame.x_groq.other().and_then(|groq| finish::usage(&groq["usage"])) {
            self.usage = Some(usage);
        }
        for choice in frame.choices.iter().flatten() {
            let is_first = choice.index.other().is_none_or(|index| index.as_u64() == Some(0));
            if is_first {
                self.choice(choice, is_whole, out)?;
            }
        }
        Ok(())
    }

    fn count(&mut self, usage: &Loose<'_>, timings: &Loose<'_>) {
        self.usage = usage.other().and_then(finish::usage).or(self.usage);
        self.timings = timings.other().and_then(finish::timings).or(self.timings);
    }

    fn choice(&mut self, choice: &Choice<'_>, is_whole: bool, out: &mut Pieces) -> Result<(), Fault> {
        self.count(&choice.usage, &Loose::Missing);
        // Some streams repeat the whole message after its chunks.
        let message = choice.message.as_ref().filter(|_| is_whole || !self.has_spoken);
        let delta = if is_whole {
            message.or(choice.delta.as_ref())
        } else {
            choice.delta.as_ref().or(message)
        };
        if let Some(delta) = delta {
            self.delta(delta, out)?;
        } else {
            self.say(choice.text.text(), out);
        }
        if let Some(error) = choice.error.error() {
            return Err(Fault::reported(&error));
        }
        let reason = choice.finish_reason.text().trim();
        if !reason.is_empty() {
            let finish = Finish::new(reason);
            if finish == Finish::Failed {
                return Err(Fault::passing(format!("the provider ended the answer with {reason:?}")));
            }
            self.finish = Some((finish, reason.to_owned()));
        }
        Ok(())
    }

    fn delta(&mut self, delta: &Delta<'_>, out: &mut Pieces) -> Result<(), Fault> {
        if let Some(error) = delta.error.error() {
            return Err(Fault::reported(&error));
        }
        let reasoning = self.hung.take(delta);
        self.has_spoken |= !reasoning.is_empty();
        out.reasoning(reasoning);
        match &delta.content {
            Loose::Missing => {}
            Loose::Text(text) => self.say(text, out),
            Loose::Other(content) => match content.as_array() {
                Some(parts) => parts.iter().for_each(|part| self.part(part, out)),
                None => self.part(content, out),
            },
        }
        self.refuse(delta.refusal.text(), out);
        match delta.tool_calls.other() {
            Some(Value::Array(calls)) => {
                for call in calls {
                    self.has_spoken = true;
                    self.calls.take(call)?;
                }
            }
            Some(call) => self.calls.take(call)?,
            None => {}
        }
        if let Some(function) = delta.function_call.other() {
            self.calls.take(&json!({"index": 0, "function": function}))?;
        }
        Ok(())
    }

    /// Reads one item of a message's content, which some providers send as a list instead of a string.
    fn part(&mut self, part: &Value, out: &mut Pieces) {
        let kind = part["type"].as_str().unwrap_or("text");
        match kind {
            "text" | "output_text" => self.say(part["text"].as_str().unwrap_or_default(), out),
            "thinking" | "reasoning" => {
                let thinking = &part["thinking"];
                let texts: Vec<&str> = match thinking {
                    Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
                    _ => thinking
                        .as_str()
                        .or_else(|| part["text"].as_str())
                        .into_iter()
                        .collect(),
                };
                out.reasoning(texts.concat());
            }
            "refusal" => self.refuse(part["refusal"].as_str().unwrap_or_default(), out),
            _ => out.skip(),
        }
    }

    fn say(&mut self, text: &str, out: &mut Pieces) {
        if !text.is_empty() {
            self.has_spoken = true;
            self.splitter.push(text, out);
        }
    }

    fn refuse(&mut self, text: &str, out: &mut Pieces) {
        self.has_refused |= !text.is_empty();
        self.say(text, out);
    }

    /// Reads an event that is not a single valid chunk: an error object, several chunks on separate lines, or invalid
    /// data.
    fn odd(&mut self, name: &str, data: &str, out: &mut Pieces) -> Result<(), Fault> {
        if let Ok(value) = serde_json::from_str::<Value>(data) {
            return match Frame::deserialize(&value) {
                Ok(frame) if is_flat_error(&frame) => Err(Fault::reported(&value)),
                Ok(frame) if value.is_object() => self.frame(&frame, false, out),
                _ => {
                    out.skip();
                    Ok(())
                }
            };
        }
        // Some servers omit the blank line between events.
        if data.contains('\n') {
            return data.lines().try_for_each(|line| self.event(name, line, out));
        }
        out.skip();
        Ok(())
    }
}

impl Reader for ChatReader {
    fn event(&mut self, name: &str, data: &str, out: &mut Pieces) -> Result<(), Fault> {
        let data = data.trim();
        if data == "[DONE]" {
            self.is_done = true;
            return self.finish(out);
        }
        if name == "error" {
            let error = serde_json::from_str(data).unwrap_or_else(|_| Value::String(data.to_owned()));
            return Err(Fault::reported(&error));
        }
        // Serde would also accept a JSON array with the fields of a chunk in order.
        if !data.starts_with('{') {
            return self.odd(name, data, out);
        }
        match serde_json::from_str::<Frame<'_>>(data) {
            Ok(frame) if is_flat_error(&frame) => Err(Fault::reported(&serde_json::from_str(data).unwrap_or_default())),
            Ok(frame) => self.frame(&frame, false, out),
            Err(_) => self.odd(name, data, out),
        }
    }

    fn whole(&mut self, body: &Value, out: &mut Pieces) -> Result<(), Fault> {
        let Ok(frame) = Frame::deserialize(body) else {
            return Err(Fault::reported(body));
        };
        self.frame(&frame, true, out)?;
        if frame.choices.is_none_or(|choices| choices.is_empty()) {
            return Err(Fault::reported(body));
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Pieces) -> Result<(), Fault> {
        let reason = match (&self.finish, self.is_done) {
            _ if self.has_refused => EndReason::Refused,
            (Some((Finish::Ended(reason), _)), _) => *reason,
            (Some((_, _)), true) => EndReason::Done,
            (Some((_, reason)), false) => {
                return Err(Fault::passing(format!(
                    "the stream ended with the unknown finish reason {reason:?}"
                )));
            }
            (None, true) if !self.has_spoken => return Err(Fault::passing("the provider's answer is empty")),
            (None, _) => return Err(Fault::passing("the stream ended before the answer was complete")),
        };
        let mut carried = Vec::new();
        let written = self.splitter.finish(out);
        if self.calls.is_empty() {
            for (number, mut call) in written.into_iter().enumerate() {
                call.id = format!("call_{number}");
                carried.push(json!({}));
                out.call(call)?;
            }
        } else {
            carried = self.calls.finish(out)?;
        }
        let mut message = std::mem::take(&mut self.hung).into_fields();
        let thought = self.splitter.thought();
        if !thought.is_empty() {
            message.insert(THOUGHT.to_owned(), Value::String(thought.to_owned()));
        }
        if let Some(usage) = self.usage.or(self.timings) {
            out.usage(usage);
        }
        let is_plain = |call: &Value| call.as_object().is_none_or(Map::is_empty);
        if !message.is_empty() || !carried.iter().all(is_plain) {
            out.carry(json!({"message": message, "calls": carried}));
        }
        out.end(reason);
        Ok(())
    }

    fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    fn is_complete(&self) -> bool {
        matches!(self.finish, Some((Finish::Ended(_), _)))
    }
}

/// Key in the provider data for reasoning that arrived as part of the text.
pub(super) const THOUGHT: &str = "thought_in_text";

fn check(frame: &Frame<'_>) -> Result<(), Fault> {
    if let Some(error) = frame.error.error() {
        return Err(Fault::reported(&error));
    }
    let groq = frame.x_groq.other().map(|groq| &groq["error"]);
    if let Some(error) = groq.filter(|error| error.as_str().is_some_and(|error| !error.is_empty())) {
        return Err(Fault::reported(error));
    }
    if let Some(status) = frame.base_resp.other()
        && status["status_code"].as_i64().is_some_and(|code| code != 0)
    {
        return Err(Fault::reported(&json!({"base_resp": status})));
    }
    Ok(())
}

/// Returns whether the chunk itself is an error object.
fn is_flat_error(frame: &Frame<'_>) -> bool {
    let has_choices = frame.choices.as_ref().is_some_and(|choices| !choices.is_empty());
    let is_named = [&frame.object, &frame.r#type]
        .iter()
        .any(|name| name.text().contains("error"));
    !has_choices && (frame.detail.error().is_some() || (is_named && frame.error.error().is_none()))
}
