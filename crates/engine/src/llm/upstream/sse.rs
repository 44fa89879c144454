//! Splits the bytes of an answer into server-sent events (HTML Standard, 9.2).
//!
//! Two existing crates lose events after invalid UTF-8: `eventsource-stream` 0.2.3 and `sse-stream` 0.2.6. This
//! parser replaces invalid bytes, and refuses events over [`MAX_EVENT_BYTES`]. The parser also accepts a field
//! `error` and a line of bare JSON, which some servers use for errors. `attempt.rs` removes a byte order mark.

const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Events {
    /// Received bytes. The bytes before `start` are already parsed.
    buffer: Vec<u8>,
    start: usize,
    /// Number of bytes after `start` that contain no line ending.
    searched: usize,
    /// Whether the last line ended with CR. A following LF then belongs to the same line ending.
    after_return: bool,
    name: String,
    data: String,
    is_mended: bool,
    state: State,
}

/// State of the event in `name` and `data`.
#[derive(Default, PartialEq, Eq)]
enum State {
    #[default]
    Empty,
    Reading,
    /// The event was returned. The next call of [`Events::next`] discards it.
    Returned,
}

pub(super) struct Event<'e> {
    /// An event without a name is named `message`.
    pub(super) name: &'e str,
    /// The data, with LF between lines.
    pub(super) data: &'e str,
    /// True if invalid UTF-8 in the data was replaced.
    pub(super) is_mended: bool,
}

/// An event is larger than [`MAX_EVENT_BYTES`].
#[derive(Debug)]
pub(super) struct TooLarge;

impl Events {
    /// Adds bytes. Fails if the incomplete event would be too large.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        if self.buffer.len() + self.data.len() + bytes.len() > MAX_EVENT_BYTES {
            return Err(TooLarge);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    pub(super) fn next(&mut self) -> Option<Event<'_>> {
        if self.state == State::Returned {
            self.state = State::Empty;
            self.name.clear();
            self.data.clear();
        }
        while let Some(end) = self.find_line() {
            if self.take_line(end) {
                return Some(self.event());
            }
        }
        None
    }

    /// Returns the last event of a stream that ended without a blank line. Must be called once, after
    /// [`Events::next`] has returned `None`.
    pub(super) fn last(&mut self) -> Option<Event<'_>> {
        let end = self.buffer.len();
        if self.start < end {
            self.take_line(end);
        }
        (self.state == State::Reading).then(|| self.event())
    }

    fn find_line(&mut self) -> Option<usize> {
        if self.after_return {
            match self.buffer.get(self.start) {
                None => return None,
                Some(b'\n') => self.start += 1,
                Some(_) => {}
            }
            self.after_return = false;
        }
        let from = self.start + self.searched;
        let position = self.buffer[from..]
            .iter()
            .position(|byte| matches!(byte, b'\n' | b'\r'));
        self.searched = if position.is_some() {
            0
        } else {
            self.buffer.len() - self.start
        };
        position.map(|position| from + position)
    }

    /// Returns true if the line completes an event.
    fn take_line(&mut self, end: usize) -> bool {
        let line = &self.buffer[self.start..end];
        self.after_return = self.buffer.get(end) == Some(&b'\r');
        self.start = (end + 1).min(self.buffer.len());
        if line.is_empty() {
            if self.state == State::Reading {
                return true;
            }
            self.name.clear();
            return false;
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            _ if line[0] == b'{' => (&b"data"[..], line),
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &b""[..]),
        };
        match field {
            b"event" => {
                self.name.clear();
                self.name.push_str(&String::from_utf8_lossy(value));
            }
            b"data" | b"error" => {
                if field == b"error" {
                    self.name.clear();
                    self.name.push_str("error");
                }
                if self.state == State::Reading {
                    self.data.push('\n');
                }
                let text = String::from_utf8_lossy(value);
                self.is_mended |= matches!(text, std::borrow::Cow::Owned(_));
                self.data.push_str(&text);
                self.state = State::Reading;
            }
            _ => {}
        }
        false
    }

    fn event(&mut self) -> Event<'_> {
        self.state = State::Returned;
        Event {
            name: if self.name.is_empty() { "message" } else { &self.name },
            data: &self.data,
            is_mended: std::mem::take(&mut self.is_mended),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    fn split(bytes: &[u8], chunk: usize) -> Vec<(String, String, bool)> {
        let mut events = Events::default();
        let mut found = Vec::new();
        for part in bytes.chunks(chunk) {
            events.add(part).unwrap();
            while let Some(event) = events.next() {
                found.push((event.name.to_owned(), event.data.to_owned(), event.is_mended));
            }
        }
        if let Some(event) = events.last() {
            found.push((event.name.to_owned(), event.data.to_owned(), event.is_mended));
        }
        found
    }

    #[test]
    fn events_do_not_depend_on_line_ends_and_chunks() {
        let text = ": comment\nevent: a\ndata: one\ndata:two\nid: 7\n\nevent: dropped\n\ndata\n\ndata: ö\n\ndata: end";
        let expected: Vec<(String, String, bool)> =
            [("a", "one\ntwo"), ("message", ""), ("message", "ö"), ("message", "end")]
                .map(|(name, data)| (name.to_owned(), data.to_owned(), false))
                .into();
        for line_end in ["\n", "\r\n", "\r"] {
            let text = text.replace('\n', line_end);
            for chunk in [1, 2, 3, 7, 1000] {
                assert_eq!(
                    split(text.as_bytes(), chunk),
                    expected,
                    "{line_end:?} in chunks of {chunk}"
                );
            }
        }
    }

    #[test]
    fn invalid_utf8_is_replaced_and_reported() {
        assert_eq!(
            split(b"data: a\xff\n\ndata: b\n\n", 4),
            [
                ("message".to_owned(), "a\u{fffd}".to_owned(), true),
                ("message".to_owned(), "b".to_owned(), false)
            ]
        );
    }

    #[test]
    fn errors_outside_the_standard_are_read() {
        assert_eq!(
            split(b"error: {\"code\":500}\n\n{\"error\":\"gone: now\"}\n\n", 5),
            [
                ("error".to_owned(), "{\"code\":500}".to_owned(), false),
                ("message".to_owned(), "{\"error\":\"gone: now\"}".to_owned(), false)
            ]
        );
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut events = Events::default();
        let part = vec![b'x'; 1024 * 1024];
        let added = (0..20).try_for_each(|_| {
            let result = events.add(&part);
            assert!(events.next().is_none());
            result
        });
        assert!(added.is_err());
    }
}
