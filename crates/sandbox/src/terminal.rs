//! Interprets a program's output as a terminal does.
//!
//! [`Decoder`] decodes bytes to text. [`Parser`] splits text into [`Step`]s, such as text, newlines and cursor
//! movements.

use std::mem;

/// Maximum parameter of a control sequence. A larger parameter is reduced to this value.
const MAX_NUMBER: usize = 9_999;

/// Decodes UTF-8 that arrives in chunks. Invalid bytes are replaced by U+FFFD.
#[derive(Debug, Default)]
pub struct Decoder {
    /// First bytes of an incomplete character.
    partial: Vec<u8>,
}

/// One action of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Print text without control characters except tabs.
    Text(&'a str),
    /// Go to the start of the next line.
    NewLine,
    /// Go to the start of the current line.
    Return,
    /// Execute the control sequence with this final character and first parameter (ECMA-48).
    Control(char, Option<usize>),
}

/// Splits text into steps. An escape sequence may continue in the next call.
#[derive(Debug, Default)]
pub struct Parser {
    state: State,
    /// First parameter of the current control sequence; `None` if it is missing.
    number: Option<usize>,
    number_is_complete: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After a carriage return, which is dropped if a line feed follows.
    Return,
    /// After ESC.
    Escape,
    /// In a control sequence, until a character from `@` to `~`.
    Sequence,
    /// In a control string (title, hyperlink), until BEL or ESC `\`.
    Title,
    /// After ESC in a control string.
    TitleEscape,
}

impl Decoder {
    /// Decodes a chunk. Keeps the bytes of an incomplete character for the next call.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        let mut bytes = match mem::take(&mut self.partial) {
            partial if partial.is_empty() => bytes.to_vec(),
            mut partial => {
                partial.extend(bytes);
                partial
            }
        };
        // An incomplete character starts in the last three bytes.
        let start = bytes.len().saturating_sub(3);
        let tail = bytes[start..]
            .utf8_chunks()
            .last()
            .map(|chunk| chunk.invalid().len())
            .unwrap_or_default();
        let beginning = bytes.len() - tail;
        if tail > 0 && is_beginning(&bytes[beginning..]) {
            self.partial = bytes.split_off(beginning);
        }
        match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }
    }

    /// Returns U+FFFD if the input ended within a character; otherwise an empty text.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&mem::take(&mut self.partial)).into_owned()
    }
}

/// Returns whether the bytes are the start of one incomplete character.
fn is_beginning(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}

impl Parser {
    pub fn push(&mut self, mut text: &str, mut sink: impl FnMut(Step<'_>)) {
        while !text.is_empty() {
            if self.state == State::Text {
                let plain = text.bytes().position(is_control).unwrap_or(text.len());
                if plain > 0 {
                    sink(Step::Text(&text[..plain]));
                }
                text = &text[plain..];
            }
            let mut rest = text.chars();
            if let Some(character) = rest.next() {
                self.step(character, &mut sink);
            }
            text = rest.as_str();
        }
    }

    fn step(&mut self, character: char, sink: &mut impl FnMut(Step<'_>)) {
        self.state = match (self.state, character) {
            (
                State::Text | State::Return | State::Escape | State::Sequence | State::Title | State::TitleEscape,
                '\n',
            ) => {
                // A line feed ends an unfinished sequence, so that one stray byte cannot hide all following text.
                sink(Step::NewLine);
                State::Text
            }
            (State::Text | State::Return, '\r') => State::Return,
            (State::Return, character) => {
                sink(Step::Return);
                self.state = State::Text;
                return self.step(character, sink);
            }
            // An escape sequence may have intermediate characters before its final character, for example to select a
            // character set.
            (State::Text, '\x1b') | (State::Escape, '\x1b' | ' '..='/') => State::Escape,
            (State::Text, '\x08') => {
                sink(Step::Control('D', None));
                State::Text
            }
            (State::Text, character) => {
                if !character.is_control() {
                    sink(Step::Text(character.encode_utf8(&mut [0; 4])));
                }
                State::Text
            }
            (State::Escape, ']' | 'P' | 'X' | '^' | '_') => State::Title,
            (State::Escape, '[') => {
                (self.number, self.number_is_complete) = (None, false);
                State::Sequence
            }
            (State::Sequence, ' '..='?') => {
                self.read_number(character);
                State::Sequence
            }
            (State::Sequence, '@'..='~') => {
                sink(Step::Control(character, self.number));
                State::Text
            }
            (State::Title | State::TitleEscape, '\x1b') => State::TitleEscape,
            (State::Title, character) if character != '\x07' => State::Title,
            _ => State::Text,
        };
    }

    fn read_number(&mut self, character: char) {
        match character.to_digit(10).and_then(|digit| usize::try_from(digit).ok()) {
            Some(digit) if !self.number_is_complete => {
                self.number = Some((self.number.unwrap_or_default() * 10 + digit).min(MAX_NUMBER));
            }
            _ => self.number_is_complete = true,
        }
    }
}

fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') || byte == 0x7f
}
