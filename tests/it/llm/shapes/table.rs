//! Reads the files with the shapes (parsing test cases). `README.md` in this folder describes their format.

use std::collections::BTreeMap;

use runyard::{
    config::ProviderKind,
    llm::{Carried, ChatMessage, ToolRequest},
};
use serde::Deserialize;
use serde_json::Value;
use toml::Table;

pub struct Shape {
    pub id: String,
    pub source: String,
    pub kind: ProviderKind,
    pub model: String,
    /// Members of `[providers.NAME]` in the configuration, without `kind`.
    pub provider: Table,
    pub key: String,
    /// Path and query of the provider's base URL.
    pub base: String,
    pub history: Vec<ChatMessage>,
    pub extra_body: serde_json::Map<String, Value>,
    pub turns: Vec<Turn>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Turn {
    pub answers: Vec<Answer>,
    body: Option<String>,
    json: Option<String>,
    html: Option<String>,
    status: Option<u16>,
    headers: Option<BTreeMap<String, String>>,
    pub text: String,
    pub reasoning: String,
    pub calls: Vec<String>,
    pub usage: Option<Vec<u64>>,
    pub end: Option<String>,
    pub error: Option<String>,
    pub window: Option<u64>,
    pub says: Option<String>,
    pub requests: Option<usize>,
    pub path: Option<String>,
    pub header: BTreeMap<String, String>,
    pub sent: Table,
    pub unsent: Vec<String>,
    pub contains: Vec<String>,
    pub absent: Option<String>,
    pub same: Vec<[String; 2]>,
    pub prefix: bool,
}

/// An answer. `body` contains the lines of a stream. `json` and `html` are complete bodies.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answer {
    pub body: Option<String>,
    pub json: Option<String>,
    pub html: Option<String>,
    pub status: Option<u16>,
    pub headers: BTreeMap<String, String>,
}

pub fn read(text: &str) -> Vec<Shape> {
    let mut file: Table = text.parse().unwrap();
    let kind: ProviderKind = file.remove("kind").unwrap().try_into().unwrap();
    let shapes: Vec<Table> = file.remove("shape").unwrap().try_into().unwrap();
    shapes.into_iter().map(|table| shape(kind, table)).collect()
}

fn shape(kind: ProviderKind, mut table: Table) -> Shape {
    let id: String = table.remove("id").unwrap().try_into().unwrap();
    let mut word = |key: &str| -> Option<String> {
        let value = table.remove(key)?;
        Some(value.try_into().unwrap_or_else(|error| panic!("{id}: {key}: {error}")))
    };
    let source = word("source").unwrap_or_default();
    let model = word("model").unwrap_or_else(|| "scripted".to_owned());
    let key = word("key").unwrap_or_else(|| "sk-secret-0123456789".to_owned());
    let base = word("base").unwrap_or_else(|| "/v1/".to_owned());
    let history = word("history").map_or_else(Vec::new, |text| history(&text));
    let extra_body = word("extra_body")
        .map(|text| serde_json::from_str(&text).unwrap())
        .unwrap_or_default();
    let provider = table
        .remove("provider")
        .map(|table| table.try_into().unwrap())
        .unwrap_or_default();
    let then: Vec<Table> = table
        .remove("then")
        .map(|turns| turns.try_into().unwrap())
        .unwrap_or_default();
    let turns = std::iter::once(table).chain(then);
    let turns = turns
        .map(|table| table.try_into().unwrap_or_else(|error| panic!("{id}: {error}")))
        .map(|turn: Turn| turn.with_answers(kind))
        .collect();
    Shape {
        id,
        source,
        kind,
        model,
        provider,
        key,
        base,
        history,
        extra_body,
        turns,
    }
}

impl Turn {
    /// Moves the fields of a single answer into `answers`. A turn without an answer gets the text "fine".
    fn with_answers(mut self, kind: ProviderKind) -> Self {
        if self.answers.is_empty() && self.body.is_none() && self.json.is_none() && self.html.is_none() {
            self.body = Some(plain(kind).to_owned());
            "fine".clone_into(&mut self.text);
        }
        if self.answers.is_empty() {
            self.answers.push(Answer {
                body: self.body.take(),
                json: self.json.take(),
                html: self.html.take(),
                status: self.status,
                headers: self.headers.take().unwrap_or_default(),
            });
        }
        self
    }
}

fn plain(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::OpenAi => "delta {\"content\":\"fine\"}\nfinish stop\n[DONE]",
        ProviderKind::Gemini => "part {\"text\":\"fine\"}\nfinish STOP",
        ProviderKind::Anthropic => {
            r#"{"type":"message_start","message":{"usage":{"input_tokens":5,"output_tokens":1}}}
{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}
{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"fine"}}
{"type":"content_block_stop","index":0}
{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}
{"type":"message_stop"}"#
        }
        ProviderKind::Responses => {
            r#"{"type":"response.output_text.delta","item_id":"m","output_index":0,"content_index":0,"delta":"fine"}
{"type":"response.completed","response":{"id":"r","status":"completed","usage":{"input_tokens":5,"output_tokens":1}}}"#
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase", tag = "role")]
enum Said {
    User {
        text: String,
    },
    Assistant {
        text: String,
        #[serde(default)]
        calls: Vec<Called>,
        carried: Option<Carried>,
    },
    Tool {
        id: String,
        name: String,
        text: String,
        #[serde(default)]
        is_error: bool,
    },
}

#[derive(Deserialize)]
struct Called {
    id: String,
    name: String,
    arguments: String,
}

fn history(text: &str) -> Vec<ChatMessage> {
    let said: Vec<Said> = serde_json::from_str(text).unwrap();
    said.into_iter()
        .map(|said| match said {
            Said::User { text } => ChatMessage::user(text),
            Said::Assistant { text, calls, carried } => ChatMessage::Assistant {
                text,
                tool_calls: calls
                    .into_iter()
                    .map(|Called { id, name, arguments }| ToolRequest { id, name, arguments })
                    .collect(),
                carried,
            },
            Said::Tool {
                id,
                name,
                text,
                is_error,
            } => ChatMessage::Tool {
                tool_call_id: id,
                name,
                text,
                images: Vec::new(),
                is_error,
            },
        })
        .collect()
}
