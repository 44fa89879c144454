//! The OpenAI Responses protocol (platform.openai.com, "Responses" and "Streaming events").
//!
//! The provider stores nothing (`store: false`), so each request contains all earlier reasoning, encrypted.
//! Invariant: items keep their order, because the provider refuses a reasoning item without the item that followed
//! it.

mod item;
mod reader;
mod request;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName};

use super::{
    profile::Profile,
    protocol::{Protocol, Reader, WireRequest},
};
use crate::llm::ModelRequest;

pub(super) struct Responses;

impl Protocol for Responses {
    fn key_header(&self) -> HeaderName {
        AUTHORIZATION
    }

    fn request(&self, request: &ModelRequest, profile: &Profile) -> WireRequest {
        WireRequest {
            path: "responses".to_owned(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: request::body(request, profile),
        }
    }

    fn reader(&self, _: &ModelRequest, _: &Profile) -> Box<dyn Reader> {
        Box::new(reader::ResponseReader::default())
    }
}
