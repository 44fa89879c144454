//! Shortening a text: its head and its tail stay, a mark says how much is gone.
//!
//! Called by the tools for what they answer and by the engine for what it keeps of old answers.

use std::borrow::Cow;

/// Space for the mark in the middle.
const MARK_BYTES: usize = 64;

/// The text when it has at most so many bytes; else its head (two thirds) and tail, around a mark.
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

/// The beginning of a text, at most so many bytes, with a mark when something is gone.
pub fn opening(text: &str, max_bytes: usize) -> Cow<'_, str> {
    if text.len() <= max_bytes {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(max_bytes);
    Cow::Owned(format!("{}[… {} bytes left out]", &text[..end], text.len() - end))
}
