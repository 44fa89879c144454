//! Reads tool calls in the markup of model families, which a server passes on as text if it does not know the model.
//!
//! | family | markup |
//! |---|---|
//! | Hermes, Qwen | `<tool_call>{"name": …, "arguments": …}</tool_call>` |
//! | Qwen Coder | `<tool_call><function=NAME><parameter=KEY>VALUE</parameter></function></tool_call>` |
//! | GLM | `<tool_call>NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value></tool_call>` |
//! | `MiniMax` | `<minimax:tool_call><invoke name="NAME"><parameter name="KEY">VALUE</parameter></invoke></minimax:tool_call>` |
//! | Llama | `<function=NAME>{…}</function>` |
//! | Mistral | `[TOOL_CALLS]NAME[ARGS]{…}` |
//! | Kimi | `<|tool_call_begin|>functions.NAME:0<|tool_call_argument_begin|>{…}<|tool_call_end|>` |
//! | `DeepSeek` | `<｜tool▁call▁begin｜>NAME<｜tool▁sep｜>{…}<｜tool▁call▁end｜>` |
//! | gpt-oss | `<|channel|>commentary to=functions.NAME <|message|>{…}<|call|>` |

use serde_json::{Map, Value};

use super::json_calls;
use crate::llm::ToolRequest;

/// Pairs of marks around one or more calls.
const PAIRS: [(&str, &str); 9] = [
    ("<tool_call>", "</tool_call>"),
    ("<tool_calls>", "</tool_calls>"),
    ("<function_call>", "</function_call>"),
    ("<function_calls>", "</function_calls>"),
    ("<minimax:tool_call>", "</minimax:tool_call>"),
    ("[TOOL_REQUEST]", "[END_TOOL_REQUEST]"),
    ("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),
    ("<|tool_call_begin|>", "<|tool_call_end|>"),
    ("<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"),
];
/// Elements that are calls by themselves: their beginning and their end.
const ELEMENTS: [(&str, &str); 3] = [
    ("<function=", "</function>"),
    ("<invoke name=", "</invoke>"),
    ("to=functions.", "<|call|>"),
];
/// Marks between a name and its arguments in JSON.
const SEPARATORS: [&str; 4] = [
    "[ARGS]",
    "<|tool_call_argument_begin|>",
    "<｜tool▁sep｜>",
    "<|message|>",
];
/// Marks that may stand between two calls.
const BETWEEN: [&str; 8] = [
    "[TOOL_CALLS]",
    "<tool_call>",
    "</tool_call>",
    "<|tool_call_begin|>",
    "<|tool_call_end|>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁call▁end｜>",
    "<|call|>",
];

/// Returns the text before the calls with which a text ends, and the calls.
pub(super) fn closing(text: &str) -> Option<(&str, &str)> {
    let pair = PAIRS
        .iter()
        .find_map(|(open, close)| text.strip_suffix(close)?.rsplit_once(open));
    pair.or_else(|| {
        let (open, _) = ELEMENTS.iter().find(|(_, close)| text.ends_with(close))?;
        let at = text.rfind(open)?;
        let before = &text[..at];
        // The channel of gpt-oss precedes the name of the tool.
        Some((
            before.rsplit_once("<|channel|>").map_or(before, |(before, _)| before),
            &text[at..],
        ))
    })
}

/// Returns the call of a text whose last mark is missing, because the server removes it as the end of the answer.
pub(super) fn unclosed(text: &str) -> Option<&str> {
    let (open, _) = PAIRS.first()?;
    text.rsplit_once(open).map(|(_, block)| block)
}

/// Reads calls in any markup. `None` if the text contains anything else.
pub(super) fn calls<'s>(text: &str, schema_of: &impl Fn(&str) -> Option<&'s Value>) -> Option<Vec<ToolRequest>> {
    let mut calls = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if let Some(more) = BETWEEN.iter().find_map(|mark| rest.strip_prefix(mark)) {
            rest = more.trim_start();
            continue;
        }
        if rest.starts_with(['{', '[']) {
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
            values.next()?.ok()?;
            let (json, more) = rest.split_at(values.byte_offset());
            calls.extend(json_calls(json)?);
            rest = more.trim_start();
            continue;
        }
        let (mut call, more) = element(rest)
            .or_else(|| keys_and_values(rest))
            .or_else(|| separated(rest))?;
        call.convert(schema_of);
        calls.push(call.request());
        rest = more.trim_start();
    }
    (!calls.is_empty()).then_some(calls)
}

/// A call whose arguments are texts or JSON.
struct Draft<'t> {
    name: &'t str,
    arguments: Map<String, Value>,
    /// True if the arguments are texts whose types are unknown.
    is_text: bool,
}

impl Draft<'_> {
    /// Converts texts to the types of the tool's schema.
    fn convert<'s>(&mut self, schema_of: &impl Fn(&str) -> Option<&'s Value>) {
        let Some(schema) = schema_of(self.name).filter(|_| self.is_text) else {
            return;
        };
        for (key, value) in &mut self.arguments {
            let kind = &schema["properties"][key.as_str()]["type"];
            let is_string = kind.is_null()
                || kind == "string"
                || kind.as_array().is_some_and(|kinds| kinds.contains(&"string".into()));
            if let Some(typed) = value
                .as_str()
                .filter(|_| !is_string)
                .and_then(|text| serde_json::from_str(text.trim()).ok())
            {
                *value = typed;
            }
        }
    }

    fn request(self) -> ToolRequest {
        ToolRequest {
            id: String::new(),
            name: self.name.to_owned(),
            arguments: Value::Object(self.arguments).to_string(),
        }
    }
}

/// Reads `<function=NAME>…</function>` or `<invoke name="NAME">…</invoke>`, and the rest of the text.
fn element(text: &str) -> Option<(Draft<'_>, &str)> {
    let (rest, close) = match (text.strip_prefix("<function="), text.strip_prefix("<invoke name=")) {
        (Some(rest), _) => (rest, "</function>"),
        (None, Some(rest)) => (rest, "</invoke>"),
        (None, None) => return None,
    };
    let (name, rest) = rest.split_once('>')?;
    let (body, rest) = rest.split_once(close)?;
    let body = body.trim();
    let is_text = !body.starts_with('{');
    let arguments = if is_text {
        parameters(body)?
    } else {
        serde_json::from_str(body).ok()?
    };
    let name = unquoted(name);
    Some((
        Draft {
            name,
            arguments,
            is_text,
        },
        rest,
    ))
}

/// Reads `<parameter=KEY>VALUE</parameter>` or `<parameter name="KEY">VALUE</parameter>`, any number of times.
fn parameters(mut text: &str) -> Option<Map<String, Value>> {
    let mut found = Map::new();
    while !text.is_empty() {
        let rest = text
            .strip_prefix("<parameter=")
            .or_else(|| text.strip_prefix("<parameter name="))?;
        let (key, rest) = rest.split_once('>')?;
        let (value, rest) = rest.split_once("</parameter>")?;
        found.insert(unquoted(key).to_owned(), Value::from(without_line_ends(value)));
        text = rest.trim_start();
    }
    Some(found)
}

/// Reads `NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value>`, with any number of pairs.
fn keys_and_values(text: &str) -> Option<(Draft<'_>, &str)> {
    let at = text.find("<arg_key>")?;
    let (name, mut rest) = (text[..at].trim(), &text[at..]);
    let mut arguments = Map::new();
    while let Some(pair) = rest.strip_prefix("<arg_key>") {
        let (key, pair) = pair.split_once("</arg_key>")?;
        let (value, pair) = pair
            .trim_start()
            .strip_prefix("<arg_value>")?
            .split_once("</arg_value>")?;
        arguments.insert(key.trim().to_owned(), Value::from(without_line_ends(value)));
        rest = pair.trim_start();
    }
    let is_text = true;
    Some((
        Draft {
            name,
            arguments,
            is_text,
        },
        rest,
    ))
}

/// Reads a name, a mark and arguments in JSON, which may be fenced.
fn separated(text: &str) -> Option<(Draft<'_>, &str)> {
    let (at, mark) = SEPARATORS
        .iter()
        .filter_map(|mark| Some((text.find(mark)?, mark)))
        .min()?;
    let (head, mut rest) = (&text[..at], text[at + mark.len()..].trim_start());
    let mut name = head.trim();
    // DeepSeek's older models write `function`, the mark, the name and a fence.
    if name == "function" {
        let (line, fenced) = rest.split_once('\n')?;
        name = line.trim();
        rest = fenced.trim_start().strip_prefix("```json")?.trim_start();
    }
    name = name.strip_prefix("to=").unwrap_or(name);
    name = name.strip_prefix("functions.").unwrap_or(name);
    let is_name = |letter: char| letter.is_alphanumeric() || "_-.".contains(letter);
    name = &name[..name.find(|letter| !is_name(letter)).unwrap_or(name.len())];
    let mut values = serde_json::Deserializer::from_str(rest).into_iter();
    let arguments = values.next()?.ok()?;
    let rest = rest[values.byte_offset()..].trim_start();
    let rest = rest.strip_prefix("```").unwrap_or(rest);
    let is_text = false;
    Some((
        Draft {
            name,
            arguments,
            is_text,
        },
        rest,
    ))
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches(['"', '\''])
}

/// Removes one line end at each side of a value.
fn without_line_ends(text: &str) -> &str {
    let text = text.strip_prefix('\n').unwrap_or(text);
    text.strip_suffix('\n').unwrap_or(text)
}
