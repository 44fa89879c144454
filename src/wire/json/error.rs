//! What is wrong with a JSON text, a piece of text, or wire bytes, and where.
//!
//! Made by the codec only. The place is a path of proto field names such as `configured_mcps[0].headers["x"]`; it is put
//! together while the error travels up, so that a good request pays nothing for it.

use std::{borrow::Cow, error::Error as StdError, fmt};

/// The longest name of a caller's making that is repeated in an error, in characters.
const MAX_QUOTED_CHARS: usize = 64;

/// What was being read when the error was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// Text from a caller.
    Text,
    /// Protobuf bytes, which a service of ours made.
    Wire,
}

/// A JSON text or wire bytes that the codec refuses.
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
    /// Text that a caller sent is wrong.
    pub(super) fn text(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Source::Text, message.into())
    }

    /// Protobuf bytes are wrong.
    pub(super) fn wire(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Source::Wire, message.into())
    }

    fn new(source: Source, message: Cow<'static, str>) -> Self {
        let path = String::new();
        Self {
            inner: Box::new(Inner { source, path, message }),
        }
    }

    /// Says that the error happened inside this field.
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

    /// Says that the error happened inside this element of a list.
    #[must_use]
    pub(super) fn at_index(mut self, index: usize) -> Self {
        self.bracket(&index.to_string());
        self
    }

    /// Says that the error happened inside this entry of a map.
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

    /// The path of the field to blame, in proto names; empty when the error is not about one field.
    pub fn field(&self) -> &str {
        &self.inner.path
    }

    /// What is wrong, without the path.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// Whether the caller's text is to blame, and not bytes that a service made.
    pub fn is_callers(&self) -> bool {
        self.inner.source == Source::Text
    }
}

/// A caller's own words, cut to a length that is safe to repeat.
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

impl From<CodecError> for crate::Error {
    fn from(error: CodecError) -> Self {
        let sentence = error.to_string();
        match error.inner.source {
            // Without a path it is the body itself that is wrong.
            Source::Text if sentence.starts_with("must ") => Self::invalid(format!("the body {sentence}")),
            Source::Text if error.inner.path.is_empty() => Self::invalid(sentence),
            Source::Text => Self::invalid_field(error.inner.path, sentence),
            Source::Wire => Self::internal("the answer could not be written as JSON", error),
        }
    }
}
