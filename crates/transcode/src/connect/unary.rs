//! Unary Connect calls: one message in the request body, one in the response body.

use axum_core::body::Body;
use bytes::Bytes;
use http::{HeaderName, Request, Response, header};
use http_body_util::Full;
use tonic::Status;
use tower::BoxError;

use super::{Format, Method, Shared, convert_headers, metadata};
use crate::{
    Error, ErrorKind, Grpc, Refused, body,
    compression::{self, DecompressError, Encoding, UnknownEncoding},
    frames::{self, Single},
    json::{Dialect, MessageId},
    over_grpc, request,
};

/// Answers a unary call. `method` is `None` if the descriptor pool lacks the method.
pub async fn call<S>(
    shared: &Shared,
    format: Format,
    method: Option<&Method>,
    grpc: S,
    request: Request<Body>,
) -> Result<Response<Body>, Refused>
where
    S: Grpc,
    S::Error: Into<BoxError>,
{
    let (mut parts, body) = request.into_parts();
    convert_headers(&mut parts.headers)?;
    let accepted = Encoding::accepted(&parts.headers, &header::ACCEPT_ENCODING);
    let encoding = Encoding::declared(&parts.headers, &header::CONTENT_ENCODING).map_err(unknown_encoding)?;
    if format == Format::Json && method.is_none() {
        return Err(no_method(parts.uri.path()).into());
    }
    let received = body::collect(body, shared.max_body_bytes).await?;
    let message = unpack(received, encoding, shared.max_body_bytes)?;
    let wire = encode(
        shared,
        method.filter(|_| format == Format::Json).map(|method| method.input),
        &message,
    )?;
    let path = request::path_of(&parts.uri);
    let asked = request::wrap(path, parts, tonic::body::Body::new(Full::new(wire)));
    let answer = over_grpc::call(grpc, asked).await?;
    let single = frames::single(answer).await?;
    let body = match (format, method) {
        (Format::Json, Some(method)) => {
            let mut json = Vec::with_capacity(single.message.len() * 2 + 64);
            let written = shared
                .codec
                .encode(method.output, Dialect::Canonical, &single.message, &mut json);
            written.map_err(Error::from)?;
            Bytes::from(json)
        }
        _ => single.message.clone(),
    };
    Ok(render(format, accepted, &single, body))
}

/// Renders a successful response. Trailing metadata becomes headers with the prefix `trailer-`.
fn render(format: Format, accepted: Option<Encoding>, single: &Single, body: Bytes) -> Response<Body> {
    let packed = accepted
        .filter(|_| body.len() >= compression::MIN_BYTES)
        .and_then(|encoding| Some((encoding, encoding.compress(&body).ok()?)));
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    for (name, value) in metadata(&single.metadata) {
        headers.append(name.clone(), value.clone());
    }
    for (name, value) in metadata(&single.trailers) {
        if let Ok(name) = HeaderName::try_from(format!("trailer-{name}")) {
            headers.append(name, value.clone());
        }
    }
    headers.insert(header::CONTENT_TYPE, format.unary());
    *response.body_mut() = match packed {
        Some((encoding, packed)) => {
            let value = http::HeaderValue::from_static(encoding.as_str());
            response.headers_mut().insert(header::CONTENT_ENCODING, value);
            packed.into()
        }
        None => body.into(),
    };
    response
}

/// Returns a message as a gRPC frame. `json` is the message type of a JSON message; `None` if `message` is binary.
pub fn encode(shared: &Shared, json: Option<MessageId>, message: &[u8]) -> Result<Bytes, Error> {
    let mut wire = frames::begin();
    match json {
        Some(input) => shared.codec.decode(input, Dialect::Canonical, message, &mut wire)?,
        None => wire.extend_from_slice(message),
    }
    frames::finish(wire).ok_or_else(|| Error::new(ErrorKind::TooLarge, "the request is too large"))
}

/// Decompresses a message. Fails with 413 above `max_bytes` and with 400 for invalid input.
pub fn unpack(message: Bytes, encoding: Option<Encoding>, max_bytes: usize) -> Result<Bytes, Error> {
    // In Connect, an empty message is never compressed, whatever the header says.
    let Some(encoding) = encoding.filter(|_| !message.is_empty()) else {
        return Ok(message);
    };
    let unpacked = encoding.decompress(&message, max_bytes);
    unpacked.map(Bytes::from).map_err(|error| {
        let kind = match error {
            DecompressError::TooLarge(_) => ErrorKind::TooLarge,
            DecompressError::Invalid(_) => ErrorKind::Invalid,
        };
        Error::new(kind, error.to_string()).caused_by(error)
    })
}

pub fn no_method(path: &str) -> Status {
    let short: String = path.chars().take(256).collect();
    Status::unimplemented(format!("no method has the path {short}"))
}

/// The error for an unsupported algorithm. Its metadata lists the supported ones.
pub fn unknown_encoding(error: UnknownEncoding) -> Status {
    let mut status = Status::unimplemented(error.to_string());
    let names = tonic::metadata::MetadataValue::from_static(Encoding::NAMES);
    status.metadata_mut().insert("accept-encoding", names);
    status
}
