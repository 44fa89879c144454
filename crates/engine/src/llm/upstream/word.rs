//! A short string in an event, such as a type name.

use std::{borrow::Cow, ops::Deref};

use serde::Deserialize;

/// A string from an event, copied only if it contains escape sequences.
#[derive(Debug, Deserialize)]
pub(super) struct Word<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Word<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}
