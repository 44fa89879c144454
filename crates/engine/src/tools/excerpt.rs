//! Shortens long strings. The result states how many bytes were left out.
//!
//! The engine uses this module for tool results and for old messages of a conversation.

use std::borrow::Cow;

/// Number of bytes reserved for the notice between head and tail.
const MARK_BYTES: usize = 64;

/// Returns the text if it fits into `max_bytes`. For a longer text, returns its head (two thirds) and its tail, with a
/// notice between them.
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

/// Returns up to `max_bytes` bytes from the start of the text, with a notice if the rest was left out.
pub fn opening(text: &str, max_bytes: usize) -> Cow<'_, str> {
    if text.len() <= max_bytes {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(max_bytes);
    Cow::Owned(format!("{}[… {} bytes left out]", &text[..end], text.len() - end))
}
