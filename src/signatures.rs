//! Signs and verifies HTTP requests as the Standard Webhooks specification describes.
//!
//! A signature is `v1,` and the base64 HMAC-SHA256 of `ID.TIMESTAMP.BODY`. The key is the base64 text of the secret
//! after `whsec_`.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};

use crate::id;

const PREFIX: &str = "whsec_";
const VERSION: &str = "v1,";
const KEY_BYTES: usize = 32;
/// Maximum number of signatures in a request that are compared.
const MAX_SIGNATURES: usize = 8;

/// Returns a new random secret.
pub fn new_secret() -> SecretString {
    let key = id::random_bytes::<KEY_BYTES>();
    SecretString::from(format!("{PREFIX}{}", STANDARD.encode(key)))
}

/// The signed parts of a request.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    pub id: &'a str,
    /// Seconds since the Unix epoch.
    pub timestamp: i64,
    pub body: &'a [u8],
}

impl Signed<'_> {
    /// Returns the signature, or `None` if the secret is malformed.
    pub fn sign(&self, secret: &SecretString) -> Option<String> {
        let tag = hmac::sign(&key(secret)?, &self.content());
        Some(format!("{VERSION}{}", STANDARD.encode(tag)))
    }

    /// Returns whether one of the signatures, which are separated by spaces, is valid. Compares in constant time. The
    /// caller checks the age of the timestamp.
    pub fn is_signed_with(&self, secret: &SecretString, signatures: &str) -> bool {
        let Some(key) = key(secret) else { return false };
        let content = self.content();
        signatures.split(' ').take(MAX_SIGNATURES).any(|signature| {
            let tag = signature.strip_prefix(VERSION).map(|tag| STANDARD.decode(tag));
            matches!(tag, Some(Ok(tag)) if hmac::verify(&key, &content, &tag).is_ok())
        })
    }

    fn content(&self) -> Vec<u8> {
        let head = format!("{}.{}.", self.id, self.timestamp);
        [head.as_bytes(), self.body].concat()
    }
}

fn key(secret: &SecretString) -> Option<hmac::Key> {
    let key = STANDARD.decode(secret.expose_secret().strip_prefix(PREFIX)?).ok()?;
    Some(hmac::Key::new(hmac::HMAC_SHA256, &key))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks libraries.
    #[test]
    fn the_signature_of_the_published_example_is_reproduced() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed = Signed {
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
            timestamp: 1_614_265_330,
            body: br#"{"test": 2432232314}"#,
        };
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signed.sign(&secret).unwrap(), signature);
        assert!(signed.is_signed_with(&secret, &format!("v1,AAAA v1a,x {signature}")));
        let changed = Signed {
            timestamp: 1_614_265_331,
            ..signed
        };
        assert!(!changed.is_signed_with(&secret, signature));
        assert!(!signed.is_signed_with(&new_secret(), signature));
        assert!(!signed.is_signed_with(&SecretString::from("secret"), signature));
    }
}
