//! RTF to Markdown: text, paragraphs and tables, without formatting.
//!
//! The reader follows groups, destinations, code pages and Unicode escapes of the RTF specification 1.9.1. It accepts any
//! bytes, and the depth of groups is bounded.

mod names;
#[cfg(test)]
mod tests;

use encoding_rs::{Encoding, WINDOWS_1252};

use crate::{
    Kind,
    document::{Builder, Document, Unit},
    encoding::of_code_page,
    markdown,
};

/// Maximum depth of groups; deeper ones are read like the group around them.
const MAX_DEPTH: usize = 500;

pub fn read(bytes: &[u8]) -> Document {
    let mut builder = Builder::new(Kind::Rtf, Unit::Part);
    let mut reader = Reader::new(bytes);
    reader.run();
    builder.push_divided(&markdown::tidy(&reader.finish()));
    if reader_has_pictures(bytes) {
        builder.note("pictures are left out");
    }
    builder.finish()
}

fn reader_has_pictures(bytes: &[u8]) -> bool {
    bytes.windows(6).any(|window| window == b"{\\pict")
}

/// The state that a group saves and restores.
#[derive(Clone, Copy)]
struct State {
    is_skipped: bool,
    /// True for hidden or deleted text.
    is_unseen: bool,
    /// Number of fallback characters behind a Unicode escape.
    fallback: usize,
    encoding: &'static Encoding,
    is_font_table: bool,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    state: State,
    saved: Vec<State>,
    overflow: usize,
    /// Encoding of each font, by the font's number.
    fonts: Vec<(i32, &'static Encoding)>,
    font: i32,
    default_encoding: &'static Encoding,
    /// Bytes of a code page that are not decoded yet.
    pending: Vec<u8>,
    /// First half of a character beyond the basic plane.
    surrogate: Option<u16>,
    skip_next: usize,
    text: String,
    cell: String,
    row: Vec<String>,
    table: Vec<Vec<String>>,
    is_in_table: bool,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            state: State {
                is_skipped: false,
                is_unseen: false,
                fallback: 1,
                encoding: WINDOWS_1252,
                is_font_table: false,
            },
            saved: Vec::new(),
            overflow: 0,
            fonts: Vec::new(),
            font: 0,
            default_encoding: WINDOWS_1252,
            pending: Vec::new(),
            surrogate: None,
            skip_next: 0,
            text: String::new(),
            cell: String::new(),
            row: Vec::new(),
            table: Vec::new(),
            is_in_table: false,
        }
    }

    fn run(&mut self) {
        while let Some(byte) = self.next() {
            match byte {
                b'{' => self.open(),
                b'}' => self.close(),
                b'\\' => self.control(),
                b'\r' | b'\n' => {}
                byte => self.byte(byte),
            }
        }
    }

    fn finish(mut self) -> String {
        self.flush();
        self.end_paragraph();
        self.end_table();
        self.text
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }

    fn open(&mut self) {
        self.flush();
        self.skip_next = 0;
        if self.saved.len() < MAX_DEPTH {
            self.saved.push(self.state);
        } else {
            self.overflow += 1;
        }
    }

    fn close(&mut self) {
        self.flush();
        self.skip_next = 0;
        if self.overflow > 0 {
            self.overflow -= 1;
        } else if let Some(state) = self.saved.pop() {
            self.state = state;
        }
    }

    fn control(&mut self) {
        let Some(byte) = self.next() else { return };
        if !byte.is_ascii_alphabetic() {
            return self.symbol(byte);
        }
        let start = self.at - 1;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_alphabetic) {
            self.at += 1;
        }
        let word = std::str::from_utf8(&self.bytes[start..self.at.min(start + 32)]).unwrap_or_default();
        let number_start = self.at;
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        let number = std::str::from_utf8(&self.bytes[number_start..self.at]).ok();
        let number = number.and_then(|number| number.parse::<i32>().ok());
        if self.bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        self.word(word, number);
    }

    fn symbol(&mut self, byte: u8) {
        match byte {
            b'\'' => {
                let digits = self.bytes.get(self.at..self.at + 2).unwrap_or_default();
                let value = std::str::from_utf8(digits)
                    .ok()
                    .and_then(|digits| u8::from_str_radix(digits, 16).ok());
                if let Some(value) = value {
                    self.at += 2;
                    self.byte(value);
                }
            }
            b'*' => self.state.is_skipped = true,
            b'~' => self.letter('\u{a0}'),
            b'_' => self.letter('-'),
            b'\\' | b'{' | b'}' => self.byte(byte),
            b'\r' | b'\n' => self.word("par", None),
            _ => {}
        }
    }

    fn word(&mut self, word: &str, number: Option<i32>) {
        let is_on = number != Some(0);
        match word {
            "fonttbl" => {
                self.state.is_skipped = true;
                self.state.is_font_table = true;
            }
            word if names::SKIPPED.contains(&word) => self.state.is_skipped = true,
            // The result of a shape's text is a destination within a skipped one.
            "shptxt" => self.state.is_skipped = false,
            "v" | "deleted" => self.state.is_unseen = is_on,
            "plain" => self.state.is_unseen = false,
            "ansicpg" => self.code_page(number),
            "mac" => self.code_page(Some(10000)),
            "uc" => self.state.fallback = usize::try_from(number.unwrap_or(1)).unwrap_or(0).min(16),
            "u" => self.unicode(number.unwrap_or(0)),
            "f" | "deff" => self.select_font(number.unwrap_or(0)),
            "fcharset" if self.state.is_font_table => self.font_charset(number.unwrap_or(0)),
            "bin" => {
                let bytes = usize::try_from(number.unwrap_or(0)).unwrap_or(0);
                self.at = self.at.saturating_add(bytes);
            }
            "par" | "sect" | "page" => self.line("\n\n"),
            "line" | "softline" => self.line("\n"),
            "tab" => self.letter('\t'),
            "emdash" => self.letter('—'),
            "endash" => self.letter('–'),
            "lquote" => self.letter('‘'),
            "rquote" => self.letter('’'),
            "ldblquote" => self.letter('“'),
            "rdblquote" => self.letter('”'),
            "bullet" => self.letter('•'),
            "emspace" | "enspace" | "qmspace" => self.letter(' '),
            "intbl" => self.is_in_table = true,
            "pard" => {
                self.flush();
                self.is_in_table = false;
            }
            "cell" | "nestcell" if !self.is_silent() => {
                self.flush();
                let cell = std::mem::take(&mut self.cell);
                self.row.push(cell);
            }
            "row" | "nestrow" if !self.is_silent() => {
                self.flush();
                self.cell.clear();
                let row = std::mem::take(&mut self.row);
                self.table.push(row);
            }
            _ => {}
        }
    }

    fn is_silent(&self) -> bool {
        self.state.is_skipped || self.state.is_unseen
    }

    fn code_page(&mut self, number: Option<i32>) {
        let number = number.and_then(|number| u16::try_from(number).ok());
        if let Some(encoding) = number.and_then(of_code_page) {
            self.default_encoding = encoding;
            self.state.encoding = encoding;
        }
    }

    fn select_font(&mut self, font: i32) {
        self.flush();
        self.font = font;
        if !self.state.is_font_table {
            let found = self.fonts.iter().find(|(number, _)| *number == font);
            self.state.encoding = found.map_or(self.default_encoding, |(_, encoding)| encoding);
        }
    }

    fn font_charset(&mut self, charset: i32) {
        let Some(page) = names::page_of_charset(charset) else {
            return;
        };
        if let Some(encoding) = of_code_page(page)
            && self.fonts.len() < 1000
        {
            self.fonts.push((self.font, encoding));
        }
    }

    fn unicode(&mut self, number: i32) {
        self.flush();
        // A negative number stands for a code unit above 32767.
        let unit = u16::try_from(number & 0xffff).unwrap_or(0);
        self.skip_next = self.state.fallback;
        let units = self.surrogate.take().into_iter().chain([unit]);
        for letter in char::decode_utf16(units) {
            match letter {
                Ok(letter) => self.write(letter),
                Err(error) if (0xd800..0xdc00).contains(&error.unpaired_surrogate()) => {
                    self.surrogate = Some(error.unpaired_surrogate());
                }
                Err(_) => {}
            }
        }
    }

    /// Adds a byte of the current code page. Bytes are collected, because a character can have several.
    fn byte(&mut self, byte: u8) {
        if self.skip_next > 0 {
            self.skip_next -= 1;
        } else if !self.is_silent() {
            self.pending.push(byte);
        }
    }

    fn letter(&mut self, letter: char) {
        self.flush();
        if self.skip_next > 0 {
            self.skip_next -= 1;
        } else {
            self.write(letter);
        }
    }

    fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let pending = std::mem::take(&mut self.pending);
        let text = self.state.encoding.decode_without_bom_handling(&pending).0;
        for letter in text.chars() {
            self.write(letter);
        }
    }

    fn write(&mut self, letter: char) {
        if !self.is_silent() {
            self.cell.push(letter);
        }
    }

    fn line(&mut self, end: &str) {
        self.flush();
        if self.is_silent() {
            return;
        }
        if self.is_in_table || !self.row.is_empty() || end == "\n" {
            self.cell.push('\n');
        } else {
            self.end_table();
            self.end_paragraph();
        }
    }

    fn end_paragraph(&mut self) {
        let paragraph = std::mem::take(&mut self.cell);
        if !self.row.is_empty() {
            self.row.push(paragraph);
            let row = std::mem::take(&mut self.row);
            self.table.push(row);
            return;
        }
        self.text.push_str(&paragraph);
        self.text.push_str("\n\n");
    }

    fn end_table(&mut self) {
        if !self.table.is_empty() {
            let table = std::mem::take(&mut self.table);
            self.text.push_str(&markdown::table(&table));
            self.text.push('\n');
        }
    }
}
