//! Reads the answers of the Gemini protocol.

use serde::Deserialize;
use serde_json::Value;

use super::{
    super::{
        fault::Fault,
        held::{EMPTY_PART, Held, call_id},
        protocol::{Pieces, Reader},
        word::Word,
    },
    part::Part,
};
use crate::llm::{EndReason, LlmError, TokenUsage, ToolRequest};

/// Prefixes that Gemini sometimes adds to tool names, because Google presents tools to the model as members of
/// `default_api`.
const NAME_PREFIXES: &[&str] = &["default_api.", "default_api:"];

/// One event of an answer. Field names may be camelCase or snake_case, which some gateways use.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame<'a> {
    #[serde(borrow, default)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(default, alias = "prompt_feedback")]
    prompt_feedback: Option<Value>,
    #[serde(default, alias = "usage_metadata")]
    usage_metadata: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(default)]
    index: Option<u64>,
    #[serde(default)]
    content: Option<Content>,
    #[serde(borrow, default, alias = "finish_reason")]
    finish_reason: Option<Word<'a>>,
    #[serde(default, alias = "finish_message")]
    finish_message: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    parts: Option<Vec<Part>>,
}

#[derive(Default)]
struct Counts {
    prompt: Option<u64>,
    tool_use: Option<u64>,
    candidates: Option<u64>,
    thoughts: Option<u64>,
    cached: Option<u64>,
}

impl Counts {
    /// Keeps the largest value of each count.
    fn read(&mut self, usage: &Value) {
        let raise = |count: &mut Option<u64>, key: &str, other: &str| {
            let newer = usage[key].as_u64().or_else(|| usage[other].as_u64());
            *count = (*count).max(newer);
        };
        raise(&mut self.prompt, "promptTokenCount", "prompt_token_count");
        raise(
            &mut self.tool_use,
            "toolUsePromptTokenCount",
            "tool_use_prompt_token_count",
        );
        raise(&mut self.candidates, "candidatesTokenCount", "candidates_token_count");
        raise(&mut self.thoughts, "thoughtsTokenCount", "thoughts_token_count");
        raise(
            &mut self.cached,
            "cachedContentTokenCount",
            "cached_content_token_count",
        );
    }

    fn total(&self) -> Option<TokenUsage> {
        let sum = |one: Option<u64>, other: Option<u64>| one.unwrap_or(0).saturating_add(other.unwrap_or(0));
        self.prompt.or(self.candidates).map(|_| TokenUsage {
            input: sum(self.prompt, self.tool_use),
            output: sum(self.candidates, self.thoughts),
            cached_input: self.cached.unwrap_or(0),
        })
    }
}

#[derive(Default)]
pub(super) struct ContentReader {
    /// Parts of the answer. Adjacent text parts without signatures are merged.
    parts: Vec<Part>,
    calls: Vec<ToolRequest>,
    usage: Counts,
    held: Held,
    /// The finish reason and the provider's explanation; `None` until they arrive.
    finish: Option<(String, String)>,
}

impl Reader for ContentReader {
    fn event(&mut self, name: &str, data: &str, out: &mut Pieces) -> Result<(), Fault> {
        if data.trim_start().starts_with('[') {
            return self.list(data, out);
        }
        match serde_json::from_str::<Frame<'_>>(data) {
            Ok(frame) => self.frame(frame, data.len(), out),
            Err(_) if name == "error" => Err(Fault::reported(&Value::String(data.to_owned()))),
            Err(_) => {
                out.skip();
                Ok(())
            }
        }
    }

    fn whole(&mut self, body: &Value, out: &mut Pieces) -> Result<(), Fault> {
        self.event("message", &body.to_string(), out)?;
        let is_answer = |body: &Value| body["candidates"].is_array() || body["promptFeedback"].is_object();
        if is_answer(body) || body.as_array().is_some_and(|parts| parts.iter().any(is_answer)) {
            Ok(())
        } else {
            Err(Fault::reported(body))
        }
    }

    fn finish(&mut self, out: &mut Pieces) -> Result<(), Fault> {
        let Some((reason, explanation)) = self.finish.take() else {
            return Err(Fault::passing("the stream ended before the answer was complete"));
        };
        let ending = match end(&reason) {
            Ending::Good(ending) => ending,
            Ending::Bad => {
                return Err(Fault::passing(
                    format!("the provider ended the answer with {reason}: {explanation}").trim_end_matches(": "),
                ));
            }
            Ending::Unknown => {
                return Err(Fault::passing(format!(
                    "the provider ended the answer with an unknown reason: {reason}"
                )));
            }
        };
        for call in std::mem::take(&mut self.calls) {
            out.call(call)?;
        }
        if let Some(usage) = self.usage.total() {
            out.usage(usage);
        }
        let parts = std::mem::take(&mut self.parts);
        if !parts.iter().all(Part::is_plain) {
            out.carry(parts.into_iter().filter_map(Part::into_carried).collect());
        }
        out.end(ending);
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.finish.is_some()
    }
}

impl ContentReader {
    /// Reads a JSON list of events. Some gateways end the stream with `[DONE]`, which is not JSON.
    fn list(&mut self, data: &str, out: &mut Pieces) -> Result<(), Fault> {
        if let Ok(frames) = serde_json::from_str::<Vec<Frame<'_>>>(data) {
            let size = data.len() / frames.len().max(1);
            return frames.into_iter().try_for_each(|frame| self.frame(frame, size, out));
        }
        if data.trim() != "[DONE]" {
            out.skip();
        }
        Ok(())
    }

    fn frame(&mut self, frame: Frame<'_>, size: usize, out: &mut Pieces) -> Result<(), Fault> {
        if let Some(error) = frame.error.filter(|error| !error.is_null()) {
            return Err(Fault::reported(&error));
        }
        if let Some(feedback) = &frame.prompt_feedback {
            check_prompt(feedback)?;
        }
        if let Some(usage) = &frame.usage_metadata {
            self.usage.read(usage);
        }
        for candidate in frame.candidates.into_iter().flatten() {
            if candidate.index.unwrap_or(0) != 0 {
                out.skip();
                continue;
            }
            let parts = candidate.content.and_then(|content| content.parts).unwrap_or_default();
            if parts.iter().any(|part| !part.is_text()) {
                self.held.add(size + parts.len() * EMPTY_PART)?;
            }
            for part in parts {
                self.part(part, out);
            }
            if let Some(reason) = candidate.finish_reason
                && !matches!(&*reason, "" | "FINISH_REASON_UNSPECIFIED")
            {
                self.finish = Some((reason.to_owned(), candidate.finish_message.unwrap_or_default()));
            }
        }
        Ok(())
    }

    fn part(&mut self, part: Part, out: &mut Pieces) {
        if let Some(text) = &part.text {
            if part.is_thought {
                out.reasoning(text.as_str());
            } else {
                out.text(text.as_str());
            }
        }
        if let Some(call) = &part.call {
            self.calls.push(tool_request(call, self.calls.len()));
        }
        if !part.rest.is_empty() {
            out.skip();
        }
        match self.parts.last_mut() {
            Some(last) if part.is_text() && last.is_text() && last.is_thought == part.is_thought => {
                last.text
                    .get_or_insert_default()
                    .push_str(part.text.as_deref().unwrap_or_default());
            }
            _ => self.parts.push(part),
        }
    }
}

fn tool_request(call: &Value, number: usize) -> ToolRequest {
    let field = |key: &str| call[key].as_str().unwrap_or_default();
    let name = field("name");
    let plain_name = NAME_PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
    ToolRequest {
        id: call_id(field("id"), number),
        name: plain_name.unwrap_or(name).to_owned(),
        arguments: match &call["args"] {
            Value::Null => "{}".to_owned(),
            arguments => arguments.to_string(),
        },
    }
}

fn check_prompt(feedback: &Value) -> Result<(), Fault> {
    let field = |one: &str, other: &str| feedback[one].as_str().or_else(|| feedback[other].as_str());
    let reason = field("blockReason", "block_reason").unwrap_or_default();
    if reason.is_empty() || reason.ends_with("UNSPECIFIED") {
        return Ok(());
    }
    let explanation = field("blockReasonMessage", "block_reason_message").unwrap_or_default();
    let message = format!("{reason} {explanation}").trim_end().to_owned();
    Err(Fault::Final(LlmError::Blocked(message)))
}

enum Ending {
    /// The answer ended normally, at a limit or with a refusal.
    Good(EndReason),
    /// The model or the provider made a mistake, and a retry may succeed.
    Bad,
    /// The reason is unknown, so the answer may be incomplete, and a retry may succeed.
    Unknown,
}

fn end(reason: &str) -> Ending {
    match reason {
        "STOP" => Ending::Good(EndReason::Done),
        "MAX_TOKENS" => Ending::Good(EndReason::Length),
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "MODEL_ARMOR"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => Ending::Good(EndReason::Refused),
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MALFORMED_RESPONSE"
        | "MISSING_THOUGHT_SIGNATURE"
        | "NO_IMAGE"
        | "IMAGE_OTHER"
        | "OTHER" => Ending::Bad,
        _ => Ending::Unknown,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests;
