//! A type for short strings in events, such as type names. The Anthropic, Gemini and Responses readers use the type to
//! avoid copies.

use std::{borrow::Cow, ops::Deref};

use serde::Deserialize;

/// A string from an event. The string is copied only if it contains escape sequences.
#[derive(Debug, Deserialize)]
pub(super) struct Word<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Word<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}
