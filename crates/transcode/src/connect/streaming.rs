//! Connect streams: one envelope per message, and a last envelope with the trailing metadata or the error.
//!
//! Envelopes have the format of gRPC frames, so binary messages are forwarded unchanged. JSON messages are converted.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum_core::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header, request::Parts};
use http_body::{Frame, SizeHint};
use http_body_util::Full;
use tonic::Status;
use tower::BoxError;

use super::{
    ACCEPT_ENCODING, CONTENT_ENCODING, Format, Method, Shared, convert_headers,
    envelope::{COMPRESSED, put, put_end},
    metadata, unary,
};
use crate::{
    Error, Grpc, Refused, body,
    compression::{self, Encoding},
    frames::{self, Frames, failure},
    json::{Codec, Dialect, MessageId},
    over_grpc, request,
};

const GRPC_ENCODING: &str = "grpc-encoding";
const GRPC_ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// Answers a streaming call. `method` is `None` if the descriptor pool lacks the method. Errors after the start of
/// the response are sent in the last envelope.
pub async fn call<S>(
    shared: &Arc<Shared>,
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
    let accepted = Encoding::accepted(&parts.headers, &ACCEPT_ENCODING);
    let (asked, output) = match format {
        Format::Proto => (pass_on(parts, body), None),
        Format::Json => {
            let method = method.ok_or_else(|| unary::no_method(parts.uri.path()))?;
            let message = read_json(shared, method, &parts.headers, body).await?;
            for name in [CONTENT_ENCODING, ACCEPT_ENCODING] {
                parts.headers.remove(name);
            }
            let path = request::path_of(&parts.uri);
            let asked = request::wrap(path, parts, tonic::body::Body::new(Full::new(message)));
            (asked, Some(method.output))
        }
    };
    let answer = over_grpc::call(grpc, asked).await?;
    let (parts, body) = answer.into_parts();
    if let Some(status) = failure(&parts.headers) {
        return Err(status.into());
    }
    let said_ok = parts.headers.contains_key("grpc-status");
    let mut response = begin(format, &parts.headers);
    *response.body_mut() = match output {
        None => Body::new(BinaryBody {
            shared: Arc::clone(shared),
            body: Some(body),
            said_ok,
        }),
        Some(output) => {
            if let Some(encoding) = accepted {
                let value = HeaderValue::from_static(encoding.as_str());
                response.headers_mut().insert(CONTENT_ENCODING, value);
            }
            Body::new(JsonBody {
                shared: Arc::clone(shared),
                output,
                frames: Frames::new(body, said_ok),
                accepted,
                ended: false,
            })
        }
    };
    Ok(response)
}

/// Returns the response to a call that failed before its stream began.
pub fn failed(codec: &Codec, format: Format, status: &Status) -> Response<Body> {
    let mut out = Vec::new();
    put_end(codec, Err(status), &mut out);
    let mut response = begin(format, &HeaderMap::new());
    *response.body_mut() = out.into();
    response
}

fn begin(format: Format, initial: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    for (name, value) in metadata(initial) {
        headers.append(name.clone(), value.clone());
    }
    if let Some(encoding) = initial.get(GRPC_ENCODING) {
        headers.insert(CONTENT_ENCODING, encoding.clone());
    }
    headers.insert(header::CONTENT_TYPE, format.stream());
    // Tells nginx not to buffer the stream, which would delay messages.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

fn pass_on(mut parts: Parts, body: Body) -> Request<tonic::body::Body> {
    let encoding = parts.headers.remove(CONTENT_ENCODING);
    let accept = parts.headers.remove(ACCEPT_ENCODING);
    let path = request::path_of(&parts.uri);
    let mut asked = request::wrap(path, parts, tonic::body::Body::new(body));
    let headers = asked.headers_mut();
    headers.extend(encoding.map(|value| (HeaderName::from_static(GRPC_ENCODING), value)));
    headers.extend(accept.map(|value| (HeaderName::from_static(GRPC_ACCEPT_ENCODING), value)));
    asked
}

/// Returns the single JSON message of a request as a gRPC frame.
async fn read_json(shared: &Shared, method: &Method, headers: &HeaderMap, body: Body) -> Result<Bytes, Refused> {
    if method.takes_stream {
        let message = "a method with a request stream needs Content-Type: application/connect+proto";
        return Err(Status::unimplemented(message).into());
    }
    let encoding = Encoding::declared(headers, &CONTENT_ENCODING).map_err(unary::unknown_encoding)?;
    let max_bytes = shared.max_body_bytes;
    let received = body::collect(body, max_bytes.saturating_add(frames::HEADER_BYTES)).await?;
    let (flags, message) = super::envelope::only(received)?;
    let is_packed = flags & COMPRESSED != 0;
    if is_packed && encoding.is_none() {
        let message = "the message is compressed, but Connect-Content-Encoding does not name the algorithm";
        return Err(Status::invalid_argument(message).into());
    }
    let message = unary::unpack(message, encoding.filter(|_| is_packed), max_bytes)?;
    Ok(unary::encode(shared, Some(method.input), &message)?)
}

/// A binary response: the gRPC frames, unchanged, and a last envelope.
struct BinaryBody {
    shared: Arc<Shared>,
    /// The gRPC response; `None` after its end.
    body: Option<tonic::body::Body>,
    /// True if the gRPC headers already contain the status OK.
    said_ok: bool,
}

impl http_body::Body for BinaryBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let outcome = match ready!(Pin::new(body).poll_frame(cx)) {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(frame) => frames::succeeded(frame.into_trailers().unwrap_or_default()),
            },
            Some(Err(status)) => Err(status),
            None if self.said_ok => Ok(HeaderMap::new()),
            None => Err(frames::no_status()),
        };
        // Dropping the body ends the service's stream.
        self.body = None;
        let mut out = Vec::new();
        put_end(&self.shared.codec, outcome.as_ref(), &mut out);
        Poll::Ready(Some(Ok(Frame::data(out.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(self.body.as_ref().map_or(0, |body| body.size_hint().lower()));
        hint
    }
}

struct JsonBody {
    shared: Arc<Shared>,
    output: MessageId,
    frames: Frames,
    accepted: Option<Encoding>,
    ended: bool,
}

impl JsonBody {
    /// Returns the envelopes of `first` and of all messages that have already been received.
    fn write(&mut self, first: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(first.len() * 2 + 128);
        let mut result = self.write_one(first, &mut out);
        while result.is_ok()
            && let Some(next) = self.frames.arrived()
        {
            result = next.and_then(|message| self.write_one(&message, &mut out));
        }
        if let Err(status) = result {
            self.ended = true;
            put_end(&self.shared.codec, Err(&status), &mut out);
        }
        out
    }

    fn write_one(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), Status> {
        let mut json = Vec::with_capacity(message.len() * 2 + 64);
        let written = self
            .shared
            .codec
            .encode(self.output, Dialect::Canonical, message, &mut json);
        written.map_err(|error| self.shared.faults.convert(Error::from(error)))?;
        let packed = self
            .accepted
            .filter(|_| json.len() >= compression::MIN_BYTES)
            .and_then(|encoding| encoding.compress(&json).ok());
        match packed {
            Some(packed) => put(COMPRESSED, &packed, out),
            None => put(0, &json, out),
        }
    }
}

impl http_body::Body for JsonBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let outcome = match ready!(self.frames.poll_next(cx)) {
            Some(Ok(message)) => {
                let out = self.write(&message);
                return Poll::Ready(Some(Ok(Frame::data(out.into()))));
            }
            Some(Err(status)) => Err(status),
            None => Ok(self.frames.take_trailers()),
        };
        self.ended = true;
        let mut out = Vec::new();
        put_end(&self.shared.codec, outcome.as_ref(), &mut out);
        Poll::Ready(Some(Ok(Frame::data(out.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        // The HTTP server can use this number of buffered bytes to limit memory.
        hint.set_lower(self.frames.held() as u64);
        hint
    }
}
