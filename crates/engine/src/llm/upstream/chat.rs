//! The OpenAI Chat Completions protocol, which many other servers also implement.

mod answer;
mod finish;
mod frame;
mod hung;
mod ids;
mod request;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName};

use self::answer::ChatReader;
use super::{
    profile::Profile,
    protocol::{Protocol, Reader, WireRequest},
};
use crate::llm::ModelRequest;

pub(super) struct Chat;

impl Protocol for Chat {
    fn key_header(&self) -> HeaderName {
        AUTHORIZATION
    }

    fn request(&self, request: &ModelRequest, profile: &Profile) -> WireRequest {
        WireRequest {
            path: "chat/completions".to_owned(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: request::body(request, profile),
        }
    }

    fn reader(&self, request: &ModelRequest, profile: &Profile) -> Box<dyn Reader> {
        Box::new(ChatReader::new(request, profile))
    }
}
