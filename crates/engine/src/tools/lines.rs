//! Reads lines of any length with bounded memory: only the start of a long line is kept.

use std::io::{self, BufRead};

/// A file is binary if one of its first `PROBE_BYTES` bytes is NUL.
const PROBE_BYTES: usize = 8192;

pub(super) struct Lines<R> {
    reader: R,
    max_bytes: usize,
    bytes_read: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Length of the whole line in bytes, without its line ending.
    pub(super) bytes: usize,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R, max_bytes: usize) -> Self {
        Self {
            reader,
            max_bytes,
            bytes_read: 0,
        }
    }

    /// Returns the number of bytes read so far, including the dropped parts of long lines.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Returns whether the file is binary. Must be called before the first line is read.
    pub(super) fn is_binary(&mut self) -> io::Result<bool> {
        let start = self.reader.fill_buf()?;
        Ok(start[..start.len().min(PROBE_BYTES)].contains(&0))
    }

    /// Reads the next line into `line`. After each part of a long line, `give_up` is called with the number of bytes
    /// read so far. If `give_up` returns true, the line ends there.
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
        // Remove the CR of a CRLF line ending. A cut line has no line ending.
        if bytes <= self.max_bytes && line.last() == Some(&b'\r') {
            line.pop();
            bytes -= 1;
        }
        Line { bytes }
    }
}

/// Cuts a line to `max_bytes`, with a notice about its full length.
pub(super) fn shown(line: &[u8], full_bytes: usize, max_bytes: usize) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(max_bytes)]);
    let text = text.trim_end_matches('\u{fffd}');
    if full_bytes > max_bytes {
        format!("{text}[… cut; the line has {full_bytes} bytes]")
    } else {
        String::from_utf8_lossy(line).into_owned()
    }
}
