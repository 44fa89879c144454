//! What commands print: the one home of standard output.
//!
//! Text that comes from a server, a model or a tool is cleaned before it reaches a terminal: it could otherwise move the
//! cursor, change the title or hide what was written.

use std::io::{self, Write};

use crate::error::{Code, Error, Result};

/// Standard output.
#[derive(Debug)]
pub(super) struct Output(io::Stdout);

impl Output {
    pub(super) fn new() -> Self {
        Self(io::stdout())
    }

    /// Prints a line.
    pub(super) fn line(&mut self, text: &str) -> Result<()> {
        self.written(|out| writeln!(out, "{text}"))
    }

    /// Prints text as it is and shows it at once.
    pub(super) fn piece(&mut self, text: &str) -> Result<()> {
        self.written(|out| write!(out, "{text}"))
    }

    /// Prints a whole file.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.written(|out| out.write_all(bytes))
    }

    fn written(&mut self, write: impl FnOnce(&mut io::Stdout) -> io::Result<()>) -> Result<()> {
        write(&mut self.0)
            .and_then(|()| self.0.flush())
            .map_err(|error| Error::new(Code::Unavailable, format!("standard output cannot be written: {error}")))
    }
}

/// Prints an error.
pub(super) fn complain(message: &str) {
    remark(message);
}

/// Prints a line beside the output, for people.
pub(super) fn remark(message: &str) {
    // Without standard error there is no place left to report this.
    let _ = writeln!(io::stderr(), "runyard: {message}");
}

/// Text without escape sequences and control characters; newlines and tabs stay.
pub(super) fn clean(text: &str) -> String {
    console::strip_ansi_codes(text)
        .chars()
        .filter(|letter| matches!(letter, '\n' | '\t') || !(letter.is_control() || is_direction(*letter)))
        .collect()
}

/// The same, on one line.
pub(super) fn one_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first so many columns.
pub(super) fn cut(text: &str, columns: usize) -> String {
    console::truncate_str(text, columns, "…").into_owned()
}

/// A number of bytes for people.
pub(super) fn size(bytes: i64) -> String {
    indicatif::DecimalBytes(u64::try_from(bytes).unwrap_or(0)).to_string()
}

/// Characters that make a terminal show text in another order than it has.
fn is_direction(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
