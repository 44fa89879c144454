//! The console and the API reference: the files that clients/web was built into, as they are.
//!
//! `build.rs` puts them into the program; `http.console_dir` names a folder that is served instead. A program that was built
//! without them has a page of its own that says how to get them. `wire::stack` asks here after the fixed pages and before
//! the transcoder, and a file in the way of a method of the contract is left out: the contract goes first.

mod asset;

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
use super::http::fault;
use crate::error::{Error, Result};

/// What build.rs found: names relative to the folder, and content.
mod embedded {
    include!(concat!(env!("OUT_DIR"), "/console.rs"));
}

/// The page of a program without a console, for both addresses that people open.
const WITHOUT: &[(&str, &[u8])] = &[
    ("index.html", include_bytes!("site/without.html")),
    ("docs.html", include_bytes!("site/without.html")),
    ("without.css", include_bytes!("site/without.css")),
];

/// The folder whose names carry a hash. What is not in it is answered without asking who wants to know.
const HASHED: &str = "/assets/";
/// What browsers ask for by themselves.
const ICON: &str = "/favicon.ico";
/// What a folder may hold; it is kept in memory.
const MAX_FILES: usize = 4096;
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The files, by the path that they are asked for with.
pub struct Site {
    assets: BTreeMap<String, Asset>,
}

impl Site {
    /// The files of the folder, or of the program, or the page that says where there are some.
    ///
    /// # Errors
    /// INVALID_REQUEST when the folder cannot be read or is not a console.
    pub fn open(folder: Option<&Path>) -> Result<Self> {
        let mut site = Self {
            assets: BTreeMap::new(),
        };
        match folder {
            Some(folder) => site.read(folder)?,
            None => embedded::FILES
                .iter()
                .for_each(|(name, content)| site.add(name, Cow::Borrowed(content))),
        }
        // A console without an API reference is one, too.
        for (name, content) in WITHOUT {
            if !site.has(&format!("/{name}")) {
                site.add(name, Cow::Borrowed(content));
            }
        }
        Ok(site)
    }

    /// The same without the files whose paths belong to somebody else.
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

    /// Whether there is a file at this path.
    pub fn has(&self, path: &str) -> bool {
        self.assets.contains_key(path)
    }

    /// Whether a path answers without a token: everybody may have the files, and hear that one is not there.
    pub fn is_open(&self, path: &str) -> bool {
        self.has(path) || path.starts_with(HASHED) || path == ICON
    }

    /// The answer to a request, when there is a file at its path.
    pub async fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Option<Response<Body>> {
        let asset = self.assets.get(path)?;
        Some(match *method {
            Method::GET => asset.answer(headers).await,
            Method::HEAD => asset::without_body(asset.answer(headers).await),
            _ => fault::method_not_allowed("GET, HEAD"),
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
                            "http.console_dir: {} is too large for a console",
                            root.display()
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
