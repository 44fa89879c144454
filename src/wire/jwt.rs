//! Verifies JSON Web Tokens (RFC 7519), as RFC 8725 recommends.
//!
//! Every refused token gets the same response ("Not authenticated"). The reason appears only in the debug log.
//!
//! Invariant: the key determines the algorithms that may verify a token. HS256 tokens are verified only with the
//! configured secret, and all other tokens only with public keys. The header of a token can select one of these keys,
//! but cannot add a key.

mod algorithms;
mod claims;
mod credential;
mod discovery;
mod header;
mod jwk;
mod key_cache;
mod keys;
mod mint;
mod remote;
mod secret;
mod source;
mod verified;

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};

pub use claims::{Claims, MAX_NAME_BYTES, is_name};
pub use credential::{Credential, credential};
pub use discovery::Endpoints;
pub use mint::{Grant, mint};
pub use secret::{load as load_secret, load_or_create as load_or_create_secret};
pub use verified::VerifiedToken;

use crate::{
    config::Auth,
    error::{Code, Error, Result},
};
use claims::Rules;
use header::Header;
use key_cache::KeyCache;
use keys::KeySet;
use source::Source;

pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// Allowed clock difference between the issuer and this server, in seconds.
pub const LEEWAY_SECONDS: i64 = 30;

const HS256: &str = "HS256";

#[derive(Debug)]
pub struct Verifier {
    secret: Option<hmac::Key>,
    published: Option<Arc<KeyCache>>,
    /// The key set of a server without public keys. It contains no keys, but remembers the tokens that were verified
    /// with the secret.
    no_keys: Arc<KeySet>,
    rules: Rules,
}

/// The public keys of the configured source, as `runyard doctor` reports them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedKeys {
    pub source: String,
    /// The number of usable keys, or the reason why loading failed.
    pub usable: Result<usize, String>,
    /// The skipped keys and the keys that share a key id, each with a reason.
    pub problems: Option<String>,
    /// The endpoints of the issuer, or the reason why a browser cannot sign in there. `None` if the source of the keys is
    /// not an issuer, or if loading failed.
    pub endpoints: Option<Result<Endpoints, String>>,
}

#[derive(Debug)]
enum Refusal {
    /// No loaded key verifies the token, but the issuer may have published a new key.
    UnknownKey(String),
    /// No key could make the token valid, so the keys are not reloaded.
    Invalid(String),
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self::Invalid(why)
    }
}

impl From<&str> for Refusal {
    fn from(why: &str) -> Self {
        Self::Invalid(why.to_owned())
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let (Refusal::UnknownKey(why) | Refusal::Invalid(why)) = refusal;
        not_authenticated(why)
    }
}

impl Verifier {
    /// Creates a verifier for the configured issuer, audience, clients and public keys. If `secret` is set, the
    /// verifier also accepts HS256 tokens.
    ///
    /// # Errors
    /// INVALID_REQUEST if the secret is too short, the public keys are configured incorrectly, or no key is
    /// configured. INTERNAL if the TLS library cannot be set up.
    pub fn new(auth: &Auth, secret: Option<&SecretString>) -> Result<Self> {
        let secret = match secret {
            Some(secret) => {
                secret::check(secret)?;
                Some(hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes()))
            }
            None => None,
        };
        let signs_in = auth.sign_in.client_id.is_some();
        let published = Source::of(auth)?.map(|source| KeyCache::new(source, signs_in));
        let published = published.transpose()?;
        if secret.is_none() && published.is_none() {
            return Err(Error::invalid(
                "no key to verify tokens: set RUNYARD_JWT_SECRET, RUNYARD_JWKS_FILE, RUNYARD_JWKS_URL or RUNYARD_ISSUER_URL",
            ));
        }
        Ok(Self {
            secret,
            published,
            no_keys: Arc::default(),
            rules: Rules::from(auth),
        })
    }

    /// Loads the public keys if they are stale or were never loaded. A failure is only logged, because a later token
    /// triggers another attempt.
    pub async fn load_keys(&self, now: DateTime<Utc>) {
        if let Some(published) = &self.published {
            published.refresh_when_stale(now.timestamp()).await;
        }
    }

    /// Loads and describes the public keys. Returns `None` if no public keys are configured.
    pub async fn inspect_keys(&self) -> Option<PublishedKeys> {
        let source = self.published.as_ref()?.source();
        let source_name = source.to_string();
        Some(match source.load().await {
            Ok(loaded) => PublishedKeys {
                source: source_name,
                problems: loaded.keys.problems(),
                usable: Ok(loaded.keys.len()),
                endpoints: loaded.endpoints,
            },
            Err(why) => PublishedKeys {
                source: source_name,
                problems: None,
                usable: Err(why),
                endpoints: None,
            },
        })
    }

    /// Returns the endpoints with which a browser signs in, after loading stale or missing ones. `None` if they cannot be
    /// loaded now, or if the issuer has none.
    pub async fn load_endpoints(&self, now: DateTime<Utc>) -> Option<Arc<Endpoints>> {
        let published = self.published.as_ref()?;
        published.refresh_when_stale(now.timestamp()).await;
        if published.endpoints().is_none() {
            published.refresh_for_endpoints(now.timestamp()).await;
        }
        published.endpoints()
    }

    /// Returns the endpoints that were loaded before.
    pub fn known_endpoints(&self) -> Option<Arc<Endpoints>> {
        self.published.as_ref()?.endpoints()
    }

    /// Returns a token that was verified before and is still valid. Returns `None` if the public keys are stale,
    /// because the next load may remove the token's key.
    pub fn remembered(&self, token: &str, now: DateTime<Utc>) -> Option<Arc<VerifiedToken>> {
        if let Some(published) = &self.published
            && published.is_stale(now.timestamp())
        {
            return None;
        }
        self.keys().verified.find(token, now)
    }

    /// Verifies a token, after reloading stale public keys. If no loaded key verifies the token, the keys are
    /// reloaded once, and the token is verified again.
    ///
    /// # Errors
    /// NOT_AUTHENTICATED, always with the same message. UNAVAILABLE if the token needs a public key, but no keys have
    /// been loaded since the start.
    pub async fn authenticate(&self, token: &str, now: DateTime<Utc>) -> Result<Arc<VerifiedToken>> {
        if let Some(verified) = self.remembered(token, now) {
            return Ok(verified);
        }
        let Some(published) = &self.published else {
            return Ok(self.check_once(token, &self.no_keys, now)?);
        };
        let seconds = now.timestamp();
        let are_new = published.refresh_when_stale(seconds).await;
        let keys = published.keys();
        let why = match self.check_once(token, &keys, now) {
            Ok(verified) => return Ok(verified),
            Err(Refusal::UnknownKey(why)) => why,
            Err(refusal) => return Err(refusal.into()),
        };
        if !are_new && let Some(newer) = published.refresh_for_unknown_key(&keys, seconds).await {
            return Ok(self.check_once(token, &newer, now)?);
        }
        if keys.is_empty() {
            let message = "the keys of the identity provider could not be loaded yet; try again";
            return Err(Error::new(Code::Unavailable, message));
        }
        Err(not_authenticated(why))
    }

    /// Verifies a token without loading keys.
    ///
    /// # Errors
    /// NOT_AUTHENTICATED, always with the same message.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Claims> {
        Ok(self.check(token, &self.keys(), now.timestamp())?)
    }

    fn keys(&self) -> Arc<KeySet> {
        let published = self.published.as_ref();
        published.map_or_else(|| Arc::clone(&self.no_keys), |published| published.keys())
    }

    fn check_once(&self, token: &str, keys: &KeySet, now: DateTime<Utc>) -> Result<Arc<VerifiedToken>, Refusal> {
        let claims = self.check(token, keys, now.timestamp())?;
        Ok(keys.verified.remember(token, claims, now))
    }

    fn check(&self, token: &str, keys: &KeySet, now: i64) -> Result<Claims, Refusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::Invalid(format!(
                "the token has {} bytes; the maximum is {MAX_TOKEN_BYTES}",
                token.len()
            )));
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("the token does not have three parts".into());
        };
        let header = Header::read(header)?;
        let signed = &token.as_bytes()[..token.len() - signature.len() - 1];
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|error| format!("the signature is not base64url: {error}"))?;
        if header.alg == HS256 {
            self.check_secret(signed, &signature)?;
        } else {
            keys.verify(&header, signed, &signature)?;
        }
        Ok(claims::read(payload, &self.rules, now)?)
    }

    /// Ignores the token's key id, because only one secret exists.
    fn check_secret(&self, signed: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        let secret = self.secret.as_ref();
        let secret = secret.ok_or("no secret is configured, so HS256 tokens are not accepted")?;
        hmac::verify(secret, signed, signature).map_err(|_| "invalid signature".into())
    }
}

fn not_authenticated(cause: String) -> Error {
    Error::new(Code::NotAuthenticated, "Not authenticated").caused_by(cause)
}
