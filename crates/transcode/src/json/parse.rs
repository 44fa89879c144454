//! Reads JSON text (RFC 8259, without extensions) with jiter.
//!
//! Numbers stay text until their field type is known, so 64-bit integers and exponents lose no precision.

use std::borrow::Cow;

use jiter::{Jiter, JiterError, JiterErrorType, JsonErrorType};

use super::CodecError;

/// Maximum nesting depth of objects and arrays.
const MAX_DEPTH: u32 = 128;

/// Maximum length of a number, in characters. The exact decimal form of every double is shorter.
const MAX_NUMBER_LENGTH: usize = 1100;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

#[derive(Clone, Debug)]
pub(super) struct Parser<'j> {
    text: &'j [u8],
    jiter: Jiter<'j>,
    depth: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

impl<'j> Parser<'j> {
    pub fn new(json: &'j [u8]) -> Result<Self, CodecError> {
        if json.starts_with(BYTE_ORDER_MARK) {
            return Err(CodecError::text("the JSON must not begin with a byte order mark"));
        }
        Ok(Self {
            text: json,
            jiter: Jiter::new(json),
            depth: 0,
        })
    }

    pub fn peek(&mut self) -> Result<Token, CodecError> {
        let byte = match self.text.get(self.jiter.current_index()) {
            Some(byte) if !byte.is_ascii_whitespace() => *byte,
            _ => self
                .jiter
                .peek()
                .map_err(|error| refusal(self.text, &error))?
                .into_inner(),
        };
        match byte {
            b'{' => Ok(Token::Object),
            b'[' => Ok(Token::Array),
            b'"' => Ok(Token::String),
            b'-' | b'0'..=b'9' => Ok(Token::Number),
            b't' | b'f' => Ok(Token::Bool),
            b'n' => Ok(Token::Null),
            _ => Err(wrong(self.text, self.jiter.current_index(), "expected a value")),
        }
    }

    /// Enters an object or array, and checks the nesting depth. Must be called after `peek` has returned `Object` or
    /// `Array`.
    pub fn enter(&mut self) -> Result<(), CodecError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(CodecError::text("nested too deeply"));
        }
        Ok(())
    }

    /// Reads the next key of an object, and the colon. `None` at the end of the object. `first` is true before the
    /// first key.
    pub fn key(&mut self, first: &mut bool) -> Result<Option<&str>, CodecError> {
        let key = if std::mem::take(first) {
            self.jiter.known_object()
        } else {
            self.jiter.next_key()
        };
        let key = key.map_err(|error| refusal(self.text, &error))?;
        if key.is_none() {
            self.depth -= 1;
        }
        Ok(key)
    }

    /// Like `key`, but the key outlives later reads. It is copied only if it contains escapes.
    pub fn map_key(&mut self, first: &mut bool) -> Result<Option<Cow<'j, str>>, CodecError> {
        let rest = self.text.get(self.jiter.current_index()..).unwrap_or_default();
        let Some(key) = self.key(first)? else {
            return Ok(None);
        };
        let quote = rest.iter().position(|byte| *byte == b'"');
        let slice = quote
            .and_then(|quote| rest.get(quote + 1..quote + 1 + key.len()))
            .filter(|slice| *slice == key.as_bytes())
            .and_then(|slice| std::str::from_utf8(slice).ok());
        Ok(Some(slice.map_or_else(|| Cow::Owned(key.to_owned()), Cow::Borrowed)))
    }

    /// Returns true if the array has another element. `first` is true before the first element.
    pub fn element(&mut self, first: &mut bool) -> Result<bool, CodecError> {
        let next = if std::mem::take(first) {
            self.jiter.known_array()
        } else {
            self.jiter.array_step()
        };
        let more = next.map_err(|error| refusal(self.text, &error))?.is_some();
        if !more {
            self.depth -= 1;
        }
        Ok(more)
    }

    pub fn string(&mut self) -> Result<&str, CodecError> {
        self.jiter.known_str().map_err(|error| refusal(self.text, &error))
    }

    /// Returns a number as text.
    pub fn number(&mut self) -> Result<&str, CodecError> {
        let start = self.jiter.current_index();
        let number = self
            .jiter
            .next_number_bytes()
            .map_err(|error| refusal(self.text, &error))?;
        if number.len() > MAX_NUMBER_LENGTH {
            return Err(wrong(self.text, start, "the number is too long"));
        }
        std::str::from_utf8(number).map_err(|_| wrong(self.text, start, "invalid number"))
    }

    pub fn boolean(&mut self) -> Result<bool, CodecError> {
        self.jiter.next_bool().map_err(|error| refusal(self.text, &error))
    }

    pub fn null(&mut self) -> Result<(), CodecError> {
        self.jiter.known_null().map_err(|error| refusal(self.text, &error))
    }

    /// Skips a value. Checks only its syntax; the decoder checks UTF-8 and limits when it reads the value later.
    pub fn skip(&mut self) -> Result<(), CodecError> {
        self.jiter.next_skip().map_err(|error| refusal(self.text, &error))
    }

    pub fn end(&mut self) -> Result<(), CodecError> {
        self.jiter.finish().map_err(|error| refusal(self.text, &error))
    }
}

#[cold]
fn refusal(text: &[u8], error: &JiterError) -> CodecError {
    use JsonErrorType as Type;

    let JiterErrorType::JsonError(kind) = &error.error_type else {
        return wrong(text, error.index, "expected a value");
    };
    let what = match kind {
        Type::RecursionLimitExceeded => return CodecError::text("nested too deeply"),
        Type::ExpectedColon => "expected a colon",
        Type::KeyMustBeAString => "expected a quoted key",
        Type::ExpectedListCommaOrEnd | Type::ExpectedObjectCommaOrEnd => "expected a comma",
        Type::EofWhileParsingList | Type::EofWhileParsingObject => "unexpected end of the text",
        Type::TrailingComma => "a trailing comma is not allowed",
        Type::TrailingCharacters => "unexpected text after the value",
        Type::EofWhileParsingString => "the string is not terminated",
        Type::ControlCharacterWhileParsingString => "a control character must be escaped",
        Type::InvalidEscape => "unknown escape sequence",
        Type::LoneLeadingSurrogateInHexEscape | Type::UnexpectedEndOfHexEscape => {
            "the escape is not a Unicode character"
        }
        Type::NumberOutOfRange => "the number is too long",
        Type::InvalidNumber => "invalid number",
        _ => "expected a value",
    };
    wrong(text, error.index, what)
}

fn wrong(text: &[u8], at: usize, what: &str) -> CodecError {
    if std::str::from_utf8(text).is_err() {
        return CodecError::text("the JSON is not valid UTF-8");
    }
    CodecError::text(format!("invalid JSON at byte {at}: {what}"))
}
