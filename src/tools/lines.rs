//! Reading lines of any length with bounded memory.
//!
//! Called by read and grep. A line longer than the bound is cut and its length is told; the rest of it is skipped.

use std::io::{self, BufRead};

/// How much of a file decides whether it is binary.
const PROBE_BYTES: usize = 8192;

/// Reads a file line by line.
pub(super) struct Lines<R> {
    reader: R,
    max_bytes: usize,
    bytes_read: u64,
}

/// A line was read into the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// How long the line is, without its end.
    pub(super) bytes: usize,
}

impl<R: BufRead> Lines<R> {
    /// Lines of which at most so many bytes are kept.
    pub(super) fn new(reader: R, max_bytes: usize) -> Self {
        Self {
            reader,
            max_bytes,
            bytes_read: 0,
        }
    }

    /// Bytes read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Whether the file looks binary; to be asked before the first line.
    pub(super) fn is_binary(&mut self) -> io::Result<bool> {
        let start = self.reader.fill_buf()?;
        Ok(start[..start.len().min(PROBE_BYTES)].contains(&0))
    }

    /// Reads the next line into the buffer, without its end; nothing at the end of the file. `give_up` is asked between pieces
    /// of a long line, which then ends there.
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
        // The end of a line may be CR LF; when the line is cut, its end was not kept anyway.
        if bytes <= self.max_bytes && line.last() == Some(&b'\r') {
            line.pop();
            bytes -= 1;
        }
        Line { bytes }
    }
}

/// The line as text, with a mark where it was cut.
pub(super) fn shown(line: &[u8], full_bytes: usize, max_bytes: usize) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(max_bytes)]);
    let text = text.trim_end_matches('\u{fffd}');
    if full_bytes > max_bytes {
        format!("{text}[… line of {full_bytes} bytes]")
    } else {
        String::from_utf8_lossy(line).into_owned()
    }
}
