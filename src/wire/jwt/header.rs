//! Reads the header of a token, before the signature is verified. A header can select a configured key, but cannot
//! add one. Members that contain keys or their URLs (`jku`, `x5u`, `jwk`, `x5c`) are ignored.

use serde_json::Value;

use super::claims::{self, Unique};

pub(super) struct Header {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
}

impl Header {
    /// Reads a header. Refuses members that change how the token must be interpreted.
    pub(super) fn read(part: &str) -> Result<Self, String> {
        let Unique(members) = claims::decode(part, "header")?;
        // `b64` and `zip` change the signed bytes. `crit` names extensions that the server must support. `enc` marks
        // an encrypted token (JWE), `cty` a nested token.
        if let Some(name) = ["crit", "b64", "zip", "enc", "cty"]
            .iter()
            .find(|name| members.contains_key(**name))
        {
            return Err(format!("the header member {name:?} is not supported"));
        }
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(format!("the header member {name} is not a string")),
        };
        let alg = text("alg")?.ok_or("the header has no alg")?;
        Ok(Self { alg, kid: text("kid")? })
    }
}
