//! Reads answers of the Responses protocol.
//!
//! Several events repeat the same content, and compatible servers omit some of these events. Therefore every event is
//! read, and only new content is added to the output.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    super::{
        fault::Fault,
        held::{EMPTY_PART, Held},
        protocol::{Pieces, Reader},
        word::Word,
    },
    item::{Item, Kind},
};
use crate::llm::{EndReason, TokenUsage};

/// One event of a stream. Frequent fields have their own types for speed; rare fields are JSON values.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Word<'a>>,
    #[serde(default)]
    output_index: Option<u64>,
    #[serde(borrow, default)]
    item_id: Option<Word<'a>>,
    #[serde(default)]
    content_index: Option<u64>,
    #[serde(default)]
    delta: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    arguments: Option<String>,
    #[serde(borrow, default)]
    name: Option<Word<'a>>,
    #[serde(default)]
    item: Option<Map<String, Value>>,
    #[serde(default)]
    response: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
}

const SILENT: &[&str] = &[
    "keepalive",
    "response.created",
    "response.in_progress",
    "response.queued",
    "response.content_part.added",
    "response.content_part.done",
    "response.reasoning_summary_part.done",
    "response.reasoning_summary_text.done",
    "response.reasoning_text.done",
    "response.reasoning.done",
];

/// Known final statuses of a response.
const STATUSES: &[&str] = &["completed", "incomplete", "failed", "cancelled"];

#[derive(Default)]
pub(super) struct ResponseReader {
    items: Vec<Item>,
    usage: Option<TokenUsage>,
    held: Held,
    is_refusal: bool,
    end: Option<EndReason>,
}

impl Reader for ResponseReader {
    fn event(&mut self, name: &str, data: &str, out: &mut Pieces) -> Result<(), Fault> {
        // These events only repeat the whole request.
        if matches!(name, "response.created" | "response.in_progress") {
            return Ok(());
        }
        let Ok(mut frame) = serde_json::from_str::<Frame<'_>>(data) else {
            if name == "error" {
                return Err(Fault::reported(&Value::String(data.to_owned())));
            }
            if data.trim() != "[DONE]" {
                out.skip();
            }
            return Ok(());
        };
        if let Some(error) = frame.error.as_ref().filter(|error| !error.is_null()) {
            return Err(Fault::reported(error));
        }
        let kind = frame.kind.take();
        let kind = kind.as_deref().unwrap_or(name);
        match kind {
            "response.output_text.delta" => self.text(frame, out)?,
            "response.refusal.delta" => {
                self.is_refusal = true;
                self.text(frame, out)?;
            }
            "response.reasoning_summary_text.delta"
            | "response.reasoning_text.delta"
            | "response.reasoning_summary.delta"
            | "response.reasoning.delta" => self.reasoning(frame, out)?,
            "response.function_call_arguments.delta" => {
                let delta = frame.delta.take().unwrap_or_default();
                self.held.add(delta.len())?;
                self.item(Kind::Call, &frame)?.arguments.push(&delta);
            }
            "response.output_item.added" | "response.output_item.done" => {
                self.held.add(data.len())?;
                let is_done = kind.ends_with("done");
                if let Some(value) = frame.item {
                    self.take_item(value, frame.output_index, is_done, out)?;
                }
            }
            "error" | "response.error" => {
                return Err(Fault::reported(&serde_json::from_str(data).unwrap_or_default()));
            }
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.cancelled"
            | "response.done" => {
                let word = kind.trim_start_matches("response.");
                self.take_response(word, &frame.response.unwrap_or_default(), out)?;
                return self.finish(out);
            }
            _ => return self.rare_event(kind, frame, out),
        }
        Ok(())
    }

    fn whole(&mut self, body: &Value, out: &mut Pieces) -> Result<(), Fault> {
        if !body["error"].is_null() {
            return Err(Fault::reported(&body["error"]));
        }
        if !body["output"].is_array() {
            return Err(Fault::reported(body));
        }
        self.take_response(body["status"].as_str().unwrap_or("done"), body, out)
    }

    fn finish(&mut self, out: &mut Pieces) -> Result<(), Fault> {
        let Some(end) = self.end else {
            return Err(Fault::passing("the stream ended before the answer was complete"));
        };
        let end = if self.is_refusal { EndReason::Refused } else { end };
        self.items.sort_by_key(|item| item.index.unwrap_or(u64::MAX));
        let calls = self.items.iter().filter(|item| item.kind == Kind::Call);
        for (number, item) in calls.enumerate() {
            out.call(item.call(number))?;
        }
        if let Some(usage) = self.usage {
            out.usage(usage);
        }
        let items = std::mem::take(&mut self.items);
        if !items.iter().all(Item::is_plain) {
            let keeps_ids = items.iter().all(Item::is_readable);
            out.carry(
                items
                    .into_iter()
                    .filter_map(|item| item.into_carried(keeps_ids))
                    .collect(),
            );
        }
        out.end(end);
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.end.is_some()
    }
}

impl ResponseReader {
    /// Returns the position of the item to which an event belongs. Creates the item if its start event was missing.
    fn position(
        &mut self,
        kind: Kind,
        index: Option<u64>,
        id: &str,
        accepts: impl Fn(&Item) -> bool,
    ) -> Result<usize, Fault> {
        let found = self
            .items
            .iter()
            .rposition(|item| item.kind == kind && accepts(item) && item.is_meant(index, id));
        if let Some(position) = found {
            return Ok(position);
        }
        self.held.add(EMPTY_PART)?;
        self.items.push(Item::new(kind, index, id));
        Ok(self.items.len() - 1)
    }

    fn item(&mut self, kind: Kind, frame: &Frame<'_>) -> Result<&mut Item, Fault> {
        let id = frame.item_id.as_deref().unwrap_or_default();
        let position = self.position(kind, frame.output_index, id, |item| !item.is_done)?;
        Ok(&mut self.items[position])
    }

    /// Returns whether the event's item is complete, so that the event has no new content.
    fn is_done(&self, kind: Kind, frame: &Frame<'_>) -> bool {
        let id = frame.item_id.as_deref().unwrap_or_default();
        self.items
            .iter()
            .any(|item| item.kind == kind && item.is_done && item.is_meant(frame.output_index, id))
    }

    /// Records that a content part's text is in the output. Returns false if the text was already there.
    fn note_text(&mut self, frame: &Frame<'_>) -> Result<bool, Fault> {
        let part = frame.content_index.unwrap_or(0);
        let item = self.item(Kind::Message, frame)?;
        if item.shown.contains(&part) {
            return Ok(false);
        }
        item.shown.push(part);
        self.held.add(EMPTY_PART)?;
        Ok(true)
    }

    fn text(&mut self, frame: Frame<'_>, out: &mut Pieces) -> Result<(), Fault> {
        self.note_text(&frame)?;
        out.text(frame.delta.unwrap_or_default());
        Ok(())
    }

    fn reasoning(&mut self, frame: Frame<'_>, out: &mut Pieces) -> Result<(), Fault> {
        let item = self.item(Kind::Reasoning, &frame)?;
        if item.shown.is_empty() {
            item.shown.push(0);
        }
        out.reasoning(frame.delta.unwrap_or_default());
        Ok(())
    }

    fn take_item(
        &mut self,
        value: Map<String, Value>,
        index: Option<u64>,
        is_done: bool,
        out: &mut Pieces,
    ) -> Result<(), Fault> {
        let kind = Kind::of(value.get("type").and_then(Value::as_str));
        let id = value.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        // A start event belongs to an existing item only if earlier deltas created the item.
        let position = self.position(kind, index, &id, |item| {
            if is_done { !item.is_done } else { item.is_implied() }
        })?;
        self.set(position, value, is_done, out);
        Ok(())
    }

    fn set(&mut self, position: usize, value: Map<String, Value>, is_done: bool, out: &mut Pieces) {
        let item = &mut self.items[position];
        item.set(value, is_done);
        if !is_done {
            return;
        }
        match item.kind {
            Kind::Message => {
                for (text, is_refusal) in item.missing_texts() {
                    self.is_refusal |= is_refusal;
                    out.text(text);
                }
            }
            Kind::Reasoning if item.shown.is_empty() => out.reasoning(item.reasoning()),
            Kind::Reasoning | Kind::Call => {}
            Kind::Other => out.skip(),
        }
    }

    /// Reads the end of a text part, the end of a call's arguments, or the start of a reasoning summary. Unknown
    /// events are counted as skipped.
    fn rare_event(&mut self, kind: &str, frame: Frame<'_>, out: &mut Pieces) -> Result<(), Fault> {
        match kind {
            "response.output_text.done" | "response.refusal.done" => {
                self.is_refusal |= kind == "response.refusal.done";
                if !self.is_done(Kind::Message, &frame) && self.note_text(&frame)? {
                    out.text(frame.text.or(frame.refusal).unwrap_or_default());
                }
            }
            "response.function_call_arguments.done" => {
                if !self.is_done(Kind::Call, &frame) {
                    let item = self.item(Kind::Call, &frame)?;
                    if let Some(name) = frame.name.as_deref() {
                        item.set_name(name);
                    }
                    item.arguments.replace(frame.arguments.unwrap_or_default());
                }
            }
            "response.reasoning_summary_part.added" => {
                if !self.item(Kind::Reasoning, &frame)?.shown.is_empty() {
                    out.reasoning("\n\n");
                }
            }
            _ if SILENT.contains(&kind) => {}
            _ => out.skip(),
        }
        Ok(())
    }

    /// Reads the final response, which completes the remaining items.
    fn take_response(&mut self, word: &str, response: &Value, out: &mut Pieces) -> Result<(), Fault> {
        if !response["error"].is_null() {
            return Err(Fault::reported(&response["error"]));
        }
        let mut counts = [0; 4];
        for (index, value) in (0..).zip(response["output"].as_array().into_iter().flatten()) {
            let Value::Object(value) = value else { continue };
            let kind = Kind::of(value.get("type").and_then(Value::as_str));
            let number = &mut counts[kind as usize];
            let same = self.items.iter().enumerate().filter(|(_, item)| item.kind == kind);
            let known = same.map(|(position, _)| position).nth(*number);
            *number += 1;
            let position = known.unwrap_or_else(|| {
                self.items.push(Item::new(kind, None, ""));
                self.items.len() - 1
            });
            let item = &mut self.items[position];
            item.index = Some(index);
            if !item.is_done {
                self.set(position, value.clone(), true, out);
            }
        }
        self.usage = usage(&response["usage"]).or(self.usage);
        let status = response["status"].as_str().unwrap_or_default();
        let status = if STATUSES.contains(&status) { status } else { word };
        let reason = response["incomplete_details"]["reason"].as_str().unwrap_or_default();
        self.end = Some(match (status, reason) {
            ("completed" | "done", _) => EndReason::Done,
            ("incomplete", "max_output_tokens" | "max_tokens" | "length" | "") => EndReason::Length,
            ("incomplete", "content_filter") => EndReason::Refused,
            _ => {
                return Err(Fault::passing(
                    format!("the provider ended the response with the status {status}: {reason}")
                        .trim_end_matches(": "),
                ));
            }
        });
        Ok(())
    }
}

fn usage(usage: &Value) -> Option<TokenUsage> {
    let input = usage["input_tokens"].as_u64();
    let output = usage["output_tokens"].as_u64();
    (input.is_some() || output.is_some()).then(|| TokenUsage {
        input: input.unwrap_or(0),
        output: output.unwrap_or(0),
        cached_input: usage["input_tokens_details"]["cached_tokens"].as_u64().unwrap_or(0),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests;
