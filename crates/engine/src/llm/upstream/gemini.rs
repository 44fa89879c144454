//! The Gemini protocol: `streamGenerateContent` of the Gemini API and Vertex AI (ai.google.dev, "Generating
//! content").
//!
//! Invariant: a thought signature is sent back in the part in which it arrived. A part with a signature is never
//! merged with another part. Gemini 3 refuses calls whose signatures are missing.

mod part;
mod reader;
mod request;
mod schema;

use reqwest::header::{HeaderMap, HeaderName};

use super::{
    profile::Profile,
    protocol::{Protocol, Reader, WireRequest},
};
use crate::llm::ModelRequest;

const API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// Model names with these prefixes are already resource paths.
const COLLECTIONS: &[&str] = &["models/", "tunedModels/", "publishers/", "projects/", "endpoints/"];

pub(super) struct Gemini;

impl Protocol for Gemini {
    fn key_header(&self) -> HeaderName {
        API_KEY
    }

    fn request(&self, request: &ModelRequest, profile: &Profile) -> WireRequest {
        let model = &request.model;
        let is_full = COLLECTIONS.iter().any(|prefix| model.starts_with(prefix));
        let name = if is_full {
            model.clone()
        } else {
            format!("models/{model}")
        };
        let (method, query) = if profile.stream {
            ("streamGenerateContent", vec![("alt", "sse".to_owned())])
        } else {
            ("generateContent", Vec::new())
        };
        WireRequest {
            path: format!("{name}:{method}"),
            query,
            headers: HeaderMap::new(),
            body: request::body(request, profile),
        }
    }

    fn reader(&self, _: &ModelRequest, _: &Profile) -> Box<dyn Reader> {
        Box::new(reader::ContentReader::default())
    }
}
