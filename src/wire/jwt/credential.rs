//! Finds the credential of a request. Some generated clients send the same API key in `Authorization` and in
//! `X-API-Key`, so a request may have both headers.

use http::{HeaderMap, HeaderName, header::AUTHORIZATION};

use super::not_authenticated;
use crate::{api_keys, error::Result};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential<'a> {
    Jwt(&'a str),
    ApiKey(&'a str),
}

/// Reads the credential from `Authorization: Bearer <token or API key>` or from `X-API-Key`. If both headers are
/// present, they must contain the same credential.
///
/// # Errors
/// NOT_AUTHENTICATED for a missing credential, two different credentials, a repeated header, a scheme other than
/// Bearer, or characters that are not visible ASCII.
pub fn credential(headers: &HeaderMap) -> Result<Credential<'_>> {
    find(headers).map_err(|why| not_authenticated(why.into()))
}

fn find(headers: &HeaderMap) -> Result<Credential<'_>, &'static str> {
    let bearer = only(headers, &AUTHORIZATION)?.map(bearer).transpose()?;
    let key = only(headers, &API_KEY)?.map(api_key).transpose()?;
    match (bearer, key) {
        (None, None) => Err("the request has no Authorization header"),
        (Some(one), None) | (None, Some(one)) => Ok(one),
        (Some(one), Some(other)) if one == other => Ok(one),
        (Some(_), Some(_)) => Err("the request has two different credentials"),
    }
}

fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, &'static str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| "the credential is not ASCII text"),
        (Some(_), Some(_)) => Err("the request has more than one credential in a header"),
    }
}

fn api_key(value: &str) -> Result<Credential<'_>, &'static str> {
    word(value).map(Credential::ApiKey)
}

fn bearer(value: &str) -> Result<Credential<'_>, &'static str> {
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
        return Err("the credential is empty or contains an invalid character");
    }
    Ok(text)
}
