//! The error for invalid JSON text, plain text or wire bytes.
//!
//! Its location is a path of proto field names, such as `configured_mcps[0].headers["x"]`. The path is built only
//! while an error propagates, so valid requests do not pay for it.

use std::{borrow::Cow, error::Error as StdError, fmt};

use crate::Error;

/// Maximum number of characters that an error quotes from a name in a request.
const MAX_QUOTED_CHARS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// Text from a client.
    Text,
    /// Protobuf bytes from a service.
    Wire,
}

/// The error for invalid text or wire bytes, with its location.
#[derive(Debug)]
pub struct CodecError {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    source: Source,
    path: String,
    message: Cow<'static, str>,
}

impl CodecError {
    pub(super) fn text(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Source::Text, message.into())
    }

    pub(super) fn wire(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Source::Wire, message.into())
    }

    fn new(source: Source, message: Cow<'static, str>) -> Self {
        let path = String::new();
        Self {
            inner: Box::new(Inner { source, path, message }),
        }
    }

    /// Prepends a field name to the location.
    #[must_use]
    pub(super) fn within(mut self, field: &str) -> Self {
        let rest = std::mem::take(&mut self.inner.path);
        let dot = if rest.is_empty() || rest.starts_with('[') {
            ""
        } else {
            "."
        };
        self.inner.path = format!("{}{dot}{rest}", shortened(field));
        self
    }

    #[must_use]
    pub(super) fn at_index(mut self, index: usize) -> Self {
        self.bracket(&index.to_string());
        self
    }

    #[must_use]
    pub(super) fn at_key(mut self, key: &str) -> Self {
        self.bracket(&format!("{:?}", shortened(key)));
        self
    }

    fn bracket(&mut self, inside: &str) {
        let rest = std::mem::take(&mut self.inner.path);
        let dot = if rest.is_empty() || rest.starts_with('[') {
            ""
        } else {
            "."
        };
        self.inner.path = format!("[{inside}]{dot}{rest}");
    }

    /// Returns the location in proto names; empty if the error does not concern a single field.
    pub fn field(&self) -> &str {
        &self.inner.path
    }

    /// Returns the message without the location.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// Returns true if the error is in text from a client, and false if it is in bytes from a service.
    pub fn is_callers(&self) -> bool {
        self.inner.source == Source::Text
    }
}

fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        None => Cow::Borrowed(text),
        Some((end, _)) => {
            let mut short = text[..end].to_owned();
            short.push('…');
            Cow::Owned(short)
        }
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.inner.path.is_empty() {
            f.write_str(&self.inner.path)?;
            f.write_str(": ")?;
        }
        f.write_str(&self.inner.message)
    }
}

impl StdError for CodecError {}

impl From<CodecError> for Error {
    fn from(error: CodecError) -> Self {
        let sentence = error.to_string();
        match error.inner.source {
            // Without a location, "must be an object" becomes "the body must be an object".
            Source::Text if sentence.starts_with("must ") => Self::invalid(format!("the body {sentence}")),
            Source::Text if error.inner.path.is_empty() => Self::invalid(sentence),
            Source::Text => Self::invalid_field(error.inner.path, sentence),
            Source::Wire => Self::internal("the response could not be encoded as JSON", error),
        }
    }
}
