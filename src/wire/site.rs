//! The console and the API reference, built from clients/web and served unchanged.
//!
//! `build.rs` embeds the files in the program, and the files in `http.console_dir` replace them. If there are no
//! files, a page explains how to build them. A method of the contract takes precedence over a file with the same
//! path. `/console.json` tells the console how its user signs in.

mod asset;
mod sign_in;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use axum::body::Body;
use http::{HeaderMap, Method, Response};
use tracing::warn;

use self::asset::Asset;
pub use self::sign_in::SignIn;
use super::fault;
use crate::error::{Error, Result};

/// The embedded files, with paths relative to the build folder of the console.
mod embedded {
    include!(concat!(env!("OUT_DIR"), "/console.rs"));
}

/// The page that explains how to build the console and the API reference.
const WITHOUT: &[(&str, &[u8])] = &[
    ("index.html", include_bytes!("site/without.html")),
    ("docs.html", include_bytes!("site/without.html")),
    ("without.css", include_bytes!("site/without.css")),
];

/// The folder of files with a hash in their names. A missing file in this folder is reported as 404, even to a client
/// without a credential.
const HASHED: &str = "/assets/";
/// The path of the icon that browsers request automatically.
const ICON: &str = "/favicon.ico";
/// The path of the settings of the console.
const SETTINGS: &str = "/console.json";
const MAX_FILES: usize = 4096;
const MAX_BYTES: u64 = 64 * 1024 * 1024;

pub struct Site {
    assets: BTreeMap<String, Asset>,
    sign_in: Option<SignIn>,
}

impl Site {
    /// Loads the files of `folder` or the embedded files. If the console or the API reference is missing, adds a page
    /// that explains how to build the files.
    ///
    /// # Errors
    /// INVALID_REQUEST if the folder cannot be read or contains no console.
    pub fn open(folder: Option<&Path>) -> Result<Self> {
        let mut site = Self {
            assets: BTreeMap::new(),
            sign_in: None,
        };
        match folder {
            Some(folder) => site.read(folder)?,
            None => embedded::FILES
                .iter()
                .for_each(|(name, content)| site.add(name, Cow::Borrowed(content))),
        }
        // `folder` may contain no API reference, and a program may be built without the site.
        for (name, content) in WITHOUT {
            if !site.has(&format!("/{name}")) {
                site.add(name, Cow::Borrowed(content));
            }
        }
        Ok(site)
    }

    /// Removes files whose paths belong to methods of the contract.
    #[must_use]
    pub fn without(mut self, is_taken: impl Fn(&str) -> bool) -> Self {
        self.assets.retain(|path, _| {
            let taken = is_taken(path);
            if taken {
                warn!(path, "skipped a console file whose path belongs to an API method");
            }
            !taken
        });
        self
    }

    /// Without `sign_in`, the console accepts only a token that the user enters.
    #[must_use]
    pub fn with_sign_in(mut self, sign_in: Option<SignIn>) -> Self {
        self.sign_in = sign_in;
        self
    }

    pub fn has(&self, path: &str) -> bool {
        self.assets.contains_key(path)
    }

    /// Returns true if a request for this path needs no credential. Missing icons and assets need none either, so
    /// that the response is 404 and not 401.
    pub fn is_open(&self, path: &str) -> bool {
        self.has(path) || path.starts_with(HASHED) || path == ICON || path == SETTINGS
    }

    pub async fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Option<Response<Body>> {
        let asset = self.assets.get(path);
        if asset.is_none() && path != SETTINGS {
            return None;
        }
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Some(fault::method_not_allowed("GET, HEAD"));
        }
        let answer = match asset {
            Some(asset) if path != SETTINGS => {
                let token_origin = match &self.sign_in {
                    Some(sign_in) if asset.is_page() => sign_in.token_origin().await,
                    _ => None,
                };
                asset.answer(headers, token_origin.as_deref()).await
            }
            _ => sign_in::settings(self.sign_in.as_ref()).await,
        };
        Some(if *method == Method::HEAD {
            asset::without_body(answer)
        } else {
            answer
        })
    }

    fn add(&mut self, name: &str, content: Cow<'static, [u8]>) {
        let asset = Asset::new(name, content);
        let other = match name {
            "index.html" => Some("/"),
            "docs.html" => Some("/docs"),
            _ => None,
        };
        if let Some(path) = other {
            self.assets.insert(path.to_owned(), asset.clone());
        }
        self.assets.insert(format!("/{name}"), asset);
    }

    fn read(&mut self, root: &Path) -> Result<()> {
        let unreadable = |path: &Path, error: std::io::Error| {
            Error::invalid(format!("http.console_dir: {} cannot be read: {error}", path.display()))
        };
        let mut folders = vec![PathBuf::new()];
        let mut bytes = 0;
        while let Some(folder) = folders.pop() {
            let here = root.join(&folder);
            for entry in fs::read_dir(&here).map_err(|error| unreadable(&here, error))? {
                let entry = entry.map_err(|error| unreadable(&here, error))?;
                let kind = entry.file_type().map_err(|error| unreadable(&entry.path(), error))?;
                let name = folder.join(entry.file_name());
                if kind.is_dir() {
                    folders.push(name);
                } else if kind.is_file() {
                    let path = entry.path();
                    let content = fs::read(&path).map_err(|error| unreadable(&path, error))?;
                    bytes += content.len() as u64;
                    if bytes > MAX_BYTES || self.assets.len() >= MAX_FILES {
                        return Err(Error::invalid(format!(
                            "http.console_dir: {} is too large for a console: the maximum is {MAX_FILES} files and \
                             {} MiB",
                            root.display(),
                            MAX_BYTES >> 20
                        )));
                    }
                    self.add(&name.to_string_lossy(), Cow::Owned(content));
                }
            }
        }
        if self.has("/index.html") {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "http.console_dir: {} has no index.html; build one with `make console`",
            root.display()
        )))
    }
}
