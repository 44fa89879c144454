//! Shortens long texts. The result states how many bytes were left out.

use std::borrow::Cow;

/// Number of bytes reserved for the notice about the omitted bytes.
const MARK_BYTES: usize = 64;

/// Shortens a text to `max_bytes`: the head (two thirds), a notice and the tail.
pub fn excerpt(text: &str, max_bytes: usize) -> Cow<'_, str> {
    if text.len() <= max_bytes {
        return Cow::Borrowed(text);
    }
    let room = max_bytes.saturating_sub(MARK_BYTES);
    let head = text.floor_char_boundary(room / 3 * 2);
    let tail = text.ceil_char_boundary(text.len() - room / 3);
    let (head, left_out, tail) = (&text[..head], tail - head, &text[tail..]);
    Cow::Owned(format!("{head}\n[… {left_out} bytes left out …]\n{tail}"))
}

/// Returns the first `max_bytes` bytes of a text, and a notice if the rest was left out.
pub fn opening(text: &str, max_bytes: usize) -> Cow<'_, str> {
    if text.len() <= max_bytes {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(max_bytes);
    Cow::Owned(format!("{}[… {} bytes left out]", &text[..end], text.len() - end))
}
