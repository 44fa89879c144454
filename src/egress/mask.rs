//! Hides values in a stream of bytes. The size of the stream does not change.

use secrecy::{ExposeSecret, SecretString};

/// Replaces a byte of a value.
const MASK: u8 = b'*';

/// Replaces values by asterisks, also if a value arrives in several parts. Takes linear time for any values and any
/// stream (Knuth, Morris, Pratt: Fast pattern matching in strings, 1977).
pub struct Masker {
    values: Vec<Value>,
    /// Bytes that may be the beginning of a value.
    held: Vec<u8>,
}

/// A value, and how much of it the stream ends with.
struct Value {
    text: SecretString,
    /// For each length of a prefix, from 1: the length of its longest proper suffix that is a prefix too.
    borders: Vec<usize>,
    matched: usize,
    /// Number of held bytes before the end of the last occurrence.
    hidden: usize,
}

impl Value {
    fn new(text: &SecretString) -> Self {
        let bytes = text.expose_secret().as_bytes();
        let mut borders: Vec<usize> = Vec::with_capacity(bytes.len());
        for (at, byte) in bytes.iter().enumerate() {
            let mut border = 0;
            if at > 0 {
                border = borders[at - 1];
                while border > 0 && bytes[border] != *byte {
                    border = borders[border - 1];
                }
                if bytes[border] == *byte {
                    border += 1;
                }
            }
            borders.push(border);
        }
        Self {
            text: text.clone(),
            borders,
            matched: 0,
            hidden: 0,
        }
    }

    /// Adds a byte of the stream. Returns true if it completes an occurrence.
    fn completes(&mut self, byte: u8) -> bool {
        let bytes = self.text.expose_secret().as_bytes();
        while self.matched > 0 && bytes[self.matched] != byte {
            self.matched = self.borders[self.matched - 1];
        }
        if bytes[self.matched] == byte {
            self.matched += 1;
        }
        if self.matched < bytes.len() {
            return false;
        }
        self.matched = self.borders[self.matched - 1];
        true
    }
}

impl Masker {
    /// Returns a masker for values that are not empty.
    pub fn new(values: &[SecretString]) -> Self {
        Self {
            values: values.iter().map(Value::new).collect(),
            held: Vec::new(),
        }
    }

    /// Adds bytes. Returns all bytes except those at the end that may be the beginning of a value.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        for byte in bytes {
            self.held.push(*byte);
            let end = self.held.len();
            for value in &mut self.values {
                if value.completes(*byte) {
                    let start = (end - value.borders.len()).max(value.hidden);
                    self.held[start..].fill(MASK);
                    value.hidden = end;
                }
            }
        }
        let keep = self.values.iter().map(|value| value.matched).max().unwrap_or_default();
        let ready: Vec<u8> = self.held.drain(..self.held.len() - keep).collect();
        for value in &mut self.values {
            value.hidden = value.hidden.saturating_sub(ready.len());
        }
        ready
    }

    /// Returns the remaining bytes.
    pub fn finish(self) -> Vec<u8> {
        self.held
    }
}

/// Returns `bytes` without values.
pub fn mask(bytes: &[u8], values: &[SecretString]) -> Vec<u8> {
    let mut masker = Masker::new(values);
    let mut whole = masker.push(bytes);
    whole.extend(masker.finish());
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(values: &[&str]) -> Vec<SecretString> {
        values.iter().map(|value| SecretString::from(*value)).collect()
    }

    fn masked(values: &[&str], parts: &[&str]) -> String {
        let mut masker = Masker::new(&secrets(values));
        let mut text = Vec::new();
        for part in parts {
            text.extend(masker.push(part.as_bytes()));
        }
        text.extend(masker.finish());
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Masks a text that arrives in three parts, for each way to divide it.
    fn in_parts(values: &[&str], text: &str, expected: &str) {
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let parts = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(masked(values, &parts), expected, "{parts:?}");
            }
        }
    }

    #[test]
    fn a_value_is_hidden_wherever_the_stream_is_divided() {
        in_parts(
            &["secret-one"],
            "abc-secret-one-ssecret-one",
            "abc-**********-s**********",
        );
        in_parts(&["abcde", "defgh"], "xabcdefghy", "x********y");
        in_parts(&["abcde", "bcd"], "xbcdy-abcde", "x***y-*****");
        in_parts(&["aabaab"], "xaabaabaaby", "x*********y");
        in_parts(&["aaaa"], "aaabaaaaaaab", "aaab*******b");
    }

    #[test]
    fn other_bytes_pass_unchanged_and_at_once() {
        assert_eq!(masked(&["secret-one"], &["secret-on", "f secret"]), "secret-onf secret");
        assert_eq!(masked(&[], &["secret", "-one"]), "secret-one");
        assert_eq!(mask(b"a key-1234 b", &secrets(&["key-1234"])), b"a ******** b");
        let mut masker = Masker::new(&secrets(&["key-1234"]));
        assert_eq!(masker.push(b"data: 1\n\n"), b"data: 1\n\n");
        assert_eq!(masker.push(b"data: key-12"), b"data: ");
    }
}
