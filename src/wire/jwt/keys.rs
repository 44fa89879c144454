//! The keys that verify tokens, and the part of a token's header that selects a key.
//!
//! Called by `jwt` only. A key has exactly one algorithm, which is determined when the key is read. A JWK may name its
//! algorithm. Otherwise, the key type determines the algorithm. Header members that contain or point to keys (`jku`,
//! `x5u`, `jwk`, `x5c`) are ignored.

use std::{collections::BTreeSet, fs::File, io::Read, path::Path};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use super::claims::{self, Unique};
use crate::error::{Error, Result};

/// Maximum size of a JWKS, in bytes.
pub(super) const MAX_JWKS_BYTES: u64 = 1024 * 1024;
const MIN_RSA_BYTES: usize = 256;
const MAX_KEY_ID_BYTES: usize = 255;

/// The members of a token's header that the verification uses.
pub(super) struct Header {
    pub(super) alg: String,
    kid: Option<String>,
}

impl Header {
    /// Reads a header. Refuses a header with members that change how the token must be interpreted.
    pub(super) fn read(part: &str) -> Result<Self, String> {
        let Unique(members) = claims::decode(part, "header")?;
        // `b64` and `zip` change the signed bytes. `crit` names extensions that the server must support. `enc`
        // indicates a JWE, and `cty` a nested token.
        if let Some(name) = ["crit", "b64", "zip", "enc", "cty"]
            .iter()
            .find(|name| members.contains_key(**name))
        {
            return Err(format!("the header member {name:?} is not supported"));
        }
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(serde_json::Value::String(text)) if text.len() <= MAX_KEY_ID_BYTES => Ok(Some(text.clone())),
            Some(_) => Err(format!(
                "the header member {name} is not a string of up to {MAX_KEY_ID_BYTES} bytes"
            )),
        };
        let alg = text("alg")?.ok_or("the header has no alg")?;
        Ok(Self { alg, kid: text("kid")? })
    }
}

/// A key and its algorithm.
pub(super) struct Key {
    kid: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl Key {
    pub(super) fn from_secret(secret: &[u8]) -> Self {
        Self {
            kid: None,
            algorithm: Algorithm::HS256,
            decoding: DecodingKey::from_secret(secret),
        }
    }

    /// Returns true if the header selects this key. A header with a key id selects by key id. Any other header selects
    /// by algorithm.
    pub(super) fn fits(&self, header: &Header) -> bool {
        match &header.kid {
            Some(kid) => self.kid.as_ref() == Some(kid),
            None => self.allows(&header.alg),
        }
    }

    /// Returns true if the header of a token may name this algorithm when the token is verified with this key.
    pub(super) fn allows(&self, alg: &str) -> bool {
        match self.algorithm {
            Algorithm::HS256 => alg == "HS256",
            Algorithm::RS256 => alg == "RS256",
            Algorithm::ES256 => alg == "ES256",
            // RFC 9864 has added a second name for EdDSA over the curve Ed25519.
            Algorithm::EdDSA => alg == "EdDSA" || alg == "Ed25519",
            _ => false,
        }
    }
}

/// The keys of a JWKS.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<Key>);

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    used_for: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a JWKS file. Keys that cannot verify RS256, ES256 or EdDSA signatures are skipped.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(MAX_JWKS_BYTES + 1).read_to_string(&mut text))
            .map_err(|error| Error::invalid(format!("the JWKS file {name} cannot be read: {error}")))?;
        if text.len() as u64 > MAX_JWKS_BYTES {
            return Err(Error::invalid(format!(
                "the JWKS file {name} is larger than {MAX_JWKS_BYTES} bytes"
            )));
        }
        let keys = Self::parse(&text).map_err(|why| Error::invalid(format!("the JWKS file {name}: {why}")))?;
        if keys.is_empty() {
            return Err(Error::invalid(format!(
                "the JWKS file {name} has no key for RS256, ES256 or EdDSA signatures"
            )));
        }
        Ok(keys)
    }

    /// Parses the text of a JWKS.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let jwks: Jwks = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut keys = Vec::new();
        let mut ids = BTreeSet::new();
        for (position, value) in jwks.keys.into_iter().enumerate() {
            let jwk: Jwk = serde_json::from_value(value).map_err(|error| format!("key {position}: {error}"))?;
            if let Some(kid) = &jwk.kid
                && !ids.insert(kid.clone())
            {
                return Err(format!("the key id {kid:?} occurs twice"));
            }
            if let Some(key) = jwk.into_key().map_err(|why| format!("key {position}: {why}"))? {
                keys.push(key);
            } else {
                tracing::debug!(position, "skipped a JWKS key that cannot verify tokens");
            }
        }
        Ok(Self(keys))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Key> {
        self.0.iter()
    }
}

impl Jwk {
    fn into_key(self) -> Result<Option<Key>, String> {
        let signs = self.used_for.as_deref().is_none_or(|used_for| used_for == "sig");
        let verifies = self
            .key_ops
            .as_ref()
            .is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if !signs || !verifies {
            return Ok(None);
        }
        let algorithm = match (self.kty.as_str(), self.crv.as_deref(), self.alg.as_deref()) {
            ("RSA", _, None | Some("RS256")) => Algorithm::RS256,
            ("EC", Some("P-256"), None | Some("ES256")) => Algorithm::ES256,
            ("OKP", Some("Ed25519"), None | Some("EdDSA" | "Ed25519")) => Algorithm::EdDSA,
            _ => return Ok(None),
        };
        let decoding = match algorithm {
            Algorithm::RS256 => {
                let modulus = coordinate("n", self.n.as_deref())?;
                if modulus.len() < MIN_RSA_BYTES {
                    return Err("an RSA key needs at least 2048 bits".into());
                }
                DecodingKey::from_rsa_raw_components(&modulus, &coordinate("e", self.e.as_deref())?)
            }
            Algorithm::ES256 => {
                let mut point = vec![4];
                point.extend(of_32_bytes("x", self.x.as_deref())?);
                point.extend(of_32_bytes("y", self.y.as_deref())?);
                DecodingKey::from_ec_der(&point)
            }
            _ => DecodingKey::from_ed_der(&of_32_bytes("x", self.x.as_deref())?),
        };
        Ok(Some(Key {
            kid: self.kid,
            algorithm,
            decoding,
        }))
    }
}

fn coordinate(name: &str, text: Option<&str>) -> Result<Vec<u8>, String> {
    let text = text.ok_or_else(|| format!("{name} is missing"))?;
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|error| format!("{name} is not base64url: {error}"))
}

fn of_32_bytes(name: &str, text: Option<&str>) -> Result<Vec<u8>, String> {
    let bytes = coordinate(name, text)?;
    if bytes.len() == 32 {
        Ok(bytes)
    } else {
        Err(format!("{name} must be 32 bytes"))
    }
}
