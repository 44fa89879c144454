//! Reads the claims of a token whose signature was verified, and checks the configured rules. A name that occurs
//! twice in the JSON is refused, because two parsers might read different values.

use std::{collections::BTreeMap, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde::{
    Deserialize,
    de::{Deserializer, Error as _, MapAccess, Visitor},
};
use serde_json::Value;

use super::LEEWAY_SECONDS;
use crate::config::Auth;

pub const MAX_NAME_BYTES: usize = 255;

/// The last second of the year 9999, as a Unix time. RFC 3339 cannot represent later times.
const LAST_SECOND: f64 = 253_402_300_799.0;

/// Claims that name the client to which a token was issued. `azp` is from OpenID Connect, `client_id` from RFC 9068,
/// and `appid` from version 1 of Microsoft Entra.
const CLIENT_CLAIMS: [&str; 3] = ["azp", "client_id", "appid"];

/// The claims that Runyard uses, from a token that passed all checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `iss`; empty if the token has no issuer.
    pub issuer: String,
    /// `sub`, unique within the issuer.
    pub subject: Arc<str>,
    /// `None` if the configured role claim is missing or is not a string.
    pub role: Option<String>,
    /// `exp`, without leeway.
    pub expires_at: DateTime<Utc>,
}

#[derive(Debug)]
pub(super) struct Rules {
    issuer: Option<String>,
    audience: Option<String>,
    client_ids: Vec<String>,
    role_claim: String,
}

impl From<&Auth> for Rules {
    fn from(auth: &Auth) -> Self {
        Self {
            issuer: auth.expected_issuer().map(str::to_owned),
            audience: auth.audience.clone(),
            client_ids: auth.client_ids.clone(),
            role_claim: auth.role_claim.clone(),
        }
    }
}

pub(super) fn read(part: &str, rules: &Rules, now: i64) -> Result<Claims, String> {
    let Unique(members) = decode(part, "payload")?;
    let exp = time(&members, "exp")?.ok_or("exp is missing")?;
    if exp.saturating_add(LEEWAY_SECONDS) <= now {
        return Err("the token has expired".into());
    }
    for name in ["nbf", "iat"] {
        if time(&members, name)?.is_some_and(|at| at > now + LEEWAY_SECONDS) {
            return Err(format!("{name} is in the future"));
        }
    }
    let issuer = text(&members, "iss")?;
    if rules.issuer.is_some() && issuer != rules.issuer {
        return Err("iss is not the configured issuer".into());
    }
    if let Some(audience) = &rules.audience
        && !is_meant_for(members.get("aud"), audience)
    {
        return Err("aud does not name the configured audience".into());
    }
    if !rules.client_ids.is_empty() && !is_issued_to(&members, &rules.client_ids) {
        return Err(
            "azp, client_id or appid names a client that is not in auth.client_ids, or the token has none of them"
                .into(),
        );
    }
    Ok(Claims {
        issuer: issuer.unwrap_or_default(),
        subject: text(&members, "sub")?.ok_or("sub is missing")?.into(),
        role: members
            .get(&rules.role_claim)
            .and_then(Value::as_str)
            .map(str::to_owned),
        expires_at: DateTime::from_timestamp(exp, 0).ok_or("exp is out of range")?,
    })
}

/// Decodes base64url without padding. The result must be a JSON object without repeated names.
pub(super) fn decode(part: &str, what: &str) -> Result<Unique, String> {
    let bytes = URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|error| format!("the {what} is not base64url: {error}"))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("the {what} cannot be read: {error}"))
}

/// Reads a member as a `NumericDate`, truncated to whole seconds.
fn time(members: &BTreeMap<String, Value>, name: &str) -> Result<Option<i64>, String> {
    let Some(value) = members.get(name) else {
        return Ok(None);
    };
    match value.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
        Some(seconds) if (0.0..=LAST_SECOND).contains(&seconds) => Ok(Some(seconds as i64)),
        _ => Err(format!("{name} is not a valid time")),
    }
}

/// Returns true if a string can be a subject or issuer: 1 to [`MAX_NAME_BYTES`] bytes without control characters.
/// PostgreSQL cannot store NUL, and a line break would split a log line.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME_BYTES && !text.contains(char::is_control)
}

/// Reads a claim such as `sub` or `iss`. Its value must satisfy [`is_name`].
fn text(members: &BTreeMap<String, Value>, name: &str) -> Result<Option<String>, String> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if is_name(text) => Ok(Some(text.clone())),
        Some(_) => Err(format!(
            "{name} is not a string of 1 to {MAX_NAME_BYTES} bytes without control characters"
        )),
    }
}

fn is_meant_for(aud: Option<&Value>, audience: &str) -> bool {
    match aud {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(many)) => many.iter().any(|one| one.as_str() == Some(audience)),
        _ => false,
    }
}

/// Returns true if at least one of [`CLIENT_CLAIMS`] is present, and each present claim names a permitted client.
fn is_issued_to(members: &BTreeMap<String, Value>, client_ids: &[String]) -> bool {
    let mut named = CLIENT_CLAIMS.iter().filter_map(|name| members.get(*name)).peekable();
    let is_permitted = |client: &Value| client.as_str().is_some_and(|id| client_ids.iter().any(|one| one == id));
    named.peek().is_some() && named.all(is_permitted)
}

pub(super) struct Unique(pub(super) BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Unique;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.contains_key(&name) {
                        return Err(A::Error::custom(format!("{name:?} occurs twice")));
                    }
                    members.insert(name, value);
                }
                Ok(Unique(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}
