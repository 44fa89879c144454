//! Shortens a conversation to fit the model's context window.
//!
//! [`compact`] takes these steps until the conversation fits:
//! 1. Replace images by a line of text, oldest first. The newest messages keep their images.
//! 2. Shorten old assistant messages and old tool results.
//! 3. Replace old turns by a note. A turn is a message and the tool results that follow. The last turn stays, and so
//!    do the turns of the first and the last user message.
//! 4. Replace the remaining images by text, oldest first.
//! 5. Shorten all messages.
//!
//! A shortened assistant message loses its provider data ([`Carried`]), which is valid only for the complete message.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::Value;

use super::history::{is_note, note};
use crate::{
    images::{Image, not_shown, replace},
    llm::{Carried, ChatMessage},
    tools::excerpt::{excerpt, opening},
};

const BYTES_PER_TOKEN: u64 = 4;
/// Estimated tokens per message in addition to its text.
const MESSAGE_TOKENS: u64 = 8;
/// Number of newest messages that only step 3 shortens.
const NEWEST: usize = 6;
/// Step 1 shortens each text and string argument to this number of bytes.
const SHORTENED_BYTES: usize = 600;
/// Bytes per text and string argument in step 3, tried in this order until the conversation fits.
const LAST_RESORT_BYTES: [usize; 8] = [65_536, 32_768, 16_384, 8_192, 4_096, 2_048, 1_024, 512];
/// Maximum number of user messages that the note quotes.
const QUOTED: usize = 5;
const QUOTED_BYTES: usize = 160;

/// A shortened conversation.
#[derive(Debug)]
pub struct Compacted {
    /// The shortened conversation.
    pub messages: Vec<ChatMessage>,
    /// Number of shortened messages, not counting dropped messages and the last user message.
    pub shortened: usize,
    /// Number of dropped messages.
    pub dropped: usize,
    /// Number of images that were replaced by text. Images of dropped messages are not counted.
    pub images: usize,
    /// True if the last user message was shortened.
    pub is_prompt_shortened: bool,
}

impl Compacted {
    /// Returns whether anything was shortened or dropped.
    pub fn is_changed(&self) -> bool {
        self.shortened + self.dropped + self.images > 0 || self.is_prompt_shortened
    }
}

struct Entry {
    message: ChatMessage,
    is_shortened: bool,
}

impl Entry {
    fn shorten(&mut self, max_bytes: usize) {
        self.is_shortened |= shorten(&mut self.message, max_bytes);
    }

    fn is_prompt(&self) -> bool {
        is_prompt(&self.message)
    }
}

/// Estimates the tokens of a text of `bytes` bytes.
pub fn estimate_bytes(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(BYTES_PER_TOKEN)
}

/// Estimates the tokens of messages, with their tool calls and provider data.
pub fn estimate_all(messages: &[ChatMessage]) -> u64 {
    messages.iter().map(estimate).sum()
}

fn estimate(message: &ChatMessage) -> u64 {
    let bytes = match message {
        ChatMessage::User { text, .. } | ChatMessage::Tool { text, .. } => text.len(),
        ChatMessage::Assistant {
            text,
            tool_calls,
            carried,
        } => {
            text.len()
                + carried.as_ref().map_or(0, carried_bytes)
                + tool_calls
                    .iter()
                    .map(|call| call.name.len() + call.arguments.len() + 16)
                    .sum::<usize>()
        }
    };
    let images: u64 = message.images().iter().map(Image::tokens).sum();
    MESSAGE_TOKENS + estimate_bytes(bytes) + images
}

fn estimate_entries(entries: &[Entry]) -> u64 {
    entries.iter().map(|entry| estimate(&entry.message)).sum()
}

fn carried_bytes(carried: &Carried) -> usize {
    json_bytes(&carried.value)
}

fn json_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(|item| json_bytes(item) + 1).sum::<usize>() + 2,
        Value::Object(fields) => {
            fields
                .iter()
                .map(|(key, item)| key.len() + json_bytes(item) + 4)
                .sum::<usize>()
                + 2
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 4,
    }
}

/// Shortens a conversation to `max_tokens` estimated tokens, or as far as possible.
pub fn compact(messages: Vec<ChatMessage>, max_tokens: u64) -> Compacted {
    let mut entries: Vec<Entry> = messages.into_iter().map(Entry::from).collect();
    let mut total = estimate_entries(&entries);
    let old = entries.len().saturating_sub(NEWEST);
    let mut images = drop_images(&mut entries[..old], &mut total, max_tokens);
    for entry in &mut entries[..old] {
        if total <= max_tokens {
            break;
        }
        if matches!(entry.message, ChatMessage::User { .. }) {
            continue;
        }
        let before = estimate(&entry.message);
        entry.shorten(SHORTENED_BYTES);
        total = total.saturating_sub(before).saturating_add(estimate(&entry.message));
    }
    let mut dropped = 0;
    if total > max_tokens {
        (entries, dropped) = drop_turns(entries, max_tokens);
    }
    total = estimate_entries(&entries);
    images += drop_images(&mut entries, &mut total, max_tokens);
    for max_bytes in LAST_RESORT_BYTES {
        if estimate_entries(&entries) <= max_tokens {
            break;
        }
        for entry in &mut entries {
            entry.shorten(max_bytes);
        }
    }
    let shortened = entries.iter().filter(|entry| entry.is_shortened).count();
    let prompt = entries.iter().rev().find(|entry| entry.is_prompt());
    let is_prompt_shortened = prompt.is_some_and(|prompt| prompt.is_shortened);
    Compacted {
        shortened: shortened - usize::from(is_prompt_shortened),
        is_prompt_shortened,
        dropped,
        images,
        messages: entries.into_iter().map(|entry| entry.message).collect(),
    }
}

/// Replaces images by text, oldest first, until `total` is `max_tokens` or less. Returns the number of images.
fn drop_images(entries: &mut [Entry], total: &mut u64, max_tokens: u64) -> usize {
    let mut images = 0;
    for entry in entries {
        if *total <= max_tokens {
            break;
        }
        if entry.message.images().is_empty() {
            continue;
        }
        let before = estimate(&entry.message);
        images += replace(&mut entry.message, |image| {
            not_shown(image.name(), &"it was left out to fit your context window")
        });
        *total = total.saturating_sub(before).saturating_add(estimate(&entry.message));
    }
    images
}

impl From<ChatMessage> for Entry {
    fn from(message: ChatMessage) -> Self {
        Self {
            message,
            is_shortened: false,
        }
    }
}

/// Returns whether the user wrote the message. Notes of the engine also have the user role.
fn is_prompt(message: &ChatMessage) -> bool {
    matches!(message, ChatMessage::User { .. }) && !is_note(message)
}

/// Returns whether the message changed.
fn shorten(message: &mut ChatMessage, max_bytes: usize) -> bool {
    match message {
        ChatMessage::User { text, .. } | ChatMessage::Tool { text, .. } => shorten_text(text, max_bytes),
        ChatMessage::Assistant {
            text,
            tool_calls,
            carried,
        } => {
            let mut changed = shorten_text(text, max_bytes);
            for call in tool_calls.iter_mut().filter(|call| call.arguments.len() > max_bytes) {
                // Providers require valid JSON, so only strings inside the arguments are cut.
                let mut arguments = serde_json::from_str(&call.arguments).unwrap_or(Value::Null);
                shorten_strings(&mut arguments, max_bytes);
                let shorter = arguments.to_string();
                if shorter.len() < call.arguments.len() {
                    call.arguments = shorter;
                    changed = true;
                }
            }
            if carried
                .as_ref()
                .is_some_and(|carried| changed || carried_bytes(carried) > max_bytes)
            {
                *carried = None;
                changed = true;
            }
            changed
        }
    }
}

fn shorten_text(text: &mut String, max_bytes: usize) -> bool {
    if text.len() <= max_bytes {
        return false;
    }
    *text = excerpt(text, max_bytes).into_owned();
    true
}

fn shorten_strings(value: &mut Value, max_bytes: usize) {
    match value {
        Value::String(text) => {
            shorten_text(text, max_bytes);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| shorten_strings(item, max_bytes)),
        Value::Object(fields) => fields.values_mut().for_each(|item| shorten_strings(item, max_bytes)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Replaces turns, oldest first, by a note until the conversation fits. The last turn stays, and so do the turns of
/// the first and the last user message. Also returns the number of dropped messages.
fn drop_turns(entries: Vec<Entry>, max_tokens: u64) -> (Vec<Entry>, usize) {
    let mut turns = split(entries);
    let is_users = |turn: &Vec<Entry>| turn.first().is_some_and(Entry::is_prompt);
    let first_user = turns.iter().position(is_users);
    let last_user = turns.iter().rposition(is_users);
    let last = turns.len().saturating_sub(1);
    let mut total: u64 = turns.iter().map(|turn| estimate_entries(turn)).sum();
    let mut gone = Vec::new();
    let mut place = None;
    for (index, turn) in turns.iter_mut().enumerate().take(last) {
        if total <= max_tokens {
            break;
        }
        if Some(index) == first_user || Some(index) == last_user {
            continue;
        }
        total = total.saturating_sub(estimate_entries(turn));
        gone.extend(turn.drain(..).map(|entry| entry.message));
        place.get_or_insert(index);
    }
    if let Some(place) = place {
        turns[place] = vec![note(&summary(&gone)).into()];
    }
    (turns.into_iter().flatten().collect(), gone.len())
}

fn split(entries: Vec<Entry>) -> Vec<Vec<Entry>> {
    let mut turns: Vec<Vec<Entry>> = Vec::new();
    for entry in entries {
        match turns.last_mut() {
            Some(turn) if matches!(entry.message, ChatMessage::Tool { .. }) => turn.push(entry),
            _ => turns.push(vec![entry]),
        }
    }
    turns
}

/// Returns the text of the note: the number of dropped messages, the called tools, and quotes of the newest dropped
/// user messages.
fn summary(gone: &[ChatMessage]) -> String {
    let mut tools: BTreeMap<&str, usize> = BTreeMap::new();
    let mut asked = Vec::new();
    for message in gone {
        match message {
            ChatMessage::Tool { name, .. } => *tools.entry(name).or_default() += 1,
            ChatMessage::User { text, .. } if is_prompt(message) => asked.push(opening(text, QUOTED_BYTES)),
            ChatMessage::User { .. } | ChatMessage::Assistant { .. } => {}
        }
    }
    let mut line = format!(
        "{} earlier messages were removed here to fit your context window.",
        gone.len()
    );
    if !tools.is_empty() {
        let counts: Vec<String> = tools.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        let _ = write!(line, " They called these tools: {}.", counts.join(", "));
    }
    for text in asked.iter().rev().take(QUOTED).rev() {
        let _ = write!(line, "\nThe user said: {text}");
    }
    line
}
