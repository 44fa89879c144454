//! The Anthropic Messages protocol (docs.anthropic.com, "Messages" and "Streaming messages").
//!
//! Invariant: blocks with thinking, redacted thinking and server tool calls are sent back unchanged, because a change
//! would invalidate their signatures.

mod blocks;
mod reader;
mod request;
mod thinking;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::{
    profile::Profile,
    protocol::{Protocol, Reader, WireRequest},
};
use crate::llm::ModelRequest;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const VERSION: HeaderName = HeaderName::from_static("anthropic-version");

pub(super) struct Anthropic;

impl Protocol for Anthropic {
    fn key_header(&self) -> HeaderName {
        API_KEY
    }

    fn request(&self, request: &ModelRequest, profile: &Profile) -> WireRequest {
        let mut headers = HeaderMap::new();
        headers.insert(VERSION, HeaderValue::from_static("2023-06-01"));
        WireRequest {
            path: "messages".to_owned(),
            query: Vec::new(),
            headers,
            body: request::body(request, profile),
        }
    }

    fn reader(&self, _: &ModelRequest, _: &Profile) -> Box<dyn Reader> {
        Box::new(reader::MessageReader::default())
    }
}
