//! Reads the answers of the Anthropic Messages protocol.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    super::{
        fault::Fault,
        held::{EMPTY_PART, Held},
        protocol::{Pieces, Reader},
        word::Word,
    },
    blocks::{Block, Kind},
};
use crate::llm::{EndReason, TokenUsage};

/// One event of a stream. Frequent fields have their own types for speed; rare fields are JSON values.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Word<'a>>,
    #[serde(default)]
    index: Option<u64>,
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    #[serde(default)]
    content_block: Option<Map<String, Value>>,
    #[serde(default)]
    message: Option<Value>,
    #[serde(default)]
    usage: Option<Value>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Word<'a>>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(borrow, default)]
    signature: Option<Word<'a>>,
    #[serde(borrow, default)]
    partial_json: Option<Word<'a>>,
    #[serde(borrow, default)]
    stop_reason: Option<Word<'a>>,
    #[serde(default)]
    citation: Option<Value>,
}

/// Known delta types. Deltas of other types are counted as skipped.
const KNOWN_DELTAS: &[&str] = &[
    "text_delta",
    "thinking_delta",
    "signature_delta",
    "input_json_delta",
    "citations_delta",
];

#[derive(Default)]
pub(super) struct MessageReader {
    blocks: Vec<Block>,
    usage: Counts,
    held: Held,
    stop_reason: Option<String>,
    is_stopped: bool,
}

/// Token counts. Events may repeat or omit counts, so the largest value of each is kept.
#[derive(Default)]
struct Counts {
    is_given: bool,
    input: u64,
    written: u64,
    cached: u64,
    output: u64,
}

impl Counts {
    fn read(&mut self, usage: &Value) {
        let mut raise = |count: &mut u64, key: &str| {
            if let Some(number) = usage[key].as_u64() {
                self.is_given = true;
                *count = number.max(*count);
            }
        };
        raise(&mut self.input, "input_tokens");
        raise(&mut self.written, "cache_creation_input_tokens");
        raise(&mut self.cached, "cache_read_input_tokens");
        raise(&mut self.output, "output_tokens");
    }

    fn total(&self) -> Option<TokenUsage> {
        self.is_given.then(|| TokenUsage {
            input: self.input.saturating_add(self.written).saturating_add(self.cached),
            output: self.output,
            cached_input: self.cached,
        })
    }
}

impl Reader for MessageReader {
    fn event(&mut self, name: &str, data: &str, out: &mut Pieces) -> Result<(), Fault> {
        let Ok(frame) = serde_json::from_str::<Frame<'_>>(data) else {
            if name == "error" {
                return Err(Fault::reported(&Value::String(data.to_owned())));
            }
            out.skip();
            return Ok(());
        };
        if let Some(error) = frame.error.as_ref().filter(|error| !error.is_null()) {
            return Err(Fault::reported(error));
        }
        match frame.kind.as_ref().map_or(name, |kind| &**kind) {
            "content_block_delta" => match frame.delta {
                Some(delta) => self.delta(frame.index, delta, out),
                None => Ok(()),
            },
            "content_block_start" => match frame.content_block {
                Some(block) => {
                    self.held.add(data.len() + EMPTY_PART)?;
                    self.start(frame.index, block, out);
                    Ok(())
                }
                None => Ok(()),
            },
            "message_start" => self.message(frame.message.as_ref()),
            "message_delta" => {
                let reason = frame.delta.and_then(|delta| delta.stop_reason);
                self.take_end(reason.as_deref(), frame.usage.as_ref(), out)
            }
            "message_stop" => {
                self.is_stopped = true;
                self.finish(out)
            }
            "error" => Err(Fault::reported(&Value::String(data.to_owned()))),
            "content_block_stop" | "ping" => Ok(()),
            _ => {
                out.skip();
                Ok(())
            }
        }
    }

    fn whole(&mut self, body: &Value, out: &mut Pieces) -> Result<(), Fault> {
        if !body["error"].is_null() {
            return Err(Fault::reported(&body["error"]));
        }
        let Some(blocks) = body["content"].as_array() else {
            return Err(Fault::reported(body));
        };
        self.message(Some(body))?;
        for block in blocks {
            match block {
                Value::Object(block) => self.start(None, block.clone(), out),
                _ => out.skip(),
            }
        }
        self.take_end(body["stop_reason"].as_str(), None, out)?;
        // Outside a stream, a message is complete even without a stop reason.
        self.is_stopped = true;
        Ok(())
    }

    fn finish(&mut self, out: &mut Pieces) -> Result<(), Fault> {
        if !self.is_complete() {
            return Err(Fault::passing("the stream ended before the answer was complete"));
        }
        let reason = self.stop_reason.as_deref().and_then(end).unwrap_or(EndReason::Done);
        let calls = self.blocks.iter().filter(|block| block.kind == Kind::Call);
        for (number, block) in calls.enumerate() {
            out.call(block.call(number))?;
        }
        if let Some(usage) = self.usage.total() {
            out.usage(usage);
        }
        self.carry(reason, out);
        out.end(reason);
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.is_stopped || self.stop_reason.as_deref().and_then(end).is_some()
    }
}

impl MessageReader {
    /// Fails if the message reports an error.
    fn message(&mut self, message: Option<&Value>) -> Result<(), Fault> {
        let Some(message) = message else { return Ok(()) };
        if !message["error"].is_null() {
            return Err(Fault::reported(&message["error"]));
        }
        self.usage.read(&message["usage"]);
        Ok(())
    }

    fn start(&mut self, index: Option<u64>, start: Map<String, Value>, out: &mut Pieces) {
        let block = Block::new(index, start);
        match block.kind {
            Kind::Text => out.text(block.text.as_str()),
            Kind::Thinking => out.reasoning(block.text.as_str()),
            Kind::Call | Kind::Redacted => {}
            Kind::Other => out.skip(),
        }
        self.blocks.push(block);
    }

    fn delta(&mut self, index: Option<u64>, delta: Delta<'_>, out: &mut Pieces) -> Result<(), Fault> {
        if let Some(text) = delta.text {
            self.block(index, Kind::Text, "text")?.text.push_str(&text);
            out.text(text);
        } else if let Some(text) = delta.thinking {
            self.block(index, Kind::Thinking, "thinking")?.text.push_str(&text);
            out.reasoning(text);
        } else if let Some(signature) = delta.signature {
            self.held.add(signature.len())?;
            let block = self.block(index, Kind::Thinking, "thinking")?;
            block.signature.push_str(&signature);
        } else if let Some(piece) = delta.partial_json {
            self.held.add(piece.len())?;
            match self.find(index, |kind| matches!(kind, Kind::Call | Kind::Other)) {
                Some(block) => block.arguments.push(&piece),
                None => out.skip(),
            }
        } else if let Some(citation) = delta.citation {
            self.held.add(citation.to_string().len())?;
            self.block(index, Kind::Text, "text")?.citations.push(citation);
            out.skip();
        } else if delta.kind.is_none_or(|kind| !KNOWN_DELTAS.contains(&&*kind)) {
            if let Some(block) = self.find(index, |_| true) {
                block.is_partial = true;
            }
            out.skip();
        }
        Ok(())
    }

    /// Finds the newest block with this index whose kind `fits` accepts. A missing index matches every block.
    fn find(&mut self, index: Option<u64>, fits: impl Fn(Kind) -> bool) -> Option<&mut Block> {
        self.blocks
            .iter_mut()
            .rfind(|block| fits(block.kind) && (index.is_none() || block.index.is_none() || block.index == index))
    }

    /// Returns the block to which a delta belongs. Creates the block if its start event was missing.
    fn block(&mut self, index: Option<u64>, kind: Kind, name: &'static str) -> Result<&mut Block, Fault> {
        let position = self.blocks.iter().rposition(|block| {
            block.kind == kind && (index.is_none() || block.index.is_none() || block.index == index)
        });
        let position = if let Some(position) = position {
            position
        } else {
            self.held.add(EMPTY_PART)?;
            self.blocks.push(Block::implied(index, name));
            self.blocks.len() - 1
        };
        Ok(&mut self.blocks[position])
    }

    fn take_end(&mut self, reason: Option<&str>, usage: Option<&Value>, out: &mut Pieces) -> Result<(), Fault> {
        if let Some(usage) = usage {
            self.usage.read(usage);
        }
        match reason {
            None | Some("") => {}
            Some("error") => return Err(Fault::passing("the provider ended the answer with an error")),
            Some(reason) => {
                if end(reason).is_none() {
                    out.skip();
                }
                self.stop_reason = Some(reason.to_owned());
            }
        }
        Ok(())
    }

    /// Stores the blocks as provider data, unless `ChatMessage` can hold all of them.
    fn carry(&mut self, reason: EndReason, out: &mut Pieces) {
        let blocks = std::mem::take(&mut self.blocks);
        if blocks.iter().all(Block::is_plain) {
            return;
        }
        let carried: Vec<Value> = blocks
            .into_iter()
            // An answer that was cut at its length limit can end in unsigned thinking, which is not sent back.
            .filter(|block| reason != EndReason::Length || block.kind != Kind::Thinking || !block.signature.is_empty())
            .filter_map(Block::into_carried)
            .collect();
        if !carried.is_empty() {
            out.carry(Value::Array(carried));
        }
    }
}

/// Returns `None` for an unknown stop reason. Gateways also send stop reasons of other protocols.
fn end(reason: &str) -> Option<EndReason> {
    match reason {
        "end_turn" | "stop_sequence" | "tool_use" | "pause_turn" | "stop" | "tool_calls" => Some(EndReason::Done),
        "max_tokens" | "model_context_window_exceeded" | "length" => Some(EndReason::Length),
        "refusal" | "content_filter" => Some(EndReason::Refused),
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests;
