//! The public methods of the contract, which need no credential (`ACCESS_PUBLIC` in `proto/runyard/v1/access.proto`).
//!
//! Their requests contain a token in the body, because logs and browsers keep paths and queries. `wire::caller` passes
//! their requests without a caller. Their bodies are small, and no cache or search engine may keep their answers.

use std::{collections::HashSet, error::Error as StdError, sync::Arc};

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use runyard_transcode::route::{Router, tree::Verb};
use tonic::Status;

use super::permit;
use crate::error::{Code, Error, Result};

/// Maximum size of a request body in bytes. A request contains one token and one page token.
const MAX_BODY: usize = 64 * 1024;
const ROBOTS: HeaderName = HeaderName::from_static("x-robots-tag");

/// The requests that reach public methods, over every protocol.
pub struct Public {
    requests: HashSet<(Method, String)>,
}

impl Public {
    /// Reads the rules of the contract. Only paths without variables count, so that an exact comparison finds them.
    pub fn of(router: &Router) -> Self {
        let mut requests = HashSet::new();
        for rule in router.rules() {
            if permit::scope(&rule.method.descriptor).is_some() || rule.path.contains('{') {
                continue;
            }
            // gRPC, gRPC-Web and Connect.
            requests.insert((Method::POST, rule.method.path.path().to_owned()));
            if let Verb::Only(verb) = &rule.verb {
                requests.insert((verb.clone(), rule.path.clone()));
                requests.insert((verb.clone(), format!("{}{}", rule.method.prefix, rule.path)));
            }
        }
        Self { requests }
    }

    pub fn contains<B>(&self, request: &Request<B>) -> bool {
        let path = request.uri().path();
        let is_same = |(method, public): &(Method, String)| method == request.method() && public == path;
        // The set has a few entries, and a search by value would need a copy of the path.
        self.requests.iter().any(is_same)
    }
}

/// Refuses a request whose headers announce a large body.
///
/// # Errors
/// `TOO_LARGE`.
pub fn bounded(headers: &HeaderMap) -> Result<()> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|text| text.to_str().ok());
    if length
        .and_then(|text| text.parse::<u64>().ok())
        .is_some_and(|length| length > MAX_BODY as u64)
    {
        return Err(too_large());
    }
    Ok(())
}

fn too_large() -> Error {
    Error::new(
        Code::TooLarge,
        format!("the maximum body size of this method is {MAX_BODY} bytes"),
    )
}

/// Limits a body whose size the headers do not tell.
pub fn limited(request: Request<Body>) -> Request<Body> {
    // gRPC answers with a status that it finds in the error of a body, and the transcoder finds the library's error.
    let refuse = |error: Box<dyn StdError + Send + Sync>| -> Box<dyn StdError + Send + Sync> {
        if !error.is::<LengthLimitError>() {
            return error;
        }
        let mut status = Status::from(too_large());
        status.set_source(Arc::from(error));
        status.into()
    };
    request.map(|body| Body::new(Limited::new(body, MAX_BODY).map_err(refuse)))
}

/// Keeps the answer out of caches and search engines.
pub fn unlisted(mut answer: Response<Body>) -> Response<Body> {
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(ROBOTS, HeaderValue::from_static("noindex, nofollow"));
    answer
}
