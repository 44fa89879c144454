//! Parses tool calls in the markup of open-weight models, which some servers leave in the text.
//!
//! Formats: JSON in tags (Hermes, Qwen), `<function=NAME>` (Qwen3-Coder, Llama), `<invoke>` (MiniMax), `<arg_key>`
//! (GLM), `[TOOL_CALLS]` (Mistral) and the section tokens of Kimi. Invariant: the whole text must consist of calls.

use serde_json::{Map, Value};

use super::MAX_SALVAGED;
use crate::llm::{ToolRequest, ToolSpec};

/// Strings that start a call if they are at the beginning of a line.
pub(crate) const OPENINGS: &[&str] = &[
    "<tool_call>",
    "<function=",
    "<function_calls>",
    "<minimax:tool_call>",
    "<invoke name=",
    "<|tool_calls_section_begin|>",
    "<|tool_call_begin|>",
    "[TOOL_CALLS]",
];

/// Tags that may surround calls and are ignored.
const WRAPPERS: &[&str] = &[
    "<tool_call>",
    "</tool_call>",
    "<function_calls>",
    "</function_calls>",
    "<minimax:tool_call>",
    "</minimax:tool_call>",
    "<|tool_calls_section_begin|>",
    "<|tool_calls_section_end|>",
    "<|im_end|>",
    "[TOOL_CALLS]",
];

/// Returns the calls in the text, with empty ids; `None` if the text contains anything except calls of known tools.
pub(crate) fn calls(text: &str, tools: &[ToolSpec]) -> Option<Vec<ToolRequest>> {
    let mut rest = text.trim();
    let mut calls = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = WRAPPERS.iter().find_map(|tag| rest.strip_prefix(tag)) {
            rest = after.trim_start();
            continue;
        }
        let (name, arguments, after) = one(rest)?;
        let tool = tools.iter().find(|tool| tool.name == name)?;
        let arguments = match arguments {
            Arguments::Json(arguments) => arguments,
            Arguments::Texts(texts) => typed(texts, tool),
        };
        calls.push(ToolRequest {
            id: String::new(),
            name: name.to_owned(),
            arguments: Value::Object(arguments).to_string(),
        });
        if calls.len() > MAX_SALVAGED {
            return None;
        }
        rest = after.trim_start();
    }
    (!calls.is_empty()).then_some(calls)
}

enum Arguments<'t> {
    Json(Map<String, Value>),
    /// Pairs of argument name and value, both as text.
    Texts(Vec<(&'t str, &'t str)>),
}

type Found<'t> = (&'t str, Arguments<'t>, &'t str);

/// Returns the tool's name, the arguments and the text after the call.
fn one(text: &str) -> Option<Found<'_>> {
    if let Some(rest) = text.strip_prefix("<function=") {
        let (name, rest) = rest.split_once('>')?;
        return function(name.trim().trim_matches('"'), rest);
    }
    if let Some(rest) = text.strip_prefix("<invoke name=") {
        let (name, rest) = rest.split_once('>')?;
        let (body, after) = rest.split_once("</invoke>")?;
        let texts = tagged(body, "<parameter name=", "</parameter>")?;
        return Some((name.trim().trim_matches('"'), Arguments::Texts(texts), after));
    }
    if let Some(rest) = text.strip_prefix("<|tool_call_begin|>") {
        let (id, rest) = rest.split_once("<|tool_call_argument_begin|>")?;
        let (body, after) = rest.split_once("<|tool_call_end|>").unwrap_or((rest, ""));
        let name = id.trim().trim_start_matches("functions.");
        let name = name.split_once(':').map_or(name, |(name, _)| name);
        return Some((name, Arguments::Json(serde_json::from_str(body.trim()).ok()?), after));
    }
    if text.starts_with('{') || text.starts_with('[') {
        return None;
    }
    named(text)
}

/// Parses a call that starts with the tool's name: `NAME[ARGS]{…}`, `NAME{…}` or `NAME <arg_key>…`.
fn named(text: &str) -> Option<Found<'_>> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "_-.".contains(c)))?;
    let (name, rest) = text.split_at(end);
    let rest = rest.trim_start();
    let json = rest.strip_prefix("[ARGS]").unwrap_or(rest);
    if json.starts_with('{') {
        let (arguments, used) = object(json)?;
        return Some((name, Arguments::Json(arguments), &json[used..]));
    }
    let (body, after) = rest.split_once("</tool_call>").unwrap_or((rest, ""));
    let mut texts = Vec::new();
    let mut body = body.trim_start();
    while let Some(rest) = body.strip_prefix("<arg_key>") {
        let (key, rest) = rest.split_once("</arg_key>")?;
        let (value, rest) = rest
            .trim_start()
            .strip_prefix("<arg_value>")?
            .split_once("</arg_value>")?;
        texts.push((key.trim(), value));
        body = rest.trim_start();
    }
    (!name.is_empty() && body.is_empty() && !texts.is_empty()).then_some((name, Arguments::Texts(texts), after))
}

fn function<'t>(name: &'t str, rest: &'t str) -> Option<Found<'t>> {
    if rest.trim_start().starts_with('{') {
        let (arguments, used) = object(rest)?;
        let after = rest[used..].trim_start();
        return Some((
            name,
            Arguments::Json(arguments),
            after.strip_prefix("</function>").unwrap_or(after),
        ));
    }
    // Some answers omit the last closing tags.
    let (body, after) = rest
        .split_once("</function>")
        .or_else(|| rest.split_once("</tool_call>"))
        .unwrap_or((rest, ""));
    Some((
        name,
        Arguments::Texts(tagged(body, "<parameter=", "</parameter>")?),
        after,
    ))
}

/// Returns the object at the start of `text`, and its length in bytes.
fn object(text: &str) -> Option<(Map<String, Value>, usize)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Map<String, Value>>();
    let arguments = values.next()?.ok()?;
    Some((arguments, values.byte_offset()))
}

/// Parses arguments such as `<parameter=NAME>VALUE</parameter>`, where `open` is `<parameter=` and `close` is
/// `</parameter>`.
fn tagged<'t>(body: &'t str, open: &str, close: &str) -> Option<Vec<(&'t str, &'t str)>> {
    let mut texts = Vec::new();
    let mut rest = body.trim();
    while !rest.is_empty() {
        let (name, after) = rest.strip_prefix(open)?.split_once('>')?;
        // Without a closing tag, the value ends at the next parameter.
        let end = after.find(close).or_else(|| after.find(open)).unwrap_or(after.len());
        let value = &after[..end];
        let value = value.strip_prefix('\n').unwrap_or(value);
        texts.push((name.trim().trim_matches('"'), value.strip_suffix('\n').unwrap_or(value)));
        rest = after[end..].strip_prefix(close).unwrap_or(&after[end..]).trim_start();
    }
    Some(texts)
}

/// Converts each argument to the type in the tool's schema. A value that is not valid JSON stays a string.
fn typed(texts: Vec<(&str, &str)>, tool: &ToolSpec) -> Map<String, Value> {
    let type_of = |name: &str| tool.parameters["properties"][name]["type"].as_str().unwrap_or("string");
    texts
        .into_iter()
        .map(|(name, text)| {
            let value = match type_of(name) {
                "string" => None,
                _ => serde_json::from_str(text.trim()).ok(),
            };
            (name.to_owned(), value.unwrap_or_else(|| Value::String(text.to_owned())))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_markup_is_read() {
        let tools = [ToolSpec {
            name: "bash".to_owned(),
            description: String::new(),
            parameters: json!({"properties": {"command": {"type": "string"}, "seconds": {"type": "integer"}}}),
        }];
        let expected = r#"{"command":"ls -l","seconds":5}"#;
        let table = [
            "<tool_call>\n<function=bash>\n<parameter=command>\nls -l\n</parameter>\n<parameter=seconds>\n5\n</parameter>\n</function>\n</tool_call>",
            "<function=bash><parameter=command>ls -l</parameter><parameter=seconds>5</parameter>",
            r#"<function=bash>{"command": "ls -l", "seconds": 5}</function>"#,
            "<minimax:tool_call>\n<invoke name=\"bash\">\n<parameter name=\"command\">ls -l</parameter>\n<parameter name=\"seconds\">5</parameter>\n</invoke>\n</minimax:tool_call>",
            "<tool_call>bash\n<arg_key>command</arg_key>\n<arg_value>ls -l</arg_value>\n<arg_key>seconds</arg_key>\n<arg_value>5</arg_value>\n</tool_call>",
            r#"[TOOL_CALLS]bash[ARGS]{"command": "ls -l", "seconds": 5}"#,
            "<|tool_calls_section_begin|><|tool_call_begin|>functions.bash:0<|tool_call_argument_begin|>{\"command\": \"ls -l\", \"seconds\": 5}<|tool_call_end|><|tool_calls_section_end|>",
        ];
        for text in table {
            let found = calls(text, &tools).unwrap_or_default();
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(
                (found[0].name.as_str(), found[0].arguments.as_str()),
                ("bash", expected),
                "{text}"
            );
        }
        for text in [
            "<function=fly></function>",
            "<tool_call>",
            "<function=bash></function> is how",
            "bash ls",
        ] {
            assert_eq!(calls(text, &tools), None, "{text}");
        }
    }
}
