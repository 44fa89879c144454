//! What a request brings to say who asks.
//!
//! Called by the caller layer, on every door alike: gRPC metadata are HTTP headers. One credential or none; two are refused,
//! because then nobody could say which one counted.

use http::{HeaderMap, header::AUTHORIZATION};

use super::not_authenticated;
use crate::{api_keys, error::Result};

/// What a request brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential<'a> {
    /// A JSON Web Token.
    Jwt(&'a str),
    /// An API key.
    ApiKey(&'a str),
}

/// The one credential of a request: `Authorization: Bearer <token or API key>`, or `X-API-Key`.
///
/// # Errors
/// NOT_AUTHENTICATED when there is none, more than one, another scheme, or not just one word after it.
pub fn credential(headers: &HeaderMap) -> Result<Credential<'_>> {
    find(headers).map_err(|why| not_authenticated(why.into()))
}

fn find(headers: &HeaderMap) -> Result<Credential<'_>, &'static str> {
    let mut bearers = headers.get_all(AUTHORIZATION).iter();
    let mut keys = headers.get_all("x-api-key").iter();
    let value = match (bearers.next(), bearers.next(), keys.next(), keys.next()) {
        (Some(bearer), None, None, None) => bearer.to_str().map_err(|_| "Authorization is not ASCII text")?,
        (None, None, Some(key), None) => {
            let key = key.to_str().map_err(|_| "X-API-Key is not ASCII text")?;
            return word(key).map(Credential::ApiKey);
        }
        (None, _, None, _) => return Err("the request has no Authorization header"),
        _ => return Err("the request has more than one credential"),
    };
    let (scheme, token) = value.split_once(' ').ok_or("Authorization has no scheme and token")?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err("the scheme of Authorization is not Bearer");
    }
    let token = word(token)?;
    if token.starts_with(api_keys::PREFIX) {
        Ok(Credential::ApiKey(token))
    } else {
        Ok(Credential::Jwt(token))
    }
}

fn word(text: &str) -> Result<&str, &'static str> {
    if text.is_empty() || text.contains(|letter: char| !letter.is_ascii_graphic()) {
        return Err("the credential is empty or not one word");
    }
    Ok(text)
}
