//! Separates the text of an answer from reasoning and tool calls that the server left in the text.
//!
//! A server may have no parser for the model's output format. Such a server sends reasoning between tags such as
//! `<think>`, and calls as fenced JSON or markup. Reasoning is recognized only at the beginning of an answer. Calls
//! are recognized only if they begin a line and end the answer.
//!
//! Invariant: all other text is output in order. Only text that may belong to a tag or a call is buffered.

use super::protocol::Pieces;
use crate::{
    config::ThinkTags,
    llm::{ToolRequest, ToolSpec},
    salvage::{self, markup},
};

const THINK: &[(&str, &str)] = &[
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
];

const FENCE: &str = "```";

/// Languages of fenced code blocks that may contain a call.
const FENCE_LANGUAGES: &[&str] = &["", "json", "tool_call", "tool_code", "tool"];

/// Maximum bytes of buffered text. A longer possible call is output as ordinary text.
const MAX_HELD_BYTES: usize = 64 * 1024;

/// Approximate maximum bytes of reasoning to send back to the provider.
const MAX_THOUGHT_BYTES: usize = 512 * 1024;

/// Possible first keys in the JSON of a call.
const CALL_KEYS: &[&str] = &[
    "name",
    "tool",
    "tool_name",
    "arguments",
    "parameters",
    "args",
    "input",
    "id",
    "type",
    "function",
];

pub(super) struct Splitter {
    state: State,
    held: String,
    /// True if only white space was output since the last line feed.
    at_line_start: bool,
    /// True if text other than white space was output.
    has_spoken: bool,
    /// Reasoning from the text, with its tags.
    thought: String,
    tools: Vec<ToolSpec>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Only white space has arrived since the beginning or the last closing tag.
    Start,
    /// Inside reasoning, until this closing tag.
    Think(&'static str),
    Text,
    /// Buffering text that may be a call.
    Held,
}

impl Splitter {
    /// Creates a splitter. It recognizes calls only if `tools` is not empty.
    pub(super) fn new(tags: ThinkTags, tools: &[ToolSpec]) -> Self {
        Self {
            state: match tags {
                ThinkTags::None => State::Text,
                ThinkTags::Tagged => State::Start,
                ThinkTags::Open => State::Think("</think>"),
            },
            held: String::new(),
            at_line_start: true,
            has_spoken: false,
            thought: String::new(),
            tools: tools.to_vec(),
        }
    }

    /// Outputs a chunk as text or reasoning, except for text that may belong to a tag or a call.
    pub(super) fn push(&mut self, chunk: &str, out: &mut Pieces) {
        let is_plain = |chunk: &str| !chunk.contains(['<', '[', '`', '{']);
        if self.state == State::Text && self.held.is_empty() && is_plain(chunk) {
            self.say(chunk, out);
            return;
        }
        self.held.push_str(chunk);
        let decides = self.held.len() < 64 || self.held.len() > MAX_HELD_BYTES || chunk.contains(['`', '>', '\n']);
        if self.state == State::Held && !decides {
            return;
        }
        while self.step(out) {}
    }

    /// Returns the calls in the buffered text. Other buffered text is output.
    pub(super) fn finish(&mut self, out: &mut Pieces) -> Vec<ToolRequest> {
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Start | State::Text => self.say(&held, out),
            State::Think(_) => out.reasoning(held),
            State::Held => match self.calls(&held) {
                Some(calls) => return calls,
                None => self.say(&held, out),
            },
        }
        Vec::new()
    }

    pub(super) fn thought(&self) -> &str {
        &self.thought
    }

    fn calls(&self, text: &str) -> Option<Vec<ToolRequest>> {
        let known = salvage::calls(text, |name| self.tools.iter().any(|tool| tool.name == name));
        if known.is_empty() {
            markup::calls(text, &self.tools)
        } else {
            Some(known)
        }
    }

    /// Returns true if the state changed and the remaining text must be handled in the new state.
    fn step(&mut self, out: &mut Pieces) -> bool {
        match self.state {
            State::Start => self.begin(out),
            State::Think(close) => self.think(close, out),
            State::Text => self.text(out),
            State::Held => {
                let is_call_possible = self.held.len() <= MAX_HELD_BYTES && may_be_call(&self.held);
                if !is_call_possible {
                    let held = std::mem::take(&mut self.held);
                    self.say(&held, out);
                    self.state = State::Text;
                }
                false
            }
        }
    }

    fn begin(&mut self, out: &mut Pieces) -> bool {
        let text = self.held.trim_start();
        if text.is_empty() {
            return false;
        }
        for (open, close) in THINK {
            if let Some(rest) = text.strip_prefix(open) {
                self.thought.push_str(open);
                self.held = rest.to_owned();
                self.state = State::Think(close);
                return true;
            }
            if open.starts_with(text) {
                return false;
            }
        }
        if !self.thought.is_empty() {
            // Drop white space between the reasoning and the text.
            self.held = text.to_owned();
        }
        self.state = State::Text;
        self.text(out)
    }

    fn think(&mut self, close: &'static str, out: &mut Pieces) -> bool {
        if let Some(end) = self.held.find(close) {
            let rest = self.held.split_off(end);
            let reasoning = std::mem::take(&mut self.held);
            self.reason(reasoning, out);
            self.thought.push_str(close);
            rest[close.len()..].clone_into(&mut self.held);
            self.state = State::Start;
            return true;
        }
        let kept = partial(&self.held, &[close]);
        let rest = self.held.split_off(self.held.len() - kept);
        let reasoning = std::mem::replace(&mut self.held, rest);
        self.reason(reasoning, out);
        false
    }

    fn reason(&mut self, reasoning: String, out: &mut Pieces) {
        if self.thought.len() < MAX_THOUGHT_BYTES {
            self.thought.push_str(&reasoning);
        }
        out.reasoning(reasoning);
    }

    /// Outputs the text before a possible call. Returns true if the rest starts with the complete opening of a call.
    fn text(&mut self, out: &mut Pieces) -> bool {
        if self.tools.is_empty() {
            let held = std::mem::take(&mut self.held);
            self.say(&held, out);
            return false;
        }
        let (end, is_call) = self.opening();
        let rest = self.held.split_off(end);
        let before = std::mem::replace(&mut self.held, rest);
        self.say(&before, out);
        if is_call {
            self.state = State::Held;
        }
        is_call
    }

    /// Returns the position of a possible call, and whether its opening is complete. Without a call, the position is
    /// the end of the text.
    fn opening(&self) -> (usize, bool) {
        let mut line_start = self.at_line_start;
        let mut position = 0;
        for line in self.held.split_inclusive('\n') {
            let text = line.trim_start_matches([' ', '\t']);
            if line_start && !text.is_empty() {
                let at = position + line.len() - text.len();
                let is_bare = at == 0 && self.at_line_start && !self.has_spoken && text.starts_with(['{', '[']);
                let opens = |opening: &&str| text.starts_with(*opening);
                if is_bare || text.starts_with(FENCE) || markup::OPENINGS.iter().any(opens) {
                    return (at, true);
                }
                let may_open = |opening: &str| opening.starts_with(text);
                if may_open(FENCE) || markup::OPENINGS.iter().any(|opening| may_open(opening)) {
                    return (at, false);
                }
            }
            position += line.len();
            line_start = line.ends_with('\n');
        }
        (position, false)
    }

    fn say(&mut self, text: &str, out: &mut Pieces) {
        if text.is_empty() {
            return;
        }
        self.has_spoken |= !text.trim().is_empty();
        let line = text.rsplit('\n').next().unwrap_or_default();
        let is_blank = line.trim().is_empty();
        self.at_line_start = is_blank && (self.at_line_start || text.contains('\n'));
        out.text(text);
    }
}

/// Returns whether the text may begin a call in JSON, fenced JSON or markup.
fn may_be_call(text: &str) -> bool {
    let Some(inner) = text.strip_prefix(FENCE) else {
        return match text.chars().next() {
            Some('{' | '[') if !text.starts_with("[TOOL_CALLS]") => may_be_json(text),
            _ => true,
        };
    };
    let Some((language, json)) = inner.split_once('\n') else {
        let language = inner.trim();
        return FENCE_LANGUAGES.iter().any(|known| known.starts_with(language)) || may_be_json(language);
    };
    if !FENCE_LANGUAGES.contains(&language.trim()) {
        return language.trim_start().starts_with(['{', '[']) && may_be_json(language);
    }
    let (json, behind) = json.split_once(FENCE).unwrap_or((json, ""));
    let behind = behind.trim_start();
    let ends_here = behind.is_empty() || FENCE.starts_with(behind) || behind.starts_with(FENCE);
    ends_here && may_be_json(json)
}

fn may_be_json(text: &str) -> bool {
    let inner = text.trim_start_matches(['{', '[', ' ', '\n', '\r', '\t']);
    let Some(key) = inner.strip_prefix('"') else {
        return inner.is_empty();
    };
    match key.split_once('"') {
        Some((key, _)) => CALL_KEYS.contains(&key),
        None => CALL_KEYS.iter().any(|known| known.starts_with(key)),
    }
}

/// Returns the length of the longest suffix of the text that is a prefix of a tag.
fn partial(text: &str, tags: &[&str]) -> usize {
    let longest = tags.iter().map(|tag| tag.len()).max().unwrap_or(0);
    let from = text.len().saturating_sub(longest.saturating_sub(1));
    text.char_indices()
        .map(|(position, _)| position)
        .filter(|position| *position >= from)
        .find(|position| tags.iter().any(|tag| tag.starts_with(&text[*position..])))
        .map_or(0, |position| text.len() - position)
}

#[cfg(test)]
#[expect(clippy::panic, reason = "a panic fails the test")]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::llm::ModelEvent;

    fn split(chunks: &[&str]) -> (String, String, Vec<String>) {
        let tools = [ToolSpec {
            name: "bash".to_owned(),
            description: String::new(),
            parameters: json!({}),
        }];
        let mut splitter = Splitter::new(ThinkTags::Tagged, &tools);
        let mut out = Pieces::default();
        for chunk in chunks {
            splitter.push(chunk, &mut out);
        }
        let calls = splitter.finish(&mut out);
        let (mut text, mut reasoning) = (String::new(), String::new());
        while let Some(event) = out.pop() {
            match event {
                ModelEvent::Text(chunk) => text.push_str(&chunk),
                ModelEvent::Reasoning(chunk) => reasoning.push_str(&chunk),
                other => panic!("{other:?}"),
            }
        }
        (text, reasoning, calls.into_iter().map(|call| call.arguments).collect())
    }

    #[test]
    fn text_reasoning_and_calls_are_told_apart_in_any_chunks() {
        let table: [(&str, &str, &str, &[&str]); 14] = [
            ("plain text", "plain text", "", &[]),
            ("<think>secret plan</think>\n\nanswer", "answer", "secret plan", &[]),
            ("\n[THINK]a[/THINK]b", "b", "a", &[]),
            ("Use `<think>` and </think>.", "Use `<think>` and </think>.", "", &[]),
            ("<think>only", "", "only", &[]),
            ("a < b, [1] and <b>x</b>", "a < b, [1] and <b>x</b>", "", &[]),
            (
                "I look.\n<tool_call>\n{\"name\": \"bash\", \"arguments\": {\"a\":1}}\n</tool_call>",
                "I look.\n",
                "",
                &["{\"a\":1}"],
            ),
            (
                "```json\n{\"name\": \"bash\", \"arguments\": {\"a\":1}}\n```",
                "",
                "",
                &["{\"a\":1}"],
            ),
            ("{\"name\": \"bash\", \"arguments\": {\"a\":1}}", "", "", &["{\"a\":1}"]),
            (
                "```json\n{\"name\": \"Ann\"}\n```",
                "```json\n{\"name\": \"Ann\"}\n```",
                "",
                &[],
            ),
            (
                "```json\n{\"name\": \"bash\", \"arguments\": {}}\n```\nis a call",
                "```json\n{\"name\": \"bash\", \"arguments\": {}}\n```\nis a call",
                "",
                &[],
            ),
            ("```rust\nfn main() {}\n```", "```rust\nfn main() {}\n```", "", &[]),
            ("<tool_call> is a tag", "<tool_call> is a tag", "", &[]),
            (
                "<function=bash>\n<parameter=a>\n1\n</parameter>\n</function>",
                "",
                "",
                &["{\"a\":\"1\"}"],
            ),
        ];
        for (whole, text, reasoning, calls) in table {
            let expected = (
                text.to_owned(),
                reasoning.to_owned(),
                calls.iter().map(|call| (*call).to_owned()).collect(),
            );
            assert_eq!(split(&[whole]), expected, "{whole}");
            let characters: Vec<String> = whole.chars().map(String::from).collect();
            let chunks: Vec<&str> = characters.iter().map(String::as_str).collect();
            assert_eq!(split(&chunks), expected, "{whole}, in characters");
        }
    }
}
