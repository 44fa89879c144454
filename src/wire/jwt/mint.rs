//! Mints tokens for the commands (`commands/signer.rs`) and for tests.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::{
    config::Auth,
    error::{Error, Result},
};

#[derive(Clone, Debug)]
pub struct Grant {
    /// The claim `sub`. Subject and issuer together select the account.
    pub subject: String,
    pub role: Option<String>,
    pub lifetime: Duration,
}

/// Creates a token and signs it with the secret.
///
/// # Errors
/// INVALID_REQUEST if the lifetime is so long that the expiry time cannot be represented.
pub fn mint(auth: &Auth, secret: &SecretString, grant: &Grant, now: DateTime<Utc>) -> Result<String> {
    let seconds = i64::try_from(grant.lifetime.as_secs()).unwrap_or(i64::MAX);
    let expires_at = now
        .timestamp()
        .checked_add(seconds)
        .filter(|seconds| DateTime::from_timestamp(*seconds, 0).is_some())
        .ok_or_else(|| Error::invalid("the lifetime of the token is too long"))?;
    let mut claims = Map::new();
    let mut say = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    say("sub", grant.subject.clone().into());
    say("iat", now.timestamp().into());
    say("exp", expires_at.into());
    if let Some(role) = &grant.role {
        say(&auth.role_claim, role.clone().into());
    }
    if let Some(issuer) = auth.expected_issuer() {
        say("iss", issuer.into());
    }
    if let Some(audience) = &auth.audience {
        say("aud", audience.clone().into());
    }
    if let Some(client_id) = auth.client_ids.first() {
        say("azp", client_id.clone().into());
    }
    let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"HS256"}"#);
    let payload = URL_SAFE_NO_PAD.encode(Value::Object(claims).to_string());
    let signed = format!("{header}.{payload}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let signature = hmac::sign(&key, signed.as_bytes());
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}
