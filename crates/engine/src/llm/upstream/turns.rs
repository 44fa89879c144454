//! Builds parts of requests for several protocols.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::profile::Profile;
use crate::{
    config::ReasoningReturn,
    images::Image,
    llm::{Carried, ChatMessage, ToolRequest, ToolSpec},
};

/// Text of an empty user message, because providers refuse messages without text.
const NO_TEXT: &str = "(no text)";

/// Maximum bytes of a call id.
const MAX_ID: usize = 64;

/// Description of a tool that the model called earlier and can no longer call.
const PAST_TOOL: &str = "This tool is no longer available.";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Messages of the user, and tool results.
    User,
    Model,
}

/// Alternating turns of the user and the model. Consecutive messages of one side are merged into one turn.
#[derive(Default)]
pub(super) struct Turns {
    turns: Vec<(Side, Vec<Value>)>,
}

impl Turns {
    /// Skips a message without parts.
    pub(super) fn add(&mut self, side: Side, parts: Vec<Value>) {
        if parts.is_empty() {
            return;
        }
        match self.turns.last_mut() {
            Some((last, merged)) if *last == side => merged.extend(parts),
            _ => self.turns.push((side, parts)),
        }
    }

    pub(super) fn into_vec(self) -> Vec<(Side, Vec<Value>)> {
        self.turns
    }
}

/// Ids of the tool calls in a request. A call from an answer of this provider keeps the provider's id. Other calls
/// get ids from [`plain_id`].
#[derive(Default)]
pub(super) struct CallNames<'a> {
    sent: HashMap<&'a str, String>,
    used: HashSet<String>,
}

impl<'a> CallNames<'a> {
    /// Returns the id for a call: the provider's id `own`, or a plain id if `own` is missing or already used.
    pub(super) fn note(&mut self, call: &'a ToolRequest, own: Option<&str>) -> String {
        let own = own.filter(|own| !own.is_empty() && !self.used.contains(*own));
        let id = own.map_or_else(|| plain_id(&call.id), str::to_owned);
        self.used.insert(id.clone());
        self.sent.insert(&call.id, id.clone());
        id
    }

    /// Returns the id for the result of a call.
    pub(super) fn of(&self, engine_id: &str) -> String {
        self.sent.get(engine_id).cloned().unwrap_or_else(|| plain_id(engine_id))
    }
}

/// Returns an id that every provider accepts: up to 64 ASCII letters, digits, `_` and `-`. An id in another format is
/// shortened and gets a hash at its end.
fn plain_id(id: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    if !id.is_empty() && id.len() <= MAX_ID && id.chars().all(is_plain) {
        return id.to_owned();
    }
    let kept: String = id
        .chars()
        .take(MAX_ID / 2)
        .map(|character| if is_plain(character) { character } else { '_' })
        .collect();
    format!("{kept}_{:016x}", hash(id))
}

/// Returns the FNV-1a hash, which is the same in every process.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Returns `None` for data of another provider or model family, or if the profile forbids sending reasoning back.
pub(super) fn own<'a>(carried: Option<&'a Carried>, profile: &Profile) -> Option<&'a Vec<Value>> {
    if profile.returns_reasoning == ReasoningReturn::Never {
        return None;
    }
    profile.carried(carried).and_then(Value::as_array)
}

pub(super) fn user_text(text: &str) -> &str {
    if text.trim().is_empty() { NO_TEXT } else { text }
}

/// Returns the text to send for a user message with images: empty if the images say everything.
pub(super) fn text_beside<'t>(text: &'t str, images: &[Image]) -> Option<&'t str> {
    if images.is_empty() {
        Some(user_text(text))
    } else {
        Some(text).filter(|text| !text.trim().is_empty())
    }
}

/// Returns the text before an image, from which the model knows the name of the image.
pub(super) fn image_label(image: &Image) -> String {
    format!("[image {}]", image.name())
}

/// Returns an image as a URL with the scheme `data` (RFC 2397).
pub(super) fn data_url(image: &Image) -> String {
    format!("data:{};base64,{}", image.media_type(), image.base64())
}

/// Returns the text of a tool result. Some protocols have no field for failures, so the text of a failed call starts
/// with a sentence about the failure.
pub(super) fn result_text(text: &str, is_error: bool) -> String {
    if is_error {
        format!("The call failed.\n{text}")
    } else {
        text.to_owned()
    }
}

/// Converts arguments to the JSON object that providers require. Other JSON values are wrapped in an object.
pub(super) fn arguments(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => value,
        _ if text.trim().is_empty() => Value::Object(Map::new()),
        _ => json!({"invalid_arguments": text}),
    }
}

/// Like [`arguments`], but returns text.
pub(super) fn object_text(text: &str) -> String {
    match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(_) => text.to_owned(),
        Err(_) => arguments(text).to_string(),
    }
}

/// Returns the tools to declare, and whether the model may call them. Providers refuse calls of undeclared tools in
/// earlier messages, so even a request without tools declares the tools of earlier calls.
pub(super) fn tools(tools: &[ToolSpec], messages: &[ChatMessage]) -> (Vec<ToolSpec>, bool) {
    if !tools.is_empty() {
        return (tools.to_vec(), true);
    }
    let mut past: Vec<ToolSpec> = Vec::new();
    for message in messages {
        let ChatMessage::Assistant { tool_calls, .. } = message else {
            continue;
        };
        for call in tool_calls {
            if !past.iter().any(|tool| tool.name == call.name) {
                past.push(ToolSpec {
                    name: call.name.clone(),
                    description: PAST_TOOL.to_owned(),
                    parameters: json!({"type": "object"}),
                });
            }
        }
    }
    (past, false)
}

/// Returns the numbers after the family: (4, 6) for `claude-opus-4-6-20260205`, (2, 5) for `gemini-2.5-flash`.
pub(super) fn version(model: &str, family: &str) -> Option<(u32, u32)> {
    let model = model.to_ascii_lowercase();
    let (_, rest) = model.split_once(family)?;
    let mut words = rest.split(|character: char| !character.is_ascii_alphanumeric());
    // A number with more than two digits is a date.
    let number = |word: &str| (word.len() <= 2).then(|| word.parse::<u32>().ok()).flatten();
    let major = words.find_map(number)?;
    Some((major, words.next().and_then(number).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_names() {
        let table = [
            ("claude-opus-4-6", "claude", Some((4, 6))),
            ("claude-sonnet-4-20250514", "claude", Some((4, 0))),
            ("claude-3-7-sonnet-20250219", "claude", Some((3, 7))),
            ("anthropic/claude-4.7-opus", "claude", Some((4, 7))),
            ("us.anthropic.claude-opus-4-6-v1:0", "claude", Some((4, 6))),
            ("claude-opus-5", "claude", Some((5, 0))),
            ("claude-mythos-preview", "claude", None),
            ("gemini-2.5-flash", "gemini", Some((2, 5))),
            ("models/gemini-3-pro-preview", "gemini", Some((3, 0))),
            ("gemini-flash-latest", "gemini", None),
            ("tunedModels/mine", "gemini", None),
        ];
        for (model, family, expected) in table {
            assert_eq!(version(model, family), expected, "{model}");
        }
    }

    #[test]
    fn ids_of_the_provider_are_sent_unless_two_calls_share_one() {
        let calls = ["a", "b", "c"].map(|id| ToolRequest {
            id: id.to_owned(),
            name: "bash".to_owned(),
            arguments: String::new(),
        });
        let mut ids = CallNames::default();
        assert_eq!(ids.note(&calls[0], Some("functions.bash:0")), "functions.bash:0");
        assert_eq!(ids.note(&calls[1], Some("functions.bash:0")), "b");
        assert_eq!(ids.note(&calls[2], None), "c");
        assert_eq!(
            (ids.of("a"), ids.of("b")),
            ("functions.bash:0".to_owned(), "b".to_owned())
        );
    }

    #[test]
    fn foreign_ids_become_plain() {
        let long = "x".repeat(65);
        for id in ["functions.bash:0", "functions_bash:0", "", &long] {
            let plain = plain_id(id);
            assert!(plain.len() <= MAX_ID && plain_id(&plain) == plain, "{id}: {plain}");
        }
        assert_ne!(plain_id("functions.bash:0"), plain_id("functions:bash:0"));
    }
}
