//! A pull parser for JSON text. It accepts exactly the JSON of RFC 8259.
//!
//! Used by the decoder. It builds no values. A string stays a slice of the text until the decoder unescapes it. A
//! number stays text until the type of its field is known, so that 64-bit integers and exponents lose no precision. The
//! nesting depth is bounded.

use std::borrow::Cow;

use super::{CodecError, wire};

/// Maximum nesting of objects and arrays.
const MAX_DEPTH: u32 = 128;

/// Maximum length of a number, in characters. The exact decimal form of every double is shorter.
const MAX_NUMBER_LENGTH: usize = 1100;

/// A position in a JSON text.
#[derive(Clone, Debug)]
pub(super) struct Parser<'j> {
    text: &'j str,
    at: usize,
    depth: u32,
}

/// The type of a value, known from its first character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

/// A string in the form in which it occurs in the text. Its escapes have been validated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quoted<'j> {
    raw: &'j str,
    escaped: bool,
}

impl<'j> Parser<'j> {
    /// Starts at the beginning of a text.
    pub fn new(json: &'j [u8]) -> Result<Self, CodecError> {
        let text = std::str::from_utf8(json).map_err(|_| CodecError::text("the JSON is not valid UTF-8"))?;
        if text.starts_with('\u{feff}') {
            return Err(CodecError::text("the JSON must not begin with a byte order mark"));
        }
        Ok(Self { text, at: 0, depth: 0 })
    }

    /// Returns the type of the next value without consuming the value.
    pub fn peek(&mut self) -> Result<Token, CodecError> {
        self.skip_space();
        match self.byte() {
            Some(b'{') => Ok(Token::Object),
            Some(b'[') => Ok(Token::Array),
            Some(b'"') => Ok(Token::String),
            Some(b'-' | b'0'..=b'9') => Ok(Token::Number),
            Some(b't' | b'f') => Ok(Token::Bool),
            Some(b'n') => Ok(Token::Null),
            _ => Err(self.wrong("expected a value")),
        }
    }

    /// Enters the object or array that `peek` reported.
    pub fn enter(&mut self) -> Result<(), CodecError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(CodecError::text("nested too deeply"));
        }
        self.at += 1;
        Ok(())
    }

    /// Reads the next key of the current object, and the colon after it. At the end of the object, this method leaves
    /// the object and returns `None`.
    pub fn key(&mut self, first: &mut bool) -> Result<Option<Quoted<'j>>, CodecError> {
        if !self.more(b'}', first)? {
            return Ok(None);
        }
        if self.byte() != Some(b'"') {
            return Err(self.wrong("expected a quoted key"));
        }
        let key = self.string()?;
        self.skip_space();
        if self.byte() != Some(b':') {
            return Err(self.wrong("expected a colon"));
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Returns true if the current array has another element. At the end of the array, this method leaves the array and
    /// returns false.
    pub fn element(&mut self, first: &mut bool) -> Result<bool, CodecError> {
        self.more(b']', first)
    }

    fn more(&mut self, end: u8, first: &mut bool) -> Result<bool, CodecError> {
        self.skip_space();
        if self.byte() == Some(end) {
            self.at += 1;
            self.depth -= 1;
            return Ok(false);
        }
        if !std::mem::take(first) {
            if self.byte() != Some(b',') {
                return Err(self.wrong("expected a comma"));
            }
            self.at += 1;
            self.skip_space();
            if self.byte() == Some(end) {
                return Err(self.wrong("a trailing comma is not allowed"));
            }
        }
        Ok(true)
    }

    /// Reads the string that `peek` reported.
    pub fn string(&mut self) -> Result<Quoted<'j>, CodecError> {
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            self.at += plain.unwrap_or(rest.len());
            match self.byte() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.wrong("a control character must be escaped")),
                None => return Err(self.wrong("the string is not terminated")),
            }
        }
        let raw = &self.text[start..self.at];
        self.at += 1;
        Ok(Quoted { raw, escaped })
    }

    /// Validates one escape and skips it.
    fn escape(&mut self) -> Result<(), CodecError> {
        match self.text.as_bytes().get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let rest = &self.text[self.at..];
                let (_, length) = unicode(rest).ok_or_else(|| self.wrong("the escape is not a Unicode character"))?;
                self.at += length;
            }
            _ => return Err(self.wrong("unknown escape sequence")),
        }
        Ok(())
    }

    /// Reads the number that `peek` reported, as text.
    pub fn number(&mut self) -> Result<&'j str, CodecError> {
        let rest = &self.text[self.at..];
        let length = rest
            .bytes()
            .take_while(|byte| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'));
        let token = &rest[..length.count()];
        if token.len() > MAX_NUMBER_LENGTH {
            return Err(self.wrong("the number is too long"));
        }
        if !is_number(token) {
            return Err(self.wrong("invalid number"));
        }
        self.at += token.len();
        Ok(token)
    }

    /// Reads the boolean that `peek` reported.
    pub fn boolean(&mut self) -> Result<bool, CodecError> {
        let value = self.byte() == Some(b't');
        self.literal(if value { "true" } else { "false" })?;
        Ok(value)
    }

    /// Reads the null that `peek` reported.
    pub fn null(&mut self) -> Result<(), CodecError> {
        self.literal("null")
    }

    fn literal(&mut self, word: &str) -> Result<(), CodecError> {
        let rest = &self.text[self.at..];
        let behind = rest.as_bytes().get(word.len());
        if !rest.starts_with(word) || behind.is_some_and(u8::is_ascii_alphanumeric) {
            return Err(self.wrong("expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    /// Skips a value, which must be valid.
    pub fn skip(&mut self) -> Result<(), CodecError> {
        let mut first = true;
        match self.peek()? {
            Token::Object => {
                self.enter()?;
                while self.key(&mut first)?.is_some() {
                    self.skip()?;
                }
            }
            Token::Array => {
                self.enter()?;
                while self.element(&mut first)? {
                    self.skip()?;
                }
            }
            Token::String => drop(self.string()?),
            Token::Number => drop(self.number()?),
            Token::Bool => drop(self.boolean()?),
            Token::Null => self.null()?,
        }
        Ok(())
    }

    /// Checks that only white space follows.
    pub fn end(&mut self) -> Result<(), CodecError> {
        self.skip_space();
        if self.at < self.text.len() {
            Err(self.wrong("unexpected text after the value"))
        } else {
            Ok(())
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }

    fn wrong(&self, what: &str) -> CodecError {
        CodecError::text(format!("invalid JSON at byte {}: {what}", self.at))
    }
}

impl<'j> Quoted<'j> {
    /// The unescaped string.
    pub fn text(self) -> Cow<'j, str> {
        if !self.escaped {
            return Cow::Borrowed(self.raw);
        }
        let mut text = String::with_capacity(self.raw.len());
        let mut rest = self.raw;
        while let Some(at) = rest.find('\\') {
            text.push_str(&rest[..at]);
            let (character, length) = unescape(&rest[at..]);
            text.push(character);
            rest = &rest[at + length..];
        }
        text.push_str(rest);
        Cow::Owned(text)
    }

    /// Appends the length of the unescaped string, then the string.
    pub fn put(self, buffer: &mut Vec<u8>) {
        wire::put_bytes(buffer, self.text().as_bytes());
    }
}

/// The character of a validated escape, and the length of the escape.
fn unescape(escape: &str) -> (char, usize) {
    let character = match escape.as_bytes().get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode(escape).unwrap_or((char::REPLACEMENT_CHARACTER, 6)),
        Some(other) => char::from(*other),
        None => char::REPLACEMENT_CHARACTER,
    };
    (character, 2)
}

/// The character of `\u0041` or of a surrogate pair, and the length of the escape.
fn unicode(escape: &str) -> Option<(char, usize)> {
    let unit = code_unit(escape)?;
    if let Some(character) = char::from_u32(unit) {
        return Some((character, 6));
    }
    let low = escape.get(6..).and_then(code_unit)?;
    if !(0xd800..0xdc00).contains(&unit) || !(0xdc00..0xe000).contains(&low) {
        return None;
    }
    Some((char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00))?, 12))
}

fn code_unit(escape: &str) -> Option<u32> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    // This check is needed because `from_str_radix` also accepts a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u32::from_str_radix(digits, 16).ok()
}

/// Returns true if a text is a JSON number.
pub(super) fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    digits(whole) && !leading_zero && fraction.is_none_or(digits) && exponent.is_none_or(digits)
}
