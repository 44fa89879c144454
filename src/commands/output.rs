//! Prints the output of all commands. No other module writes to standard output.
//!
//! Text from a server, a model or a tool is cleaned first. Control characters in such text could move the cursor or
//! hide other output.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use crate::error::{Code, Error, Result};

/// Every write is flushed.
#[derive(Debug)]
pub(super) struct Output(io::Stdout);

impl Output {
    pub(super) fn new() -> Self {
        Self(io::stdout())
    }

    pub(super) fn line(&mut self, text: &str) -> Result<()> {
        self.written(|out| writeln!(out, "{text}"))
    }

    pub(super) fn piece(&mut self, text: &str) -> Result<()> {
        self.written(|out| write!(out, "{text}"))
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.written(|out| out.write_all(bytes))
    }

    fn written(&mut self, write: impl FnOnce(&mut io::Stdout) -> io::Result<()>) -> Result<()> {
        write(&mut self.0).and_then(|()| self.0.flush()).map_err(|error| {
            if error.kind() == io::ErrorKind::BrokenPipe {
                READER_LEFT.store(true, Ordering::Relaxed);
            }
            Error::new(Code::Unavailable, format!("cannot write to standard output: {error}"))
        })
    }
}

/// True after the program that reads standard output has ended, as `head` does. The command then ends without a message.
static READER_LEFT: AtomicBool = AtomicBool::new(false);

pub(super) fn reader_left() -> bool {
    READER_LEFT.load(Ordering::Relaxed)
}

pub(super) fn complain(message: &str) {
    remark(message);
}

/// Prints a message to standard error, after the program's name.
pub(super) fn remark(message: &str) {
    // A failure cannot be reported: standard error is probably closed.
    let _ = writeln!(io::stderr(), "runyard: {message}");
}

/// Removes escape sequences and control characters, except newlines and tabs.
pub(super) fn clean(text: &str) -> String {
    console::strip_ansi_codes(text)
        .chars()
        .filter(|letter| matches!(letter, '\n' | '\t') || !(letter.is_control() || is_direction(*letter)))
        .collect()
}

pub(super) fn one_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Truncates text to a width in terminal columns.
pub(super) fn cut(text: &str, columns: usize) -> String {
    console::truncate_str(text, columns, "…").into_owned()
}

/// Formats a size with a decimal unit, such as kB. A negative number counts as 0.
pub(super) fn size(bytes: i64) -> String {
    indicatif::DecimalBytes(u64::try_from(bytes).unwrap_or(0)).to_string()
}

/// Returns true for direction marks, which could make a terminal display the characters of a text in a false order.
fn is_direction(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
