//! Keeps the output of a long-lived process that its reader has not read yet.
//!
//! Memory use is bounded: if the reader is slow, the oldest output is dropped and its size is counted. The text has no
//! escape sequences.

use std::mem;

use super::terminal::{Decoder, Parser, Step};

/// The unread output of a long-lived process.
#[derive(Debug)]
pub struct RecentOutput {
    decoder: Decoder,
    parser: Parser,
    unread: Unread,
}

#[derive(Debug)]
struct Unread {
    text: String,
    max_bytes: usize,
    dropped: u64,
    /// True if the first line of `text` continues a line that was read or dropped.
    is_continued: bool,
}

impl RecentOutput {
    /// Keeps the last `max_bytes` bytes of unread text.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self {
            decoder: Decoder::default(),
            parser: Parser::default(),
            unread: Unread {
                text: String::new(),
                max_bytes,
                dropped: 0,
                is_continued: false,
            },
        }
    }

    /// Adds output of the process.
    pub fn push(&mut self, bytes: &[u8]) {
        let text = self.decoder.push(bytes);
        self.parser.push(&text, |step| self.unread.step(step));
    }

    /// Returns whether there is output that [`RecentOutput::take`] has not returned.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        !self.unread.text.is_empty()
    }

    /// Returns the output since the last call, and the number of bytes before it that were dropped.
    pub fn take(&mut self) -> (String, u64) {
        self.unread.cut();
        let text = mem::take(&mut self.unread.text);
        if !text.is_empty() {
            self.unread.is_continued = !text.ends_with('\n');
        }
        (text, mem::take(&mut self.unread.dropped))
    }
}

impl Unread {
    fn step(&mut self, step: Step<'_>) {
        match step {
            Step::Text(text) => self.append(text),
            Step::NewLine => self.append("\n"),
            // The program overwrites its line. The part that was already read stays on its own line.
            Step::Return => match self.text.rfind('\n') {
                Some(end) => self.text.truncate(end + 1),
                None if self.is_continued => self.append("\n"),
                None => self.text.clear(),
            },
            Step::Control(..) => {}
        }
    }

    fn append(&mut self, text: &str) {
        self.text.push_str(text);
        // Cut only when the text is twice as long as the part to keep, so that each byte is moved about once.
        if self.text.len() > self.max_bytes.saturating_mul(2) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.text.len() > self.max_bytes {
            let start = self.text.ceil_char_boundary(self.text.len() - self.max_bytes);
            self.dropped += start as u64;
            self.is_continued = !self.text[..start].ends_with('\n');
            self.text.drain(..start);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::RecentOutput;

    #[test]
    fn each_part_of_the_output_is_returned_once() {
        let mut recent = RecentOutput::new(1000);
        assert!(!recent.is_unread());
        recent.push(b"\x1b[1mone\x1b[0m\n");
        recent.push("gr\u{fc}n".as_bytes());
        assert!(recent.is_unread());
        assert_eq!(recent.take(), ("one\ngr\u{fc}n".to_owned(), 0));
        assert_eq!(recent.take(), (String::new(), 0));
        recent.push(b"\r10%\r20%");
        assert_eq!(recent.take(), ("\n20%".to_owned(), 0));
    }

    #[test]
    fn the_oldest_output_is_dropped_and_counted() {
        let mut recent = RecentOutput::new(10);
        let mut written = 0;
        for number in 0..1000 {
            let line = format!("{number} \u{e4}\n");
            written += line.len();
            recent.push(line.as_bytes());
            assert!(recent.unread.text.len() <= 30);
        }
        let (text, dropped) = recent.take();
        assert!(text.len() <= 10 && text.ends_with("999 \u{e4}\n"), "{text:?}");
        assert_eq!(usize::try_from(dropped).unwrap() + text.len(), written);
        recent.push(b"next");
        assert_eq!(recent.take(), ("next".to_owned(), 0));
    }
}
