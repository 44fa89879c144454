//! Limits the data that a reader buffers, and collects a call's arguments.

use serde::de::IgnoredAny;

use super::{
    fault::Fault,
    protocol::{MAX_ARGUMENT_BYTES, MAX_CARRIED_BYTES},
};

/// Maximum bytes that a reader buffers, without text and reasoning. Arguments can arrive in chunks and again as a
/// whole, so their limit is doubled.
const MAX_HELD_BYTES: usize = 2 * MAX_ARGUMENT_BYTES + MAX_CARRIED_BYTES;

/// Estimated bytes of a buffered part without its content.
pub(super) const EMPTY_PART: usize = 256;

/// Counts the bytes that a reader has buffered.
#[derive(Default)]
pub(super) struct Held {
    bytes: usize,
}

impl Held {
    /// Adds to the count. Fails with a temporary failure if the count exceeds [`MAX_HELD_BYTES`].
    pub(super) fn add(&mut self, bytes: usize) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_HELD_BYTES {
            return Err(Fault::passing("the tool calls exceed the size limit of an answer"));
        }
        Ok(())
    }
}

/// Returns the provider's id `own`. If it is empty, returns an id that contains `number`, the call's position in the
/// answer.
pub(super) fn call_id(own: &str, number: usize) -> String {
    if own.is_empty() {
        format!("call_{number}")
    } else {
        own.to_owned()
    }
}

/// The arguments of a call, joined from chunks.
#[derive(Default)]
pub(super) struct Arguments {
    text: String,
}

impl Arguments {
    /// Adds a chunk: the next part of the arguments, or all arguments so far.
    pub(super) fn push(&mut self, piece: &str) {
        let restarts = piece.trim_start().starts_with('{')
            && !self.text.is_empty()
            && (piece.starts_with(&self.text) || is_complete(&self.text));
        if !restarts {
            self.text.push_str(piece);
        } else if piece.trim() != "{}" {
            piece.clone_into(&mut self.text);
        }
    }

    /// Replaces the chunks with the complete arguments. After chunks, an empty `text` or `{}` is ignored.
    pub(super) fn replace(&mut self, text: String) {
        if self.text.is_empty() || !matches!(text.trim(), "" | "{}") {
            self.text = text;
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn is_complete(&self) -> bool {
        is_complete(&self.text)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Returns the arguments as the text of a JSON object. Some servers encode the object as a JSON string, which is
    /// decoded here.
    pub(super) fn get(&self) -> String {
        if self.is_empty() {
            return "{}".to_owned();
        }
        if self.text.trim_start().starts_with('"')
            && let Ok(inner) = serde_json::from_str::<String>(&self.text)
            && is_complete(&inner)
        {
            return inner;
        }
        self.text.clone()
    }
}

fn is_complete(json: &str) -> bool {
    json.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(json).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_assembled_as_they_were_meant() {
        let table: [(&[&str], &str); 8] = [
            (&["{\"a\":", "", "1}"], "{\"a\":1}"),
            (&["{}", "{\"a\":", "1}"], "{\"a\":1}"),
            (&["{\"a\":1}", "{}"], "{\"a\":1}"),
            (&["{\"a\":", "{\"a\":1", "{\"a\":1}"], "{\"a\":1}"),
            (&["\"{\\\"a\\\":1}\""], "{\"a\":1}"),
            (&["{}"], "{}"),
            (&["{\"a\":", "1"], "{\"a\":1"),
            (&[], "{}"),
        ];
        for (pieces, expected) in table {
            let mut arguments = Arguments::default();
            for piece in pieces {
                arguments.push(piece);
            }
            assert_eq!(arguments.get(), expected, "{pieces:?}");
        }
    }
}
