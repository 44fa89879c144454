//! Reads the query of a request. Ignores parameters that link trackers and HTTP libraries add, such as `utm_source`
//! and `_`.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::{Draft, given_twice, unknown::Place};
use crate::{
    Error, Result,
    json::{Cardinality, FieldKind},
    route::{Alias, BodyRule},
};

impl<'r> Draft<'r> {
    /// Sets fields from the query. Returns the aliases in the query, which the caller applies later.
    pub(super) fn query(&mut self, query: &str) -> Result<Vec<(&'r Alias, String)>> {
        let mut renamed: Vec<(&Alias, String)> = Vec::new();
        let method = self.method();
        for (key, value) in pairs(query) {
            let key = decode(key).ok_or_else(not_text)?;
            let value = match decode(value) {
                Some(value) => value,
                None if method.keep_bytes.as_deref() == Some(&*key) => keep_bytes(value).into(),
                None => return Err(not_text()),
            };
            let alias = method
                .aliases
                .iter()
                .find(|alias| alias.query.as_deref() == Some(&*key));
            if let Some(alias) = alias {
                if renamed.iter().any(|(other, _)| std::ptr::eq(*other, alias)) {
                    return Err(given_twice(&key));
                }
                renamed.push((alias, value.into_owned()));
                continue;
            }
            let sets_fields = !matches!(self.rule.body, BodyRule::Whole | BodyRule::Raw(None));
            if is_noise(&key) && !(sets_fields && self.has_field(&key)) {
                continue;
            }
            if !sets_fields {
                return Err(self.unknown(&key, Place::Query));
            }
            let (path, field) = self.resolve(&key, Place::Query)?;
            if field.cardinality == Cardinality::Map || matches!(field.kind, FieldKind::Message(_)) {
                return Err(self.unknown(&key, Place::Query));
            }
            self.codec
                .decode_text((method.input, &path), method.dialect, &value, &mut self.wire)?;
            self.given.push(path);
        }
        Ok(renamed)
    }
}

/// Splits a query or urlencoded form into names and values, still percent-encoded.
pub fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Decodes a percent-encoded name or value; `None` if the result is not UTF-8.
pub fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let decoded = String::from_utf8(bytes_of(text));
    decoded.ok().map(Cow::Owned)
}

fn bytes_of(text: &str) -> Vec<u8> {
    percent_decode(text.replace('+', " ").as_bytes()).collect()
}

/// Decodes a value that is not UTF-8. Invalid bytes and percent signs stay percent-encoded.
fn keep_bytes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for chunk in bytes_of(text).utf8_chunks() {
        kept.push_str(&chunk.valid().replace('%', "%25"));
        for byte in chunk.invalid() {
            kept.push_str(percent_encoding::percent_encode_byte(*byte));
        }
    }
    kept
}

fn not_text() -> Error {
    Error::invalid("the query is not UTF-8")
}

/// Parameters that HTTP libraries add to bypass caches, and parameters that link trackers add.
const NOISE: &[&str] = &[
    "_",
    "_t",
    "_ts",
    "_dc",
    "t",
    "ts",
    "cb",
    "rnd",
    "rand",
    "random",
    "nocache",
    "no_cache",
    "no-cache",
    "bust",
    "cachebust",
    "cache_bust",
    "cachebuster",
    "cache_buster",
    "cache-buster",
    "fbclid",
    "gclid",
    "gclsrc",
    "dclid",
    "gbraid",
    "wbraid",
    "msclkid",
    "yclid",
    "ttclid",
    "twclid",
    "li_fat_id",
    "igshid",
    "mc_cid",
    "mc_eid",
    "_ga",
    "_gl",
    "_hsenc",
    "_hsmi",
];

fn is_noise(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("utm_") || NOISE.contains(&name.as_str())
}
