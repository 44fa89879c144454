//! The public keys that verify tokens. Invariant: a key's algorithms are determined when the key is read, and the key
//! verifies tokens only with these algorithms.

use aws_lc_rs::signature::ParsedPublicKey;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Refusal,
    algorithms::{self, Algorithm},
    header::Header,
    jwk::Jwk,
    verified::VerifiedTokens,
};

const MAX_TRIED: usize = 16;
const MAX_LISTED: usize = 10;
/// Maximum length of a key id in a report, in bytes.
const MAX_LISTED_ID: usize = 64;

pub(super) struct Key {
    kid: Option<String>,
    algorithms: Vec<(&'static Algorithm, ParsedPublicKey)>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl Key {
    /// Parses the key once for each algorithm in `allowed`.
    pub(super) fn new(kid: Option<String>, allowed: &[&'static Algorithm], public: &[u8]) -> Result<Self, String> {
        let parse = |algorithm: &&'static Algorithm| {
            let parsed = ParsedPublicKey::new(algorithm.verification, public);
            parsed.map(|parsed| (*algorithm, parsed))
        };
        let algorithms = allowed.iter().map(parse).collect::<Result<_, _>>();
        algorithms
            .map(|algorithms| Self { kid, algorithms })
            .map_err(|error| format!("its parameters do not form a valid public key: {error}"))
    }

    fn with_algorithm(&self, name: &str) -> Option<&ParsedPublicKey> {
        let mut algorithms = self.algorithms.iter();
        let found = algorithms.find(|(algorithm, _)| algorithm.names.contains(&name));
        found.map(|(_, parsed)| parsed)
    }
}

/// The usable keys of a JWKS, and its problems: skipped keys and keys that share a key id.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    keys: Vec<Key>,
    problems: Vec<String>,
    /// The tokens that were verified while these keys were in use.
    pub(super) verified: VerifiedTokens,
}

#[derive(Deserialize)]
struct Document {
    keys: Option<Vec<Value>>,
}

impl KeySet {
    /// Parses a JWKS. Skips keys that cannot verify tokens.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let document: Document =
            serde_json::from_str(text).map_err(|error| format!("the document is not a JWKS: {error}"))?;
        let values = document
            .keys
            .ok_or("the document is not a JWKS: it has no list \"keys\"")?;
        let mut set = Self::default();
        for (position, value) in values.into_iter().enumerate() {
            let label = label(position, &value);
            let read = serde_json::from_value::<Jwk>(value).map_err(|error| error.to_string());
            match read.and_then(Jwk::into_key) {
                Ok(Some(key)) => set.add(key, &label),
                Ok(None) => tracing::debug!(key = label, "skipped a JWKS key for encryption"),
                Err(why) => set.problems.push(format!("{label}: {why}")),
            }
        }
        if set.is_empty() {
            let reasons = set
                .problems()
                .map(|problems| format!(": {problems}"))
                .unwrap_or_default();
            return Err(format!("the JWKS has no key that can verify tokens{reasons}"));
        }
        Ok(set)
    }

    fn add(&mut self, key: Key, label: &str) {
        if key.kid.is_some() && self.keys.iter().any(|known| known.kid == key.kid) {
            self.problems
                .push(format!("{label}: another key has the same key id; both are tried"));
        }
        self.keys.push(key);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn problems(&self) -> Option<String> {
        let more = self.problems.len().saturating_sub(MAX_LISTED);
        let listed = self.problems.iter().take(MAX_LISTED).cloned();
        let lines: Vec<_> = listed.chain((more > 0).then(|| format!("and {more} more"))).collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }

    /// Verifies a signature over `signed`. If the header has a key id, the keys with this id are tried. If no key has
    /// this id, the keys without an id are tried. If the header has no key id, all keys are tried. In each case, at
    /// most [`MAX_TRIED`] keys are tried.
    ///
    /// # Errors
    /// [`Refusal::UnknownKey`] if the issuer may have another key that verifies the token. [`Refusal::Invalid`]
    /// otherwise.
    pub(super) fn verify(&self, header: &Header, signed: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        let alg = header.alg.as_str();
        if !algorithms::is_known(alg) {
            return Err(Refusal::Invalid(format!("the algorithm {alg:?} is not supported")));
        }
        let is_named = header.kid.is_some() && self.keys.iter().any(|key| key.kid == header.kid);
        let selected = self.keys.iter().filter(|key| match &header.kid {
            Some(_) if is_named => key.kid == header.kid,
            Some(_) => key.kid.is_none(),
            None => true,
        });
        let mut tried = 0;
        for key in selected.filter_map(|key| key.with_algorithm(alg)).take(MAX_TRIED) {
            if key.verify_sig(signed, signature).is_ok() {
                return Ok(());
            }
            tried += 1;
        }
        Err(match (is_named, tried) {
            (true, 0) => Refusal::Invalid(format!("the key that the token names is not for the algorithm {alg:?}")),
            (true, _) => Refusal::Invalid("invalid signature".into()),
            (false, 0) => Refusal::UnknownKey("no key matches the token".into()),
            (false, _) => Refusal::UnknownKey("no key verifies the signature".into()),
        })
    }
}

fn label(position: usize, value: &Value) -> String {
    match value.get("kid").and_then(Value::as_str) {
        Some(kid) => format!("key {position} ({:?})", &kid[..kid.floor_char_boundary(MAX_LISTED_ID)]),
        None => format!("key {position}"),
    }
}
