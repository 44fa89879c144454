//! The source of the public keys: a file, a URL, or the discovery document of an issuer.
//!
//! The discovery document is fetched before each load of the keys, because the URL of the keys may change.

use std::{
    fmt,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use reqwest::Url;

use super::{
    discovery::{self, Endpoints},
    keys::KeySet,
    remote::{Fetcher, MAX_DOCUMENT_BYTES},
};
use crate::{
    blocking,
    config::Auth,
    error::{Error, Result},
};

#[derive(Debug)]
pub(super) enum Source {
    File(PathBuf),
    Jwks(Fetcher, Url),
    /// The issuer, and the URL of its discovery document.
    Issuer(Fetcher, String, Url),
}

#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) keys: KeySet,
    /// `None` if the source is not an issuer. Otherwise the endpoints, or the reason why the document permits no sign-in.
    pub(super) endpoints: Option<Result<Endpoints, String>>,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Jwks(_, url) => url.fmt(f),
            Self::Issuer(_, issuer, _) => issuer.fmt(f),
        }
    }
}

impl Source {
    /// Returns the configured source; `None` if no public keys are configured.
    ///
    /// # Errors
    /// INVALID_REQUEST if the settings contradict each other or a URL is not permitted; INTERNAL if the TLS library
    /// cannot be set up.
    pub(super) fn of(auth: &Auth) -> Result<Option<Self>> {
        let fetcher = || Fetcher::new(auth.allow_private_http);
        match (&auth.jwks_file, &auth.jwks_url, &auth.issuer_url) {
            (None, None, None) => Ok(None),
            (Some(path), None, None) => Ok(Some(Self::File(path.clone()))),
            (None, Some(url), None) => {
                let fetcher = fetcher()?;
                let url = fetcher.check(url).map_err(refused("auth.jwks_url"))?;
                Ok(Some(Self::Jwks(fetcher, url)))
            }
            (None, None, Some(issuer)) => {
                let fetcher = fetcher()?;
                let url = discovery::url_of(&fetcher, issuer).map_err(refused("auth.issuer_url"))?;
                if auth.issuer.as_ref().is_some_and(|other| other != issuer) {
                    return Err(Error::invalid(
                        "auth.issuer and auth.issuer_url differ; remove auth.issuer",
                    ));
                }
                Ok(Some(Self::Issuer(fetcher, issuer.clone(), url)))
            }
            _ => Err(Error::invalid(
                "auth.jwks_file, auth.jwks_url and auth.issuer_url are mutually exclusive; set only one of them",
            )),
        }
    }

    /// Loads the keys and, from an issuer, the endpoints.
    pub(super) async fn load(&self) -> Result<Loaded, String> {
        let (keys, endpoints) = match self {
            Self::File(path) => {
                let path = path.clone();
                let read = blocking::run("reading the JWKS file failed", move || read_file(&path)).await;
                (read.map_err(|error| error.message().to_owned())?, None)
            }
            Self::Jwks(fetcher, url) => (fetch_keys(fetcher, url).await?, None),
            Self::Issuer(fetcher, issuer, url) => {
                let text = fetcher.get(url).await?;
                let document = discovery::read(fetcher, issuer, &text).map_err(|why| format!("{url}: {why}"))?;
                (fetch_keys(fetcher, &document.keys).await?, Some(document.endpoints))
            }
        };
        Ok(Loaded { keys, endpoints })
    }
}

fn refused(setting: &'static str) -> impl Fn(String) -> Error {
    move |why| Error::invalid(format!("{setting}: {why}"))
}

/// Reads a JWKS file.
///
/// # Errors
/// INVALID_REQUEST if the file is too large, cannot be read or contains no usable key.
pub(super) fn read_file(path: &Path) -> Result<KeySet> {
    let name = path.display();
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_DOCUMENT_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| Error::invalid(format!("the JWKS file {name} cannot be read: {error}")))?;
    if text.len() as u64 > MAX_DOCUMENT_BYTES {
        return Err(Error::invalid(format!(
            "the JWKS file {name} is larger than {MAX_DOCUMENT_BYTES} bytes"
        )));
    }
    KeySet::parse(&text).map_err(|why| Error::invalid(format!("the JWKS file {name}: {why}")))
}

async fn fetch_keys(fetcher: &Fetcher, url: &Url) -> Result<KeySet, String> {
    let text = fetcher.get(url).await?;
    KeySet::parse(&text).map_err(|why| format!("{url}: {why}"))
}
