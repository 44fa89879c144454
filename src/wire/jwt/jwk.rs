//! Reads a JWK, a public key in JSON (RFC 7517 and RFC 7518).
//!
//! A JWK without `alg` supports every signature algorithm of its type.

use aws_lc_rs::{encoding::AsDer, signature::RsaPublicKeyComponents};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;

use super::{
    algorithms::{self, Algorithm},
    keys::Key,
};

/// Permitted sizes of an RSA modulus in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

#[derive(Deserialize)]
pub(super) struct Jwk {
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

impl Jwk {
    /// Converts the JWK to a key. Returns `None` for an encryption key.
    pub(super) fn into_key(self) -> Result<Option<Key>, String> {
        match self.used_for.as_deref() {
            None | Some("sig") => {}
            Some("enc") => return Ok(None),
            Some(other) => return Err(format!("its use is {other:?}, not \"sig\"")),
        }
        if let Some(ops) = &self.key_ops
            && !ops.iter().any(|op| op == "verify")
        {
            return Err("its key_ops do not include \"verify\"".into());
        }
        let (algorithms, public) = self.public_key()?;
        let named = |algorithm: &&Algorithm| {
            let alg = self.alg.as_deref();
            alg.is_none_or(|alg| algorithm.names.contains(&alg))
        };
        let allowed: Vec<_> = algorithms.iter().filter(named).collect();
        if allowed.is_empty() {
            return Err(format!(
                "the algorithm {:?} is not supported for this type of key",
                self.alg.unwrap_or_default()
            ));
        }
        Key::new(self.kid, &allowed, &public).map(Some)
    }

    /// Returns the algorithms of the key's type, and the public key in the encoding that these algorithms require.
    fn public_key(&self) -> Result<(&'static [Algorithm], Vec<u8>), String> {
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => Ok((&algorithms::RSA, self.rsa()?)),
            ("EC", Some("P-256")) => Ok((&algorithms::P256, self.point(32)?)),
            ("EC", Some("P-384")) => Ok((&algorithms::P384, self.point(48)?)),
            ("EC", Some("P-521")) => Ok((&algorithms::P521, self.point(66)?)),
            ("OKP", Some("Ed25519")) => Ok((&algorithms::ED25519, self.ed25519()?)),
            ("EC" | "OKP", curve) => Err(format!("the curve {:?} is not supported", curve.unwrap_or_default())),
            ("oct", _) => Err("it is a secret; a JWKS may contain only public keys".into()),
            (other, _) => Err(format!("the key type {other:?} is not supported")),
        }
    }

    fn rsa(&self) -> Result<Vec<u8>, String> {
        let (n, e) = (number("n", self.n.as_deref())?, number("e", self.e.as_deref())?);
        let bits = n
            .first()
            .map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) {
            return Err(format!(
                "it has {bits} bits; an RSA key must have {} to {}",
                RSA_BITS.start(),
                RSA_BITS.end()
            ));
        }
        let der = RsaPublicKeyComponents { n, e }.as_der();
        der.map(|der| der.as_ref().to_vec())
            .map_err(|_| "its parameters do not form a valid public key".to_owned())
    }

    /// Returns an elliptic-curve key as an uncompressed point (SEC 1). `size` is the size of a coordinate in bytes.
    fn point(&self, size: usize) -> Result<Vec<u8>, String> {
        let mut point = vec![4];
        for (name, text) in [("x", &self.x), ("y", &self.y)] {
            let number = number(name, text.as_deref())?;
            let missing = size.checked_sub(number.len());
            let missing = missing.ok_or_else(|| format!("{name} is longer than {size} bytes"))?;
            point.resize(point.len() + missing, 0);
            point.extend(number);
        }
        Ok(point)
    }

    fn ed25519(&self) -> Result<Vec<u8>, String> {
        let bytes = decode("x", self.x.as_deref())?;
        if bytes.len() == 32 {
            Ok(bytes)
        } else {
            Err("x must be 32 bytes".into())
        }
    }
}

fn decode(name: &str, text: Option<&str>) -> Result<Vec<u8>, String> {
    let text = text.ok_or_else(|| format!("{name} is missing"))?;
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|error| format!("{name} is not base64url: {error}"))
}

/// Decodes a big-endian number and removes leading zeros, because only some providers pad numbers.
fn number(name: &str, text: Option<&str>) -> Result<Vec<u8>, String> {
    let mut bytes = decode(name, text)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Ok(bytes.split_off(zeros))
}
