//! Parts of an answer that a reader holds until the answer is complete: the size limit, and the arguments of a call.

use serde::de::IgnoredAny;

use super::{
    fault::Fault,
    protocol::{MAX_ARGUMENT_BYTES, MAX_CARRIED_BYTES},
};

/// Maximum size in bytes of the parts that a reader holds besides text and reasoning.
const MAX_HELD_BYTES: usize = MAX_ARGUMENT_BYTES + MAX_CARRIED_BYTES;

/// Counts the bytes that a reader holds.
#[derive(Default)]
pub(super) struct Held {
    bytes: usize,
}

impl Held {
    /// Counts bytes.
    ///
    /// # Errors
    /// A temporary failure if the answer holds too many bytes.
    pub(super) fn add(&mut self, bytes: usize) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > MAX_HELD_BYTES {
            return Err(Fault::passing("the tool calls exceed the size limit of an answer"));
        }
        Ok(())
    }
}

/// The arguments of a call, which arrive in pieces.
#[derive(Default)]
pub(super) struct Arguments {
    text: String,
    /// Position of the newest piece.
    newest: usize,
}

impl Arguments {
    /// Adds a piece.
    pub(super) fn push(&mut self, piece: &str) {
        if !piece.is_empty() {
            self.newest = self.text.len();
            self.text.push_str(piece);
        }
    }

    /// Replaces all pieces with the complete arguments.
    pub(super) fn replace(&mut self, text: String) {
        self.newest = 0;
        self.text = text;
    }

    /// Returns whether no piece has arrived.
    pub(super) fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    /// Returns the arguments. Some servers begin with an empty object, or repeat all arguments in each piece.
    pub(super) fn get(&self) -> &str {
        let text = self.text.trim();
        if is_object(text) {
            return text;
        }
        let newest = self.text[self.newest..].trim();
        if self.newest > 0 && is_object(newest) {
            return newest;
        }
        match text.strip_prefix("{}").map(str::trim) {
            Some(rest) if !rest.is_empty() => rest,
            _ => text,
        }
    }
}

fn is_object(text: &str) -> bool {
    text.starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_assembled_as_they_were_meant() {
        let table: [(&[&str], &str); 6] = [
            (&["{\"a\":", "", "1}"], "{\"a\":1}"),
            (&["{}", "{\"a\":", "1}"], "{\"a\":1}"),
            (&["{\"a\":", "{\"a\":1", "{\"a\":1}"], "{\"a\":1}"),
            (&["{}"], "{}"),
            (&["{\"a\":", "1"], "{\"a\":1"),
            (&[], ""),
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
