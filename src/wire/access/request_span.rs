//! The span of a request in a trace. It lasts until the whole response is sent.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Body, Bytes};
use http::{Method, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use opentelemetry_http::HeaderExtractor;

use super::{Refusal, cut};
use crate::{telemetry::traces::Span, wire::stack::PROBES};

/// Starts the span. Probes have none, because they would fill the traces of an idle server.
pub(super) fn of(request: &Request<Body>) -> Span {
    let path = request.uri().path();
    if PROBES.contains(&path) {
        return Span::default();
    }
    Span::request(method(request.method()), cut(path), &HeaderExtractor(request.headers()))
}

/// The semantic conventions call every other method `_OTHER`. A client may send any text as a method.
fn method(method: &Method) -> &str {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE | Method::OPTIONS => {
            method.as_str()
        }
        _ => "_OTHER",
    }
}

/// Records the outcome, and keeps the span open until the body is sent or dropped.
pub(super) fn answered(span: Span, response: Response<Body>, refusal: Option<&Refusal>) -> Response<Body> {
    if !span.is_open() {
        return response;
    }
    let code = refusal.map(|refusal| refusal.code.as_str());
    span.answered(response.status().as_u16(), code, refusal.is_some_and(Refusal::is_ours));
    response.map(|body| Body::new(Spanned { body, _span: span }))
}

struct Spanned {
    body: Body,
    /// Ends when it is dropped.
    _span: Span,
}

impl HttpBody for Spanned {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
