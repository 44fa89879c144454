//! A command's output, made readable and bounded.
//!
//! `execute` feeds every byte that came through the pipe; memory stays at the bounds however much comes. `Cleaner` makes
//! text of bytes, `Clip` keeps its head and tail, `Live` hands pieces on while the command runs, at a bounded rate.

use std::mem;

/// Makes UTF-8 text of bytes: escape sequences and control characters go, invalid bytes are replaced, line ends are `\n`.
#[derive(Debug, Default)]
pub struct Cleaner {
    state: State,
    /// The first bytes of a character whose rest has not come yet.
    partial: Vec<u8>,
    after_return: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// In a control sequence, which ends with a byte from `@` to `~`.
    Sequence,
    /// In a string (title, hyperlink), which ends with BEL or ESC `\`.
    Title,
    /// After ESC in a string.
    TitleEscape,
}

impl Cleaner {
    /// The text of some more bytes.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        let mut kept = mem::take(&mut self.partial);
        kept.reserve(bytes.len());
        for byte in bytes {
            self.step(*byte, &mut kept);
        }
        self.decode(kept)
    }

    /// What is left at the end: the beginning of a character that never came.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&mem::take(&mut self.partial)).into_owned()
    }

    fn step(&mut self, byte: u8, kept: &mut Vec<u8>) {
        self.state = match (self.state, byte) {
            // The bytes between an escape and its end, as in the choice of a character set, belong to it.
            (State::Text, 0x1b) | (State::Escape, 0x1b | 0x20..=0x2f) => State::Escape,
            (State::Text, byte) => {
                self.keep(byte, kept);
                State::Text
            }
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => State::Title,
            (State::Escape, b'[') | (State::Sequence, 0x20..=0x3f) => State::Sequence,
            // A new line ends what was no sequence after all; otherwise one stray byte would eat everything.
            (State::Escape | State::Sequence | State::Title | State::TitleEscape, b'\n') => {
                self.keep(byte, kept);
                State::Text
            }
            (State::Title | State::TitleEscape, 0x1b) => State::TitleEscape,
            (State::Title, byte) if byte != 0x07 => State::Title,
            _ => State::Text,
        };
    }

    fn keep(&mut self, byte: u8, kept: &mut Vec<u8>) {
        let after_return = mem::replace(&mut self.after_return, byte == b'\r');
        match byte {
            b'\r' => kept.push(b'\n'),
            b'\n' if after_return => {}
            b'\n' | b'\t' => kept.push(byte),
            0..=0x1f | 0x7f => {}
            byte => kept.push(byte),
        }
    }

    fn decode(&mut self, mut bytes: Vec<u8>) -> String {
        // At most three bytes can be the beginning of a character that goes on.
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
}

/// Whether bytes could become one character with more bytes after them.
fn is_beginning(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}

/// Keeps the head and the tail of a text.
#[derive(Debug)]
pub struct Clip {
    max_bytes: usize,
    head: String,
    tail: String,
    left_out: usize,
}

impl Clip {
    /// Keeps at most this many bytes, besides the line that tells what was left out.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            head: String::new(),
            tail: String::new(),
            left_out: 0,
        }
    }

    /// Takes some more text.
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
        // Cut only when it has doubled, so that each byte is moved once on average.
        if self.tail.len() > self.max_bytes {
            self.cut();
        }
    }

    /// The text, and whether something was left out of its middle.
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

/// Pieces for somebody who watches: some text per interval, and not more of a flood than is of use.
#[derive(Debug)]
pub struct Live {
    pending: String,
    left: usize,
    skipped: bool,
}

/// What is handed on at once.
const PIECE_BYTES: usize = 8 * 1024;

impl Live {
    /// Hands on at most this much altogether.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            pending: String::new(),
            left: max_bytes,
            skipped: false,
        }
    }

    /// Takes some more text.
    pub fn push(&mut self, text: &str) {
        let room = PIECE_BYTES.min(self.left).saturating_sub(self.pending.len());
        let fits = text.floor_char_boundary(room);
        self.pending.push_str(&text[..fits]);
        self.skipped |= fits < text.len();
    }

    /// Whether there is something to hand on.
    pub fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The next piece.
    pub fn take(&mut self) -> String {
        let mut piece = mem::take(&mut self.pending);
        self.left -= piece.len().min(self.left);
        if mem::take(&mut self.skipped) {
            piece.push_str("\n[... not all of the output is shown live ...]\n");
        }
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(pieces: &[&[u8]]) -> String {
        let mut cleaner = Cleaner::default();
        let mut text: String = pieces.iter().map(|piece| cleaner.push(piece)).collect();
        text.push_str(&cleaner.finish());
        text
    }

    #[test]
    fn escapes_go_and_text_stays() {
        assert_eq!(clean(&[b"\x1b[1;31mred\x1b[0m plain\tx\n"]), "red plain\tx\n");
        assert_eq!(
            clean(&[b"\x1b]0;title\x07after \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\"]),
            "after link"
        );
        assert_eq!(clean(&[b"a\x1b", b"[", b"2", b"Kb"]), "ab");
        assert_eq!(clean(&[b"\x1b(Bset\x07\x08\0"]), "set");
        assert_eq!(clean(&[b"10%\r20%\r\n30%\r", b"\nend"]), "10%\n20%\n30%\nend");
        assert_eq!(clean(&[b"\x1b]never closed\nnext line"]), "\nnext line");
    }

    #[test]
    fn characters_cut_between_reads_come_out_whole() {
        let text = "grün 🦀 終";
        for cut in 0..text.len() {
            let (one, other) = text.as_bytes().split_at(cut);
            assert_eq!(clean(&[one, other]), text);
        }
        assert_eq!(clean(&[b"\xff\xfe ok \xc3"]), "\u{fffd}\u{fffd} ok \u{fffd}");
        assert_eq!(clean(&[b"\xf0\x9f", b"x"]), "\u{fffd}x");
    }

    #[test]
    fn head_and_tail_are_kept_at_the_bound() {
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
    fn a_flood_is_not_shown_in_full() {
        let mut live = Live::new(10_000);
        let mut shown = 0;
        for _ in 0..100 {
            live.push(&"y\n".repeat(10_000));
            shown += live.take().len();
        }
        assert!((10_000..20_000).contains(&shown), "{shown}");
    }
}
