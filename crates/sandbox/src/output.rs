//! Limits the size of a command's output. The memory that this takes does not depend on the size of the output.
//!
//! [`Clip`] keeps the head and the tail for the model. [`Live`] returns chunks while the command runs.

use std::mem;

use super::terminal::Step;

#[derive(Debug)]
pub struct Clip {
    max_bytes: usize,
    head: String,
    tail: String,
    left_out: usize,
}

impl Clip {
    /// Keeps up to `max_bytes` of text, plus a line with the number of omitted bytes.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            head: String::new(),
            tail: String::new(),
            left_out: 0,
        }
    }

    /// Fills the head up to half of the limit, then the tail.
    pub fn push(&mut self, text: &str) {
        let room = (self.max_bytes / 2).saturating_sub(self.head.len());
        let into_head = if self.tail.is_empty() {
            text.floor_char_boundary(room)
        } else {
            0
        };
        let (first, rest) = text.split_at(into_head);
        self.head.push_str(first);
        self.tail.push_str(rest);
        // Cut only when the tail is twice the size to keep, so that each byte is moved about once.
        if self.tail.len() > self.max_bytes {
            self.cut();
        }
    }

    pub fn finish(mut self) -> (String, bool) {
        self.cut();
        if self.left_out == 0 {
            return (self.head + &self.tail, false);
        }
        let left_out = self.left_out;
        (
            format!("{}\n[... {left_out} bytes left out ...]\n{}", self.head, self.tail),
            true,
        )
    }

    fn cut(&mut self) {
        let keep = self.max_bytes - self.max_bytes / 2;
        if self.tail.len() > keep {
            let start = self.tail.ceil_char_boundary(self.tail.len() - keep);
            self.left_out += start;
            self.tail.drain(..start);
        }
    }
}

#[derive(Debug)]
pub struct Live {
    pending: String,
    left: usize,
    is_skipped: bool,
    /// True if the first line of `pending` continues the last line of the previous chunk.
    is_continued: bool,
}

/// Maximum size of a chunk in bytes.
const PIECE_BYTES: usize = 8 * 1024;

impl Live {
    /// Creates a live view. All its chunks together have up to `max_bytes` bytes, plus notices about omitted output.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            pending: String::new(),
            left: max_bytes,
            is_skipped: false,
            is_continued: false,
        }
    }

    /// Adds a step of the output. A live view can only append. If a program overwrites a line that was already sent,
    /// the new content starts on a new line.
    pub fn step(&mut self, step: Step<'_>) {
        match step {
            Step::Text(text) => self.append(text),
            Step::NewLine => self.append("\n"),
            Step::Return => match self.pending.rfind('\n') {
                Some(end) => self.pending.truncate(end + 1),
                None if self.is_continued => self.append("\n"),
                None => self.pending.clear(),
            },
            Step::Control(..) => {}
        }
    }

    pub fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Returns the text since the last call. If output was omitted, a notice follows the text.
    pub fn take(&mut self) -> String {
        let mut piece = mem::take(&mut self.pending);
        self.left -= piece.len().min(self.left);
        if mem::take(&mut self.is_skipped) {
            piece.push_str("\n[... not all of the output is shown live ...]\n");
        }
        self.is_continued = !piece.ends_with('\n');
        piece
    }

    fn append(&mut self, text: &str) {
        let room = PIECE_BYTES.min(self.left).saturating_sub(self.pending.len());
        let fits = text.floor_char_boundary(room);
        self.pending.push_str(&text[..fits]);
        self.is_skipped |= fits < text.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::{Decoder, Parser};

    /// Returns the live output. Calls `take` after each of the `pieces`.
    fn live(pieces: &[&[u8]]) -> String {
        let (mut decoder, mut parser, mut live) = (Decoder::default(), Parser::default(), Live::new(10_000));
        let mut text = String::new();
        for piece in pieces {
            parser.push(&decoder.push(piece), |step| live.step(step));
            text.push_str(&live.take());
        }
        parser.push(&decoder.finish(), |step| live.step(step));
        text + &live.take()
    }

    #[test]
    fn escape_sequences_are_removed_and_text_is_kept() {
        assert_eq!(live(&[b"\x1b[1;31mred\x1b[0m plain\tx\n"]), "red plain\tx\n");
        assert_eq!(
            live(&[b"\x1b]0;title\x07after \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\"]),
            "after link"
        );
        assert_eq!(live(&[b"a\x1b", b"[", b"2", b"Kb"]), "ab");
        assert_eq!(live(&[b"\x1b(Bset\x07\x08\0"]), "set");
        assert_eq!(live(&[b"\x1b]never closed\nnext line"]), "\nnext line");
    }

    #[test]
    fn an_overwritten_line_appears_once_per_chunk() {
        assert_eq!(live(&[b"10%\r20%\r\n30%\r", b"\nend"]), "20%\n30%\nend");
        assert_eq!(
            live(&[b"one\n10%\r20%\r30%", b"\r40%\r50%", b"\rdone\n"]),
            "one\n30%\n50%\ndone\n"
        );
    }

    #[test]
    fn characters_split_between_reads_are_decoded() {
        let text = "grün 🦀 終";
        for cut in 0..text.len() {
            let (one, other) = text.as_bytes().split_at(cut);
            assert_eq!(live(&[one, other]), text);
        }
        assert_eq!(live(&[b"\xff\xfe ok \xc3"]), "\u{fffd}\u{fffd} ok \u{fffd}");
        assert_eq!(live(&[b"\xf0\x9f", b"x"]), "\u{fffd}x");
    }

    #[test]
    fn only_head_and_tail_are_kept_beyond_the_limit() {
        let mut clip = Clip::new(20);
        clip.push("0123456789");
        clip.push("abcdefghij");
        assert_eq!(clip.finish(), ("0123456789abcdefghij".to_owned(), false));

        let mut clip = Clip::new(20);
        for number in 0..10_000 {
            clip.push(&format!("{number} ä "));
            assert!(clip.head.len() + clip.tail.len() <= 40);
        }
        let (text, truncated) = clip.finish();
        assert!(
            truncated && text.starts_with("0 ä 1 ä") && text.ends_with("9999 ä "),
            "{text}"
        );
        assert!(text.contains("bytes left out"), "{text}");
    }

    #[test]
    fn live_output_stops_at_its_size_limit() {
        let mut live = Live::new(10_000);
        let mut shown = 0;
        for _ in 0..100 {
            live.step(Step::Text(&"y ".repeat(10_000)));
            shown += live.take().len();
        }
        assert!((10_000..20_000).contains(&shown), "{shown}");
    }
}
