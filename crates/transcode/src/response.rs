//! Converts gRPC responses to HTTP: a single message, or a stream of raw bytes.
//!
//! A service can set the HTTP status and some headers through its initial metadata. Metadata that is not listed below
//! is dropped.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum_core::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Frame, SizeHint};
use prost::Message;
use tonic::Status;

use crate::{
    Error, Shared,
    frames::{self, Frames, Single, failure},
    json::Codec,
    options::HttpBody,
    route::Rule,
};

/// Metadata for the status of a successful call: 200, 201, 202, 204, 206, 304 or 416. Any other value means 200.
pub const HTTP_STATUS: &str = "x-http-status";
/// Metadata for `Content-Type`, with precedence over `HttpBody.content_type`. gRPC reserves the name `content-type`.
pub const HTTP_CONTENT_TYPE: &str = "x-http-content-type";
/// Metadata for `Content-Length`: the size of all data in the `HttpBody` stream, in bytes. The name `content-length`
/// would mean the length of the gRPC response, including frame headers.
pub const HTTP_CONTENT_LENGTH: &str = "x-http-content-length";

/// Metadata that becomes the HTTP header with the same name.
pub static CARRIED: [HeaderName; 8] = [
    header::ETAG,
    header::LAST_MODIFIED,
    header::ACCEPT_RANGES,
    header::CONTENT_RANGE,
    header::CONTENT_DISPOSITION,
    header::X_CONTENT_TYPE_OPTIONS,
    header::CONTENT_SECURITY_POLICY,
    header::CACHE_CONTROL,
];

/// Renders the response of a unary method: raw bytes for an `HttpBody`, otherwise JSON.
pub(crate) async fn unary(shared: &Shared, rule: &Rule, answer: Response<tonic::body::Body>) -> Response<Body> {
    let Single { metadata, message, .. } = match frames::single(answer).await {
        Ok(single) => single,
        Err(status) => return shared.fail(&status),
    };
    if rule.method.answers_raw && rule.response_body.is_none() {
        return match HttpBody::decode(message) {
            Ok(body) => whole(&metadata, &body.content_type, Body::from(body.data)),
            Err(error) => shared.refuse(Error::internal("the response could not be decoded", error)),
        };
    }
    let mut json = Vec::with_capacity(message.len() * 2 + 64);
    match encode(&shared.codec, rule, &message, &mut json) {
        Ok(()) => whole(&metadata, "application/json", Body::from(json)),
        Err(error) => shared.refuse(error),
    }
}

/// Renders a stream of `HttpBody`. The HTTP body is the data of all messages.
pub(crate) async fn raw(shared: &Shared, answer: Response<tonic::body::Body>) -> Response<Body> {
    let (parts, body) = answer.into_parts();
    if let Some(status) = failure(&parts.headers) {
        return shared.fail(&status);
    }
    let mut frames = Frames::new(body, parts.headers.contains_key("grpc-status"));
    let first = match frames.next().await.transpose() {
        Ok(first) => first.unwrap_or_default(),
        // No HTTP header has been sent yet, so the failure becomes an ordinary HTTP error.
        Err(status) => return shared.fail(&status),
    };
    match HttpBody::decode(first) {
        Ok(HttpBody { content_type, data }) => {
            let first = Some(data).filter(|data| !data.is_empty());
            whole(&parts.headers, &content_type, Body::new(RawBody { first, frames }))
        }
        Err(error) => shared.refuse(Error::internal("the response could not be decoded", error)),
    }
}

/// Appends a message as JSON, or only the field that the rule's `response_body` names.
///
/// # Errors
/// `Internal` if the service's bytes are not a valid message of the expected type.
pub(crate) fn encode(codec: &Codec, rule: &Rule, message: &[u8], json: &mut Vec<u8>) -> Result<(), Error> {
    let method = &rule.method;
    let written = match rule.response_body {
        Some(number) => codec.encode_field((method.output, number), method.dialect, message, json),
        None => codec.encode(method.output, method.dialect, message, json),
    };
    written.map_err(Error::from)
}

pub(crate) fn status_of(metadata: &HeaderMap) -> StatusCode {
    let asked = metadata.get(HTTP_STATUS).map(HeaderValue::as_bytes);
    match asked {
        Some(b"201") => StatusCode::CREATED,
        Some(b"202") => StatusCode::ACCEPTED,
        Some(b"204") => StatusCode::NO_CONTENT,
        Some(b"206") => StatusCode::PARTIAL_CONTENT,
        Some(b"304") => StatusCode::NOT_MODIFIED,
        Some(b"416") => StatusCode::RANGE_NOT_SATISFIABLE,
        _ => StatusCode::OK,
    }
}

fn whole(metadata: &HeaderMap, content_type: &str, body: Body) -> Response<Body> {
    let status = status_of(metadata);
    let bodiless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let mut response = Response::new(if bodiless { Body::empty() } else { body });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    carry(metadata, headers);
    if bodiless {
        return response;
    }
    let content_type = match metadata.get(HTTP_CONTENT_TYPE) {
        Some(value) => Some(value.clone()),
        None if content_type == "application/json" => Some(HeaderValue::from_static("application/json")),
        None => HeaderValue::from_str(content_type)
            .ok()
            .filter(|value| !value.is_empty()),
    };
    headers.insert(
        header::CONTENT_TYPE,
        content_type.unwrap_or(HeaderValue::from_static("application/octet-stream")),
    );
    if let Some(length) = metadata.get(HTTP_CONTENT_LENGTH) {
        headers.insert(header::CONTENT_LENGTH, length.clone());
    }
    response
}

fn carry(metadata: &HeaderMap, headers: &mut HeaderMap) {
    for name in &CARRIED {
        if let Some(value) = metadata.get(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
}

/// A response with raw bytes. If the gRPC stream fails, the connection is aborted, so that the client notices the
/// incomplete body.
struct RawBody {
    first: Option<Bytes>,
    frames: Frames,
}

impl http_body::Body for RawBody {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if let Some(data) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        loop {
            let message = match ready!(self.frames.poll_next(cx)) {
                Some(Ok(message)) => message,
                Some(Err(status)) => return Poll::Ready(Some(Err(status))),
                None => return Poll::Ready(None),
            };
            match HttpBody::decode(message) {
                Ok(body) if body.data.is_empty() => {}
                Ok(body) => return Poll::Ready(Some(Ok(Frame::data(body.data)))),
                Err(error) => return Poll::Ready(Some(Err(Status::internal(error.to_string())))),
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.first.as_ref().map_or(0, Bytes::len) as u64);
        hint
    }
}
