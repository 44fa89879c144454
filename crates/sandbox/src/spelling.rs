//! Represents paths that are not UTF-8 as text, for file lists and requests.
//!
//! A UTF-8 path is its own text. In other paths, each non-UTF-8 byte and each percent sign is percent-encoded:
//! `caf%E9.txt`. If such a text is also the UTF-8 path of an existing file, it means that file.

use std::fmt::Write as _;

use rustix::{fs::OFlags, io::Errno};

use super::{
    beneath::{Root, relative},
    workspace::{Workspace, nameless},
};
use crate::error::Result;

pub fn text_of(path: &[u8]) -> String {
    if let Ok(text) = str::from_utf8(path) {
        return text.to_owned();
    }
    let mut text = String::with_capacity(path.len() + 8);
    for chunk in path.utf8_chunks() {
        text.push_str(&chunk.valid().replace('%', "%25"));
        for byte in chunk.invalid() {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Decodes a path that is not UTF-8; `None` if the string does not encode such a path.
///
/// Only percent signs and non-ASCII bytes are decoded, so decoding adds no separator and no `..`.
fn raw_of(text: &str) -> Option<Vec<u8>> {
    if !text.contains('%') {
        return None;
    }
    let mut raw = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        match after.first_chunk().copied().and_then(byte_of).filter(|_| first == b'%') {
            Some(byte) if byte == b'%' || !byte.is_ascii() => {
                raw.push(byte);
                rest = &after[2..];
            }
            _ => {
                raw.push(first);
                rest = after;
            }
        }
    }
    str::from_utf8(&raw).is_err().then_some(raw)
}

fn byte_of(digits: [u8; 2]) -> Option<u8> {
    let digit = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    Some(digit(digits[0])? * 16 + digit(digits[1])?)
}

/// Splits a path into its parent folder and its name. Fails with `INVALID_REQUEST` for the workspace itself.
pub fn split_raw(path: &[u8]) -> Result<(&[u8], &[u8])> {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => Ok((&path[..slash], &path[slash + 1..])),
        None if path.is_empty() => Err(nameless()),
        None => Ok((b"", path)),
    }
}

impl Workspace {
    /// Opens the workspace, and returns it with the path relative to it. If no file has this path, the path that
    /// `raw_of` decodes is returned instead.
    ///
    /// # Errors
    /// `INVALID_REQUEST` for a path outside the workspace.
    pub(super) fn locate(&self, path: &str) -> Result<(Root, Vec<u8>)> {
        let path = relative(path)?;
        let root = self.root()?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let path = match raw_of(&path) {
            Some(raw) if root.open_at(&path, flags).is_err_and(|errno| errno == Errno::NOENT) => raw,
            _ => path.into_bytes(),
        };
        Ok((root, path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_path_leads_back_to_the_path() {
        for (path, text) in [
            (b"caf\xe9.txt".as_slice(), "caf%E9.txt"),
            (b"100%/\xff\xfe", "100%25/%FF%FE"),
            (b"%E9\xe9", "%25E9%E9"),
            ("ü/\u{fffd}".as_bytes(), "ü/\u{fffd}"),
            (b"caf%E9.txt", "caf%E9.txt"),
            (b"", ""),
        ] {
            assert_eq!(text_of(path), text);
            if str::from_utf8(path).is_err() {
                assert_eq!(raw_of(text).as_deref(), Some(path), "{text}");
            }
        }
        assert_eq!(raw_of("caf%e9").as_deref(), Some(b"caf\xe9".as_slice()));
        for text in ["caf%C3%A9", "100%", "%2e%2e%2f", "%25", "%zz", "%"] {
            assert_eq!(raw_of(text), None, "{text}: UTF-8 has no other text");
        }
        // Encoded separators, dots and NUL stay encoded.
        assert_eq!(
            raw_of("%2e%2e%2f%ff%00").as_deref(),
            Some(b"%2e%2e%2f\xff%00".as_slice())
        );
    }
}
