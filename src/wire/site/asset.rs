//! One file of the site, with its headers for caching and security.

use std::{
    borrow::Cow,
    io::Write,
    sync::{Arc, OnceLock},
};

use axum::body::Body;
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use tokio::sync::OnceCell;

/// `Cache-Control` of files with a hash in their names. The content of these files never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// `Cache-Control` of all other files. Clients must revalidate a cached copy before each use.
const ASK_AGAIN: &str = "no-cache";
/// Minimum size in bytes of a file to compress. Compressing smaller files saves little.
const MIN_COMPRESSED: usize = 1024;
const MIN_HASH: usize = 8;

/// The content security policy of a page: resources from the same origin, and images from `data:` and `blob:` URLs. The
/// console also calls the token endpoint of the identity provider, if the user signs in there.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
     connect-src 'self'; font-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'";
const CONNECT: &str = "connect-src 'self'";
const NO_PERMISSIONS: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

#[derive(Clone)]
pub(super) struct Asset(Arc<Content>);

struct Content {
    kind: HeaderValue,
    /// The entity tag, without quotes and encoding suffix. The tag is computed on first use, so that the server
    /// starts faster.
    tag: OnceLock<String>,
    keeping: &'static str,
    is_page: bool,
    plain: Bytes,
    /// The content in gzip, compressed on first use. `None` if gzip does not make the content smaller.
    gzip: OnceCell<Option<Bytes>>,
}

impl Asset {
    /// Creates an asset. `name`, the path in the site's folder, determines the content type and the caching rules.
    pub(super) fn new(name: &str, content: Cow<'static, [u8]>) -> Self {
        let plain = match content {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => Bytes::from(bytes),
        };
        let kind = content_type(name);
        Self(Arc::new(Content {
            gzip: if is_text(&kind) && plain.len() >= MIN_COMPRESSED {
                OnceCell::new()
            } else {
                OnceCell::new_with(Some(None))
            },
            is_page: kind.starts_with("text/html"),
            kind: HeaderValue::from_str(&kind).unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream")),
            tag: OnceLock::new(),
            keeping: if has_hash(name) { FOR_EVER } else { ASK_AGAIN },
            plain,
        }))
    }

    pub(super) fn is_page(&self) -> bool {
        self.0.is_page
    }

    /// Returns the response to GET. If the client's copy is current, the status is 304. If the client accepts gzip,
    /// the content is compressed. A page may also send requests to `token_origin`, which is `None` for other files.
    pub(super) async fn answer(&self, request: &HeaderMap, token_origin: Option<&str>) -> Response<Body> {
        let content = &self.0;
        let small = if accepts_gzip(request) {
            self.gzipped().await
        } else {
            None
        };
        let tag = content
            .tag
            .get_or_init(|| blake3::hash(&content.plain).to_hex()[..16].to_owned());
        // A cached page keeps its policy, so a page with another policy needs another tag.
        let policy = token_origin.map_or_else(String::new, |origin| {
            format!("-{}", &blake3::hash(origin.as_bytes()).to_hex()[..8])
        });
        let coding = if small.is_some() { "-gzip" } else { "" };
        let tag = format!("\"{tag}{policy}{coding}\"");
        let unchanged = is_known(request, &tag);
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        let mut say = |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
        say(header::CACHE_CONTROL, content.keeping);
        say(header::VARY, "accept-encoding");
        say(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        say(RESOURCE_POLICY, "same-origin");
        if content.is_page {
            say(header::CONTENT_SECURITY_POLICY, POLICY);
            say(header::REFERRER_POLICY, "no-referrer");
            say(OPENER_POLICY, "same-origin");
            say(PERMISSIONS_POLICY, NO_PERMISSIONS);
        }
        if let Some(origin) = token_origin
            && let Ok(policy) = HeaderValue::from_str(&POLICY.replace(CONNECT, &format!("{CONNECT} {origin}")))
        {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(header::ETAG, tag);
        }
        if unchanged {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        headers.insert(header::CONTENT_TYPE, content.kind.clone());
        let body = match small {
            Some(small) => {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                small
            }
            None => content.plain.clone(),
        };
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        *response.body_mut() = Body::from(body);
        response
    }

    async fn gzipped(&self) -> Option<Bytes> {
        let compressed = self.0.gzip.get_or_init(async || {
            let plain = self.0.plain.clone();
            tokio::task::spawn_blocking(move || compress(&plain))
                .await
                .ok()
                .flatten()
        });
        compressed.await.clone()
    }
}

/// Removes the body for HEAD. The headers of HEAD and GET are the same.
pub(super) fn without_body(response: Response<Body>) -> Response<Body> {
    response.map(|_| Body::empty())
}

fn compress(plain: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).ok()?;
    let small = encoder.finish().ok()?;
    (small.len() < plain.len()).then(|| small.into())
}

fn content_type(name: &str) -> String {
    let essence = mime_guess::from_path(name)
        .first_or_octet_stream()
        .essence_str()
        .to_owned();
    if is_text(&essence) {
        format!("{essence}; charset=utf-8")
    } else {
        essence
    }
}

fn is_text(kind: &str) -> bool {
    kind.starts_with("text/") || ["javascript", "json", "svg+xml"].iter().any(|word| kind.contains(word))
}

/// Returns true if a name contains a hash in Vite's format, such as `assets/index-BxT5a0uZ.js`.
fn has_hash(name: &str) -> bool {
    let Some(file) = name.strip_prefix("assets/") else {
        return false;
    };
    let stem = file.split('.').next().unwrap_or_default();
    // The hash may contain hyphens, so everything after the first hyphen counts as the hash.
    stem.split_once('-').is_some_and(|(_, hash)| hash.len() >= MIN_HASH)
}

/// Returns true if `Accept-Encoding` contains gzip with a weight other than 0 (RFC 9110, 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut codings = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','));
    codings.any(|coding| {
        let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
        let quality = parameters
            .trim()
            .strip_prefix("q=")
            .and_then(|quality| quality.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && quality != Some(0.0)
    })
}

/// Returns true if `If-None-Match` contains the tag, so that the client's copy is current (RFC 9110, 13.1.2).
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let lists = headers.get_all(header::IF_NONE_MATCH).iter();
    let mut tags = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','));
    tags.any(|known| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    })
}
