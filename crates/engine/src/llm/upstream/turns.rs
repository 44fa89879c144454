//! Helpers that build parts of requests for several protocols.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::profile::Profile;
use crate::{
    config::ReasoningReturn,
    images::Image,
    llm::{Carried, ChatMessage, ToolRequest, ToolSpec},
};

/// Placeholder for the text of an empty user message, because providers refuse messages without text.
const NO_TEXT: &str = "(no text)";

/// Maximum length of a call id in bytes.
const MAX_ID: usize = 64;

/// Description of a tool that the model called earlier and can no longer call.
const PAST_TOOL: &str = "This tool is no longer available.";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Includes tool results.
    User,
    Model,
}

/// Turns that alternate between user and model. Consecutive messages of one side are merged into one turn.
#[derive(Default)]
pub(super) struct Turns {
    turns: Vec<(Side, Vec<Value>)>,
}

impl Turns {
    /// Adds a message to the last turn, or starts a new turn. A message without parts is skipped.
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

/// Call ids for a request. Ids that the provider generated are sent back to the provider. All other calls get ids from
/// [`plain_id`].
#[derive(Default)]
pub(super) struct CallNames<'a> {
    sent: HashMap<&'a str, String>,
    used: HashSet<String>,
}

impl<'a> CallNames<'a> {
    /// Registers a call. Returns the id to send: the provider's id `own`, or a plain id if `own` is missing or already
    /// used.
    pub(super) fn note(&mut self, call: &'a ToolRequest, own: Option<&str>) -> String {
        let own = own.filter(|own| !own.is_empty() && !self.used.contains(*own));
        let id = own.map_or_else(|| plain_id(&call.id), str::to_owned);
        self.used.insert(id.clone());
        self.sent.insert(&call.id, id.clone());
        id
    }

    /// Returns the id to send for the result of a call.
    pub(super) fn of(&self, engine_id: &str) -> String {
        self.sent.get(engine_id).cloned().unwrap_or_else(|| plain_id(engine_id))
    }
}

/// Returns an id that every provider accepts: up to 64 ASCII letters, digits, `_` and `-`. If `id` has another format,
/// the returned id ends with a hash of `id`.
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

/// Returns the FNV-1a hash of a string, which is the same in every process.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Returns the provider data of a message; `None` if the message came from another provider or model family, or if the
/// profile does not allow sending the data back.
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

/// Returns the text of a tool result. For a failed call, the text begins with a sentence that states the failure,
/// because some protocols have no field for failures.
pub(super) fn result_text(text: &str, is_error: bool) -> String {
    if is_error {
        format!("The call failed.\n{text}")
    } else {
        text.to_owned()
    }
}

/// Converts arguments to a JSON object, because providers require one. Arguments that are not an object are wrapped in
/// an object.
pub(super) fn arguments(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ Value::Object(_)) => value,
        _ if text.trim().is_empty() => Value::Object(Map::new()),
        _ => json!({"invalid_arguments": text}),
    }
}

/// Returns arguments as the text of a JSON object. Arguments that are not an object are wrapped in an object.
pub(super) fn object_text(text: &str) -> String {
    match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(_) => text.to_owned(),
        Err(_) => arguments(text).to_string(),
    }
}

/// Returns the tools to declare, and whether the model may call them. A request without tools must still declare the
/// tools that earlier messages called, because providers refuse calls of undeclared tools.
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

/// Returns the version in a model's name: the numbers after the family's name, such as (4, 6) for
/// `claude-opus-4-6-20260205` or (2, 5) for `gemini-2.5-flash`. Returns `None` for a name without a version.
pub(super) fn version(model: &str, family: &str) -> Option<(u32, u32)> {
    let model = model.to_ascii_lowercase();
    let (_, rest) = model.split_once(family)?;
    let mut words = rest.split(|character: char| !character.is_ascii_alphanumeric());
    // A number with more than two digits is a date, not a version.
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
