//! Ids: UUIDv7 for rows, so that B-tree inserts stay local, and the one home of randomness.

use uuid::Uuid;

use crate::error::{Error, Result};

/// A new time-ordered id (RFC 9562, version 7).
pub fn new() -> Uuid {
    Uuid::now_v7()
}

/// Random bytes from the operating system's generator.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    rand::random()
}

/// A random number in `0.0..1.0`, for jitter.
pub fn jitter() -> f64 {
    rand::random()
}

/// Reads an id of a request.
///
/// # Errors
/// INVALID_REQUEST naming the field, when the text is not a UUID or is the nil UUID.
pub fn parse(field: &'static str, text: &str) -> Result<Uuid> {
    match Uuid::try_parse(text) {
        Ok(id) if !id.is_nil() => Ok(id),
        _ => Err(Error::invalid_field(field, format!("{field} must be a valid UUID"))),
    }
}

/// Reads an id of a request that may be absent; the empty text counts as absent.
///
/// # Errors
/// As [`parse`].
pub fn parse_optional(field: &'static str, text: &str) -> Result<Option<Uuid>> {
    if text.is_empty() {
        Ok(None)
    } else {
        parse(field, text).map(Some)
    }
}
