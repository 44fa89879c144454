//! Path templates of `google.api.http`.
//!
//! ```text
//! Template = "/" [ Segments ] [ ":" LITERAL ]        Segment  = "*" | "**" | LITERAL | Variable
//! Segments = Segment { "/" Segment }                 Variable = "{" IDENT { "." IDENT } [ "=" Segments ] "}"
//! ```
//! `**` is allowed only at the end. Variables cannot be nested.

use std::fmt;

/// One segment of a path template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Exactly this text.
    Literal(Box<str>),
    /// `*`: one segment, which must not be empty.
    One,
    /// `**`: the rest of the path, which may be empty.
    Rest,
}

/// A variable. It covers some segments of a path and sets a request field to their text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The path of the field, such as `agent.name`.
    pub field: Box<str>,
    /// Index of the first segment.
    pub start: usize,
    /// Index after the last segment; `None` for the rest of the path.
    pub end: Option<usize>,
}

impl Capture {
    /// Returns true if the variable covers exactly one segment. Only then is `%2F` decoded in its value.
    pub fn is_single(&self) -> bool {
        self.end == Some(self.start + 1)
    }
}

/// A parsed path template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The segments that a path must match.
    pub segments: Vec<Segment>,
    /// The variables, in the order of the path.
    pub captures: Vec<Capture>,
    /// The custom verb after the last colon.
    pub verb: Option<Box<str>>,
}

/// Reason why a template is invalid.
#[derive(Debug, PartialEq, Eq)]
pub struct BadTemplate {
    /// Byte offset of the defect in the template.
    pub at: usize,
    /// A description of the defect.
    pub what: &'static str,
}

impl fmt::Display for BadTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.what, self.at)
    }
}

impl Template {
    /// Parses a path template.
    ///
    /// # Errors
    /// The text is not a valid template.
    pub fn parse(text: &str) -> Result<Self, BadTemplate> {
        let mut parser = Parser {
            text,
            at: 0,
            segments: Vec::new(),
            captures: Vec::new(),
        };
        parser.expect("/", "a template must start with /")?;
        if parser.at < text.len() {
            parser.segments(false)?;
        }
        let verb = match parser.peek() {
            Some(b':') => {
                parser.at += 1;
                Some(parser.literal()?.into())
            }
            _ => None,
        };
        if parser.at < text.len() {
            return Err(parser.error("unexpected character"));
        }
        let beyond = parser.segments.iter().position(|segment| *segment == Segment::Rest);
        if beyond.is_some_and(|index| index + 1 < parser.segments.len()) {
            return Err(parser.error("** must be the last segment"));
        }
        Ok(Self {
            segments: parser.segments,
            captures: parser.captures,
            verb,
        })
    }

    /// Returns this template under a prefix of literal segments, such as `/v1`.
    ///
    /// # Errors
    /// The prefix is invalid.
    pub fn below(&self, prefix: &str) -> Result<Self, BadTemplate> {
        let root = Self::parse(prefix)?;
        let literal = |segment: &Segment| matches!(segment, Segment::Literal(_));
        if root.verb.is_some() || !root.segments.iter().all(literal) {
            return Err(BadTemplate {
                at: 0,
                what: "a prefix must have only literal segments",
            });
        }
        let shift = root.segments.len();
        let captures = self.captures.iter().map(|capture| Capture {
            field: capture.field.clone(),
            start: capture.start + shift,
            end: capture.end.map(|end| end + shift),
        });
        Ok(Self {
            captures: captures.collect(),
            segments: root.segments.into_iter().chain(self.segments.iter().cloned()).collect(),
            verb: self.verb.clone(),
        })
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    segments: Vec<Segment>,
    captures: Vec<Capture>,
}

impl<'a> Parser<'a> {
    fn segments(&mut self, inside: bool) -> Result<(), BadTemplate> {
        loop {
            match self.peek() {
                Some(b'*') if self.text[self.at..].starts_with("**") => {
                    self.at += 2;
                    self.segments.push(Segment::Rest);
                }
                Some(b'*') => {
                    self.at += 1;
                    self.segments.push(Segment::One);
                }
                Some(b'{') if inside => return Err(self.error("variables must not nest")),
                Some(b'{') => self.variable()?,
                _ => {
                    let literal = self.literal()?;
                    self.segments.push(Segment::Literal(literal.into()));
                }
            }
            if self.peek() != Some(b'/') {
                return Ok(());
            }
            self.at += 1;
        }
    }

    fn variable(&mut self) -> Result<(), BadTemplate> {
        self.at += 1;
        let from = self.at;
        loop {
            self.ident()?;
            if self.peek() != Some(b'.') {
                break;
            }
            self.at += 1;
        }
        let field = &self.text[from..self.at];
        let start = self.segments.len();
        if self.peek() == Some(b'=') {
            self.at += 1;
            self.segments(true)?;
        } else {
            self.segments.push(Segment::One);
        }
        self.expect("}", "a variable must end with }")?;
        if self.captures.iter().any(|capture| *capture.field == *field) {
            return Err(self.error("a variable name is used twice"));
        }
        let rest = self.segments.last() == Some(&Segment::Rest);
        self.captures.push(Capture {
            field: field.into(),
            start,
            end: (!rest).then_some(self.segments.len()),
        });
        Ok(())
    }

    fn ident(&mut self) -> Result<(), BadTemplate> {
        let first = self.peek();
        if !first.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_') {
            return Err(self.error("a field name is missing"));
        }
        while self
            .peek()
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            self.at += 1;
        }
        Ok(())
    }

    fn literal(&mut self) -> Result<&'a str, BadTemplate> {
        let from = self.at;
        while self
            .peek()
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || b"-_.~!$&'()+,;@".contains(&byte))
        {
            self.at += 1;
        }
        match &self.text[from..self.at] {
            "" => Err(self.error("a segment is missing")),
            literal => Ok(literal),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn expect(&mut self, token: &str, what: &'static str) -> Result<(), BadTemplate> {
        if !self.text[self.at..].starts_with(token) {
            return Err(self.error(what));
        }
        self.at += token.len();
        Ok(())
    }

    fn error(&self, what: &'static str) -> BadTemplate {
        BadTemplate { at: self.at, what }
    }
}
