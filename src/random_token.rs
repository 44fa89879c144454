//! Random tokens that give access without a user's sign-in: API keys and shares.
//!
//! A token consists of a prefix that names its kind, 64 random bits by which its row is found, and a secret of 256 random
//! bits. The database stores the first two as plain text, and a salted hash of the whole token.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use subtle::ConstantTimeEq;

use crate::id;

/// Length of 64 bits in URL-safe Base64.
const FINDING_CHARS: usize = 11;
/// Maximum length of a token in bytes. A longer text is refused before the database is read.
const MAX_BYTES: usize = 128;

/// A new token, and the columns of its row.
pub struct NewToken {
    pub token: SecretString,
    /// The plain-text start of the token, by which its owner recognises it.
    pub start: String,
    pub salt: Vec<u8>,
    pub hash: Vec<u8>,
}

impl NewToken {
    pub fn with_prefix(prefix: &str) -> Self {
        let start = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(id::random_bytes::<8>()));
        let token = format!("{start}{}", URL_SAFE_NO_PAD.encode(id::random_bytes::<32>()));
        let salt = id::random_bytes::<32>();
        Self {
            hash: hash(&salt, &token).as_bytes().to_vec(),
            salt: salt.to_vec(),
            start,
            token: token.into(),
        }
    }
}

/// Returns the part of `token` by which its row is found. Returns `None` if the text cannot be a token of this kind.
pub fn start<'a>(token: &'a str, prefix: &str) -> Option<&'a str> {
    let is_token = token.len() <= MAX_BYTES && token.starts_with(prefix);
    token.get(..prefix.len() + FINDING_CHARS).filter(|_| is_token)
}

/// Returns true if `token` is the token of the row with this salt and hash. An unknown token, without a row, takes as much
/// work as a known one. The response time then does not reveal whether a token exists.
pub fn is_right(token: &str, row: Option<(&[u8], &[u8])>) -> bool {
    let (salt, expected) = row.unwrap_or((&[0; 32], &[0; 32]));
    let salt = salt.try_into().unwrap_or([0; 32]);
    let is_equal = bool::from(hash(&salt, token).as_bytes().ct_eq(expected));
    is_equal && row.is_some()
}

fn hash(salt: &[u8; 32], token: &str) -> blake3::Hash {
    blake3::keyed_hash(salt, token.as_bytes())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn only_the_token_itself_is_right() {
        let new = NewToken::with_prefix("ry_");
        let token = new.token.expose_secret();
        let row = Some((new.salt.as_slice(), new.hash.as_slice()));
        assert!(is_right(token, row));
        assert_eq!(start(token, "ry_"), Some(new.start.as_str()));
        assert_eq!(token.len(), new.start.len() + 43);
        let other = NewToken::with_prefix("ry_");
        assert_ne!(token, other.token.expose_secret());
        assert!(!is_right(other.token.expose_secret(), row));
        assert!(!is_right(&token[..token.len() - 1], row));
        assert!(!is_right(token, Some((&other.salt, &new.hash))));
        assert!(!is_right(token, Some((&[], &new.hash))));
        assert!(!is_right(token, None));
    }

    #[test]
    fn a_text_that_cannot_be_a_token_has_no_start() {
        let token = NewToken::with_prefix("ry_").token;
        assert_eq!(start(token.expose_secret(), "rys_"), None);
        for text in ["", "ry_", "ry_short", "ry_äääääää", &"ry_a".repeat(33)] {
            assert_eq!(start(text, "ry_"), None, "{text}");
        }
        assert_eq!(start("ry_12345678901", "ry_"), Some("ry_12345678901"));
    }
}
