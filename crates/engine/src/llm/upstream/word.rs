//! A short string in an event, such as a type name. The Anthropic, Gemini and Responses readers use it to avoid copies.

use std::{borrow::Cow, ops::Deref};

use serde::Deserialize;

/// A string that is borrowed from the event, unless it contains escape sequences.
#[derive(Debug, Deserialize)]
pub(super) struct Word<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Word<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}
