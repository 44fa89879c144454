//! Encrypts the secrets of accounts, such as the headers of MCP servers, before the database stores them.
//!
//! The cipher is AES-256-GCM. Encryption binds a secret to a context, such as the account id, and decryption needs
//! the same context. A secret that is copied to another account can therefore not be decrypted.

pub mod references;

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    config::Config,
    error::{Error, Result},
    secret_file,
};

const FILE: &str = "secrets.key";
const MIN_BYTES: usize = 32;
/// Size in bytes of the nonce and the authentication tag, which encryption adds to a secret.
const OVERHEAD: usize = NONCE_LEN + 16;
/// Input of the key derivation. Keys for other purposes must use another text.
const PURPOSE: &str = "runyard 2026 stored secrets";

pub struct Secrets {
    key: RandomizedNonceKey,
}

impl Secrets {
    /// Loads the key from the configuration or from the data folder. Creates the key file if it is missing.
    ///
    /// # Errors
    /// INVALID_REQUEST, with advice, if the key is too short or its file cannot be used.
    pub fn open(config: &Config) -> Result<Self> {
        let path = config.data_dir.join(FILE);
        let unusable = |error| Error::invalid(format!("the key file {} cannot be used: {error}", path.display()));
        let text = if let Some(key) = &config.secrets_key {
            key.clone()
        } else {
            secret_file::create(&config.data_dir, FILE).map_err(unusable)?;
            SecretString::from(secret_file::read(&path).map_err(unusable)?)
        };
        let text = text.expose_secret().trim_end();
        if text.len() < MIN_BYTES {
            return Err(Error::invalid(format!(
                "secrets_key has {} bytes and needs at least {MIN_BYTES}: set RUNYARD_SECRETS_KEY to the output of `openssl \
                 rand -hex 32`",
                text.len()
            )));
        }
        let derived = blake3::derive_key(PURPOSE, text.as_bytes());
        let key = RandomizedNonceKey::new(&AES_256_GCM, &derived)
            .map_err(|error| Error::internal("the key of stored secrets could not be set up", error))?;
        Ok(Self { key })
    }

    pub fn seal(&self, context: &[u8], secret: &str) -> Result<String> {
        let mut text = secret.as_bytes().to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(context), &mut text)
            .map_err(|error| Error::internal("a secret could not be encrypted", error))?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.extend(text);
        Ok(STANDARD_NO_PAD.encode(sealed))
    }

    /// Decrypts a secret. Returns `None` if it was encrypted with another key or another context.
    pub fn open_sealed(&self, context: &[u8], sealed: &str) -> Option<SecretString> {
        let sealed = STANDARD_NO_PAD.decode(sealed).ok()?;
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let opened = self.key.open_in_place(nonce, Aad::from(context), &mut text).ok()?;
        let secret = std::str::from_utf8(opened).ok()?;
        Some(SecretString::from(secret.to_owned()))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

/// Returns the size in bytes of the secret in `sealed`, the output of [`Secrets::seal`].
pub fn sealed_size(sealed: &str) -> usize {
    (sealed.len() * 3 / 4).saturating_sub(OVERHEAD)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use super::*;

    fn with_key(key: &str) -> Secrets {
        let mut config = Config::parse("the test's configuration", "").unwrap();
        config.secrets_key = Some(SecretString::from(key));
        Secrets::open(&config).unwrap()
    }

    #[test]
    fn a_secret_opens_only_with_its_key_and_its_context() {
        let secrets = with_key("a key of the tests that is long enough");
        let sealed = secrets.seal(b"ann", "Bearer 123").unwrap();
        assert!(!sealed.contains("Bearer"));
        assert_eq!(sealed_size(&sealed), "Bearer 123".len());
        assert_eq!(
            secrets.open_sealed(b"ann", &sealed).unwrap().expose_secret(),
            "Bearer 123"
        );
        assert!(secrets.open_sealed(b"bob", &sealed).is_none());
        let other = with_key("another key of the tests, long enough");
        assert!(other.open_sealed(b"ann", &sealed).is_none());
        for damaged in ["", "A", &sealed[..10], &format!("{}A", &sealed[1..])] {
            assert!(secrets.open_sealed(b"ann", damaged).is_none(), "{damaged}");
        }
    }

    #[test]
    fn the_generated_key_is_kept_in_a_private_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::parse("the test's configuration", "").unwrap();
        config.data_dir = folder.path().join("data");
        let sealed = Secrets::open(&config).unwrap().seal(b"", "x").unwrap();
        let again = Secrets::open(&config).unwrap();
        assert_eq!(again.open_sealed(b"", &sealed).unwrap().expose_secret(), "x");
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&config.data_dir.join(FILE).metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
}
