//! Reads lines of any length with bounded memory.
//!
//! The tools `read` and `grep` use it. If a line is longer than the limit of [`Lines::new`], its start and its length
//! are returned and the rest is skipped.

use std::io::{self, BufRead};

/// Number of bytes at the start of a file that are checked to decide whether the file is binary.
const PROBE_BYTES: usize = 8192;

/// Reads a file line by line.
pub(super) struct Lines<R> {
    reader: R,
    max_bytes: usize,
    bytes_read: u64,
}

/// A line that was read into the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Length of the whole line in bytes, without its line end.
    pub(super) bytes: usize,
}

impl<R: BufRead> Lines<R> {
    /// Creates a reader that keeps up to `max_bytes` of each line.
    pub(super) fn new(reader: R, max_bytes: usize) -> Self {
        Self {
            reader,
            max_bytes,
            bytes_read: 0,
        }
    }

    /// Number of bytes read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Returns whether the file looks binary. Call this before reading the first line.
    pub(super) fn is_binary(&mut self) -> io::Result<bool> {
        let start = self.reader.fill_buf()?;
        Ok(start[..start.len().min(PROBE_BYTES)].contains(&0))
    }

    /// Reads the next line into the buffer, without its line end; returns `None` at the end of the file. `give_up` is
    /// called between the chunks of a long line, with the number of bytes read so far; if `give_up` returns true,
    /// reading stops and the line ends there.
    pub(super) fn next(&mut self, line: &mut Vec<u8>, give_up: impl Fn(u64) -> bool) -> io::Result<Option<Line>> {
        line.clear();
        let mut bytes = 0;
        let mut has_begun = false;
        loop {
            let piece = self.reader.fill_buf()?;
            if piece.is_empty() {
                return Ok(has_begun.then(|| self.finish(line, bytes)));
            }
            has_begun = true;
            let end = piece.iter().position(|byte| *byte == b'\n');
            let text = &piece[..end.unwrap_or(piece.len())];
            let room = self.max_bytes.saturating_sub(line.len());
            line.extend_from_slice(&text[..text.len().min(room)]);
            bytes += text.len();
            let used = text.len() + usize::from(end.is_some());
            self.reader.consume(used);
            self.bytes_read += used as u64;
            if end.is_some() || give_up(self.bytes_read) {
                return Ok(Some(self.finish(line, bytes)));
            }
        }
    }

    fn finish(&self, line: &mut Vec<u8>, mut bytes: usize) -> Line {
        // A line may end with CR LF. If the line was cut, its end is not in the buffer anyway.
        if bytes <= self.max_bytes && line.last() == Some(&b'\r') {
            line.pop();
            bytes -= 1;
        }
        Line { bytes }
    }
}

/// Formats the line as text. If the line was cut, a notice with the line's full length follows.
pub(super) fn shown(line: &[u8], full_bytes: usize, max_bytes: usize) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(max_bytes)]);
    let text = text.trim_end_matches('\u{fffd}');
    if full_bytes > max_bytes {
        format!("{text}[… cut; the line has {full_bytes} bytes]")
    } else {
        String::from_utf8_lossy(line).into_owned()
    }
}
