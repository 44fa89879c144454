//! Converts an answer of a shape (a parsing test case) to a response of the scripted server.

use bytes::Bytes;
use runyard::config::ProviderKind;
use runyard_upstream::{Step, Turn};
use serde_json::json;

use super::table::Answer;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    Lines,
    /// Each write has this many bytes. A write may end inside a character, a line or an event.
    Bytes(usize),
}

/// Returns the response of the scripted server: the answer's `json` or `html` as a complete body, or its `body` as a
/// stream.
pub fn response(kind: ProviderKind, answer: &Answer, writes: Writes) -> Turn {
    let status = answer.status.unwrap_or(200);
    let whole = answer.json.as_ref().or(answer.html.as_ref());
    let mut turn = match (whole, &answer.body) {
        (Some(text), _) => Turn::status(status).body(text),
        (None, Some(lines)) => Turn::raw(steps(kind, lines, writes)),
        (None, None) => Turn::status(status),
    };
    if answer.html.is_some() {
        turn = turn.header("content-type", "text/html; charset=utf-8");
    }
    for (name, value) in &answer.headers {
        turn = turn.header(name, value);
    }
    turn
}

fn steps(kind: ProviderKind, lines: &str, writes: Writes) -> Vec<Step> {
    let mut steps = Vec::new();
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        if line == "cut" {
            steps.push(Step::Cut);
            continue;
        }
        let bytes = event(kind, line);
        match writes {
            Writes::Lines => steps.push(Step::Bytes(Bytes::from(bytes))),
            Writes::Bytes(size) => {
                steps.extend(
                    bytes
                        .chunks(size)
                        .map(|chunk| Step::Bytes(Bytes::copy_from_slice(chunk))),
                );
            }
        }
    }
    steps
}

/// Converts one line of a shape to the bytes of an event. JSON is copied without parsing, because `Value` cannot
/// represent some text, such as a lone surrogate.
fn event(kind: ProviderKind, line: &str) -> Vec<u8> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let text = match word {
        "raw" => return unescape(rest),
        "delta" => chunk(rest, "null"),
        "call" => chunk(&call(rest), "null"),
        "usage" => usage(kind, rest),
        "part" => candidate(&format!(r#""content":{{"role":"model","parts":[{rest}]}}"#)),
        "finish" if kind == ProviderKind::Gemini => candidate(&format!(r#""finishReason":"{rest}""#)),
        "finish" => chunk("{}", &format!("\"{rest}\"")),
        _ => return data(name(kind, line), line),
    };
    data(None, &text)
}

fn chunk(delta: &str, finish: &str) -> String {
    format!(
        r#"{{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#
    )
}

fn candidate(fields: &str) -> String {
    format!(r#"{{"candidates":[{{{fields},"index":0}}]}}"#)
}

fn call(rest: &str) -> String {
    let words: Vec<&str> = rest.splitn(4, ' ').collect();
    let index: u64 = words[0].parse().unwrap();
    let function = json!({"name": words[2], "arguments": words[3]});
    json!({"tool_calls": [{"index": index, "id": words[1], "type": "function", "function": function}]}).to_string()
}

fn usage(kind: ProviderKind, rest: &str) -> String {
    let (input, output) = rest.split_once(' ').unwrap();
    let (input, output): (u64, u64) = (input.parse().unwrap(), output.parse().unwrap());
    let usage = match kind {
        ProviderKind::Gemini => json!({"usageMetadata": {"promptTokenCount": input, "candidatesTokenCount": output}}),
        _ => json!({
            "choices": [],
            "usage": {"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output},
        }),
    };
    usage.to_string()
}

/// Returns the name of an event, which equals the `type` in its data. Returns `None` for a protocol without event
/// names.
fn name(kind: ProviderKind, line: &str) -> Option<String> {
    if !matches!(kind, ProviderKind::Anthropic | ProviderKind::Responses) {
        return None;
    }
    let (_, rest) = line.split_once("\"type\":\"")?;
    Some(rest.split('"').next()?.to_owned())
}

fn data(name: Option<String>, text: &str) -> Vec<u8> {
    let name = name.map(|name| format!("event: {name}\n")).unwrap_or_default();
    format!("{name}data: {text}\n\n").into_bytes()
}

/// Replaces the escapes `\n`, `\r`, `\t`, `\\` and `\xNN`. Other backslashes stay.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let (decoded, length) = match (byte, after.first()) {
            (b'\\', Some(b'n')) => (b'\n', 2),
            (b'\\', Some(b'r')) => (b'\r', 2),
            (b'\\', Some(b't')) => (b'\t', 2),
            (b'\\', Some(b'\\')) => (b'\\', 2),
            (b'\\', Some(b'x')) => {
                let digits = std::str::from_utf8(&after[1..3]).unwrap();
                (u8::from_str_radix(digits, 16).unwrap(), 4)
            }
            _ => (byte, 1),
        };
        bytes.push(decoded);
        rest = &rest[length..];
    }
    bytes
}
