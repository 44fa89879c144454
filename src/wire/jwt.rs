//! Verifies JSON Web Tokens (RFC 7519). This module follows the recommendations of RFC 8725.
//!
//! Called by `wire::caller` for every request with a token, and by the commands that mint tokens. Invariant: the key
//! determines the algorithm that verifies a token. The header of a token can only select one of the configured keys.
//! Every refusal has the same text for the client ("Not authenticated"). The cause appears only in the debug log.

mod claims;
mod credential;
mod keys;
mod mint;
mod remote;
mod secret;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use jsonwebtoken::crypto;
use secrecy::{ExposeSecret, SecretString};

pub use claims::{Claims, MAX_NAME_BYTES, is_name};
pub use credential::{Credential, credential};
pub use mint::{Grant, mint};
pub use secret::{load as load_secret, load_or_create as load_or_create_secret};

use crate::{
    config::Auth,
    error::{Code, Error, Result},
};
use claims::Rules;
use keys::{Header, Key, KeySet};
use remote::Remote;

/// Maximum size of a token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Allowed clock difference between an issuer and this server, in seconds.
pub const LEEWAY_SECONDS: i64 = 30;

/// Minimum time between two loads of the JWKS, in seconds. It bounds the loads that tokens with unknown key ids cause.
const REFRESH_SECONDS: i64 = 60;

/// Age at which the keys of the JWKS are stale and are loaded again, in seconds.
const KEYS_TTL_SECONDS: i64 = 300;

/// Verifies tokens against the configured keys.
#[derive(Debug)]
pub struct Verifier {
    secret: Option<Key>,
    jwks_file: Option<PathBuf>,
    jwks: ArcSwap<KeySet>,
    read_at: AtomicI64,
    remote: Option<Arc<Remote>>,
    rules: Rules,
}

impl Verifier {
    /// Creates a verifier for the configured issuer, audience and JWKS. If there is a secret, the verifier also accepts
    /// HS256 tokens.
    ///
    /// # Errors
    /// INVALID_REQUEST, with advice, if the secret is too short, the settings of the JWKS are unusable, or no key is
    /// configured.
    pub fn new(auth: &Auth, secret: Option<&SecretString>) -> Result<Self> {
        let secret = match secret {
            Some(secret) => {
                secret::check(secret)?;
                Some(Key::from_secret(secret.expose_secret().as_bytes()))
            }
            None => None,
        };
        let jwks = match &auth.jwks_file {
            Some(path) => KeySet::read(path)?,
            None => KeySet::default(),
        };
        if auth.jwks_file.is_some() && auth.jwks_url.is_some() {
            return Err(Error::invalid(
                "auth.jwks_file and auth.jwks_url are both set; remove one",
            ));
        }
        let remote = auth.jwks_url.as_deref().map(Remote::new).transpose()?;
        if secret.is_none() && jwks.is_empty() && remote.is_none() {
            return Err(Error::invalid(
                "no key to verify tokens: set RUNYARD_JWT_SECRET, RUNYARD_JWKS_FILE or RUNYARD_JWKS_URL",
            ));
        }
        Ok(Self {
            secret,
            jwks_file: auth.jwks_file.clone(),
            jwks: ArcSwap::from_pointee(jwks),
            read_at: AtomicI64::new(i64::MIN),
            remote,
            rules: Rules::from(auth),
        })
    }

    /// Fetches the keys of the configured URL if they are stale, or if the key that the token names is not among them.
    ///
    /// Call this method before [`Verifier::verify`], which does not wait for a fetch.
    pub async fn refresh_for(&self, token: &str, now: DateTime<Utc>) {
        let Some(remote) = &self.remote else { return };
        remote.refresh_when_stale(now.timestamp()).await;
        let header = token.split('.').next().filter(|_| token.len() <= MAX_TOKEN_BYTES);
        let header = header.and_then(|header| Header::read(header).ok());
        if header.is_some_and(|header| self.with_key(&header, |_| ()).is_none()) {
            remote.refresh_for_unknown_key(now.timestamp()).await;
        }
    }

    /// Verifies a token and returns its claims.
    ///
    /// # Errors
    /// NOT_AUTHENTICATED, always with the same message. The cause of the error states the reason.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Claims> {
        self.check(token, now.timestamp()).map_err(not_authenticated)
    }

    fn check(&self, token: &str, now: i64) -> Result<Claims, String> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(format!(
                "the token has {} bytes; the maximum is {MAX_TOKEN_BYTES}",
                token.len()
            ));
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("the token does not have three parts".into());
        };
        let header = Header::read(header)?;
        let signed = &token[..token.len() - signature.len() - 1];
        let verify = |key: &Key| key.verify(&header, signed.as_bytes(), signature);
        self.refresh_when_stale(now);
        match self.with_key(&header, verify) {
            Some(outcome) => outcome?,
            // The issuer may have added a key since the file was read.
            None if self.refresh_for_unknown_key(now) => self.with_key(&header, verify).ok_or(NO_KEY)??,
            None => return Err(NO_KEY.into()),
        }
        claims::read(payload, &self.rules, now)
    }

    /// Calls `check` with the key that the header selects. A header with a key id selects the key with this id. Any
    /// other header selects the only key for its algorithm. Returns `None` if no key or several keys fit.
    fn with_key<T>(&self, header: &Header, check: impl FnOnce(&Key) -> T) -> Option<T> {
        let jwks = self.jwks.load();
        let remote = self.remote.as_ref().map(|remote| remote.keys());
        let fetched = remote.iter().flat_map(|keys| keys.iter());
        let mut fitting = self
            .secret
            .iter()
            .chain(jwks.iter())
            .chain(fetched)
            .filter(|key| key.fits(header));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Some(check(key)),
            _ => None,
        }
    }

    fn refresh_when_stale(&self, now: i64) {
        let read_at = self.read_at.load(Ordering::Relaxed);
        if read_at == i64::MIN {
            // The server has read the file at start. The age of the keys is measured from the first token on.
            let _ = self
                .read_at
                .compare_exchange(i64::MIN, now, Ordering::Relaxed, Ordering::Relaxed);
        } else if now.saturating_sub(read_at) >= KEYS_TTL_SECONDS {
            self.refresh(read_at, now);
        }
    }

    /// Reloads the file because of an unknown key id. Even if many unknown key ids arrive, the file is reloaded no more
    /// than once a minute.
    fn refresh_for_unknown_key(&self, now: i64) -> bool {
        let read_at = self.read_at.load(Ordering::Relaxed);
        now.saturating_sub(read_at) >= REFRESH_SECONDS && self.refresh(read_at, now)
    }

    fn refresh(&self, read_at: i64, now: i64) -> bool {
        let Some(path) = &self.jwks_file else { return false };
        // If there are several concurrent callers, one of them reloads the file. The others continue with the old keys.
        if self
            .read_at
            .compare_exchange(read_at, now, Ordering::Relaxed, Ordering::Relaxed)
            .is_err()
        {
            return false;
        }
        match KeySet::read(path) {
            Ok(keys) => {
                self.jwks.store(keys.into());
                true
            }
            Err(error) => {
                tracing::warn!(%error, "could not reload the JWKS file; keeping the previous keys");
                false
            }
        }
    }
}

const NO_KEY: &str = "no configured key matches the token, or more than one does";

fn not_authenticated(cause: String) -> Error {
    Error::new(Code::NotAuthenticated, "Not authenticated").caused_by(cause)
}

impl Key {
    /// Verifies the signature with this key and its algorithm.
    fn verify(&self, header: &Header, signed: &[u8], signature: &str) -> Result<(), String> {
        if !self.allows(&header.alg) {
            return Err(format!(
                "the token's algorithm is {:?}, but its key is for {:?}",
                header.alg, self.algorithm
            ));
        }
        match crypto::verify(signature, signed, &self.decoding, self.algorithm) {
            Ok(true) => Ok(()),
            Ok(false) => Err("invalid signature".into()),
            Err(error) => Err(format!("the signature could not be verified: {error}")),
        }
    }
}
