//! Header values of MCP servers. The values are secrets: they are stored encrypted, never returned and never logged.
//!
//! The API returns the placeholder [`MASK`] instead of a value. A request with the placeholder keeps the stored
//! value, if the server's name and origin are unchanged. A stored value is therefore never sent to another server.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::{Origin, Url};
use uuid::Uuid;

use super::Server;
use crate::{
    error::{Error, Result},
    secrets::{Secrets, sealed_size},
};

pub const MASK: &str = "***";

#[derive(Clone, Deserialize, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Header {
    /// The encrypted value.
    Sealed { sealed: String },
    /// An unencrypted value: from a request, where it may be the placeholder, or stored by an earlier version of the
    /// service.
    Plain(String),
}

impl Header {
    pub(super) fn plain(&self) -> Option<&String> {
        match self {
            Self::Sealed { .. } => None,
            Self::Plain(value) => Some(value),
        }
    }

    pub(super) fn size(&self) -> usize {
        match self {
            Self::Sealed { sealed } => sealed_size(sealed),
            Self::Plain(value) => value.len(),
        }
    }

    fn open(&self, secrets: &Secrets, context: &[u8]) -> Option<SecretString> {
        match self {
            Self::Sealed { sealed } => secrets.open_sealed(context, sealed),
            Self::Plain(value) => Some(SecretString::from(value.clone())),
        }
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Encrypts the header values of `servers`. A placeholder, or a value equal to the one in `stored`, becomes the
/// stored value. Servers without changes then compare as equal.
///
/// # Errors
/// INVALID_REQUEST if no value is stored for a placeholder.
pub fn seal(secrets: &Secrets, account_id: Uuid, servers: &mut [Server], stored: &[Server]) -> Result<()> {
    for server in servers {
        let earlier = stored
            .iter()
            .find(|earlier| earlier.name == server.name && origin(earlier) == origin(server));
        for (name, value) in &mut server.headers {
            let Header::Plain(text) = &*value else { continue };
            let context = context(account_id, name);
            let kept = earlier.and_then(|earlier| earlier.headers.get(name));
            let is_kept = |kept: &Header| {
                let opened = kept.open(secrets, &context);
                text == MASK || opened.is_some_and(|opened| opened.expose_secret() == text)
            };
            *value = match kept {
                Some(kept @ Header::Sealed { .. }) if is_kept(kept) => kept.clone(),
                Some(Header::Plain(earlier)) if text == MASK => sealed(secrets, &context, earlier)?,
                None if text == MASK => {
                    let server = &server.name;
                    return Err(Error::invalid(format!(
                        "MCP server {server:?}: no value is stored for the header {name} and this url; send the value instead \
                         of the placeholder {MASK}"
                    )));
                }
                _ => sealed(secrets, &context, text)?,
            };
        }
    }
    Ok(())
}

/// Decrypts the header values of a server. If a value cannot be decrypted, for example because the encryption key
/// has changed, fails with the name of that header.
pub fn opened(secrets: &Secrets, account_id: Uuid, server: &Server) -> Result<Vec<(String, SecretString)>, String> {
    let open = |(name, value): (&String, &Header)| {
        let opened = value.open(secrets, &context(account_id, name));
        opened.map(|value| (name.clone(), value)).ok_or_else(|| name.clone())
    };
    server.headers.iter().map(open).collect()
}

/// Replaces each header value with the placeholder.
pub fn masked(servers: &[Server]) -> Vec<Server> {
    let mut masked = servers.to_vec();
    for value in masked.iter_mut().flat_map(|server| server.headers.values_mut()) {
        *value = Header::Plain(MASK.to_owned());
    }
    masked
}

fn sealed(secrets: &Secrets, context: &[u8], value: &str) -> Result<Header> {
    let sealed = secrets.seal(context, value)?;
    Ok(Header::Sealed { sealed })
}

fn context(account_id: Uuid, name: &str) -> Vec<u8> {
    [b"mcp header ", account_id.as_bytes().as_slice(), name.as_bytes()].concat()
}

fn origin(server: &Server) -> Option<Origin> {
    Url::parse(&server.url).ok().map(|url| url.origin())
}
