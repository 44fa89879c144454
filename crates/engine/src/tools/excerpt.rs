//! Shortens long texts. The result states how many bytes were left out.

use std::borrow::Cow;

/// Bytes reserved for the notice.
const MARK_BYTES: usize = 64;

/// Returns a text of up to `max_bytes` bytes: of a longer text the head (two thirds) and the tail, with a notice
/// between them.
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

/// Returns the start of a text. A notice replaces the rest.
pub fn opening(text: &str, max_bytes: usize) -> Cow<'_, str> {
    if text.len() <= max_bytes {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(max_bytes);
    Cow::Owned(format!("{}[… {} bytes left out]", &text[..end], text.len() - end))
}
