//! The Connect protocol (<https://connectrpc.com/docs/protocol>) for any tonic service.
//!
//! Each Connect call becomes a gRPC call in the same process. Client streams and bidirectional streams must use
//! binary messages; other calls may also use canonical proto3 JSON. GET requests are refused, because caches could
//! store the responses. [`CallKind::of`] recognises Connect calls.

mod envelope;
mod error;
mod kind;
mod streaming;
mod unary;

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum_core::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Method as HttpMethod, Request, Response, StatusCode, header};
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tonic::Status;
use tower::BoxError;

pub use self::kind::{CallKind, Format};
use crate::{
    Faults, Grpc, Options, Refused, StandardFaults,
    json::{Codec, MessageId},
    over_grpc::{Front, Over},
};

const VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");
const TIMEOUT: HeaderName = HeaderName::from_static("connect-timeout-ms");
const CONTENT_ENCODING: HeaderName = HeaderName::from_static("connect-content-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("connect-accept-encoding");

/// Answers Connect calls. Clones share their state.
#[derive(Clone)]
pub struct Connect {
    shared: Arc<Shared>,
}

struct Shared {
    codec: Arc<Codec>,
    /// Key: the gRPC path, such as `/greeter.v1.Greeter/SayHello`.
    methods: HashMap<String, Method>,
    max_body_bytes: usize,
    faults: Arc<dyn Faults>,
}

struct Method {
    input: MessageId,
    output: MessageId,
    /// True if the request or the response is a stream.
    streams: bool,
    takes_stream: bool,
}

impl Method {
    fn new(codec: &Codec, descriptor: &MethodDescriptor) -> Option<Self> {
        let takes_stream = descriptor.is_client_streaming();
        Some(Self {
            input: codec.message(descriptor.input().full_name())?,
            output: codec.message(descriptor.output().full_name())?,
            streams: takes_stream || descriptor.is_server_streaming(),
            takes_stream,
        })
    }
}

impl Shared {
    fn status(&self, refused: Refused) -> Status {
        match refused {
            Refused::Error(error) => self.faults.convert(error),
            Refused::Status(status) => status,
        }
    }
}

impl Connect {
    /// Creates a server for the services of a descriptor pool. The codec must be compiled from the same pool. Of the
    /// options, only `max_body_bytes` and `faults` apply.
    ///
    /// Methods outside the pool accept only binary messages.
    pub fn new(pool: &DescriptorPool, codec: Arc<Codec>, options: &Options) -> Self {
        let mut methods = HashMap::new();
        for service in pool.services() {
            for method in service.methods() {
                if let Some(known) = Method::new(&codec, &method) {
                    methods.insert(format!("/{}/{}", service.full_name(), method.name()), known);
                }
            }
        }
        let standard = || Arc::new(StandardFaults::new(Arc::clone(&codec))) as Arc<dyn Faults>;
        let shared = Shared {
            faults: options.faults.clone().unwrap_or_else(standard),
            codec,
            methods,
            max_body_bytes: options.max_body_bytes,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Returns a tower service that answers Connect calls through the gRPC service `grpc`.
    pub fn over<S>(&self, grpc: S) -> ConnectService<S> {
        let front = self.clone();
        ConnectService { front, grpc }
    }

    /// Renders an error Status as the response to a call of this kind. The response's extensions contain the Status.
    pub fn refuse(&self, kind: CallKind, status: Status) -> Response<Body> {
        let mut response = match kind {
            CallKind::Unary(_) => error::response(&self.shared.codec, &status),
            CallKind::Stream(format) => streaming::failed(&self.shared.codec, format, &status),
            CallKind::Unknown => unsupported(),
        };
        response.extensions_mut().insert(status);
        response
    }

    /// Answers one Connect call through the gRPC service `grpc`.
    pub async fn serve<S>(&self, grpc: S, request: Request<Body>) -> Response<Body>
    where
        S: Grpc,
        S::Future: Send,
        S::Error: Into<BoxError> + Send,
    {
        let kind = CallKind::of(request.method(), request.uri().path(), request.headers()).unwrap_or(CallKind::Unknown);
        if request.method() != HttpMethod::POST {
            return wrong_verb();
        }
        let method = self.shared.methods.get(request.uri().path());
        let answer = match (kind, method) {
            (CallKind::Unknown, _) => return unsupported(),
            (CallKind::Unary(_), Some(method)) if method.streams => return unsupported(),
            (CallKind::Stream(_), Some(method)) if !method.streams => return unsupported(),
            (CallKind::Unary(format), method) => unary::call(&self.shared, format, method, grpc, request).await,
            (CallKind::Stream(format), method) => streaming::call(&self.shared, format, method, grpc, request).await,
        };
        answer.unwrap_or_else(|refused| self.refuse(kind, self.shared.status(refused)))
    }
}

/// Returns the timeout in `Connect-Timeout-Ms`; `None` if the header is missing.
///
/// # Errors
/// The header is not a number of milliseconds with up to ten digits.
pub fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, InvalidTimeout> {
    let Some(value) = headers.get(TIMEOUT) else {
        return Ok(None);
    };
    let digits = value.to_str().map_err(|_| InvalidTimeout)?;
    if digits.is_empty() || digits.len() > 10 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidTimeout);
    }
    let millis = digits.parse().map_err(|_| InvalidTimeout)?;
    Ok(Some(Duration::from_millis(millis)))
}

/// The error for an invalid header `Connect-Timeout-Ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Connect-Timeout-Ms must be a number of milliseconds with up to ten digits")]
pub struct InvalidTimeout;

/// Checks the header `Connect-Protocol-Version`, and replaces `Connect-Timeout-Ms` with `grpc-timeout`.
fn convert_headers(headers: &mut HeaderMap) -> Result<(), Status> {
    if headers.remove(VERSION).is_some_and(|version| version != "1") {
        return Err(Status::invalid_argument("Connect-Protocol-Version must be 1"));
    }
    if let Some(timeout) = timeout(headers).map_err(|error| Status::invalid_argument(error.to_string()))? {
        headers.remove(TIMEOUT);
        // A gRPC timeout has up to eight digits, so longer timeouts are in seconds.
        let millis = timeout.as_millis();
        let text = if millis < 100_000_000 {
            format!("{millis}m")
        } else {
            format!("{}S", timeout.as_secs())
        };
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert("grpc-timeout", value);
        }
    }
    Ok(())
}

/// Returns the application's metadata from gRPC headers or trailers, without headers that HTTP, gRPC or Connect
/// defines.
fn metadata(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    static DEFINED: [HeaderName; 8] = [
        header::CONTENT_TYPE,
        header::CONTENT_LENGTH,
        header::CONTENT_ENCODING,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::TRAILER,
        header::UPGRADE,
        header::DATE,
    ];
    headers.iter().filter(|(name, _)| {
        let text = name.as_str();
        !DEFINED.contains(name) && !text.starts_with("grpc-") && !text.starts_with("connect-")
    })
}

/// The 415 response to a call whose content type is unknown or does not fit the method.
fn unsupported() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    let types = HeaderValue::from_static(
        "application/json, application/proto, application/connect+json, application/connect+proto",
    );
    response.headers_mut().insert("accept-post", types);
    response
}

fn wrong_verb() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

/// A tower service that answers Connect calls through a gRPC service.
pub type ConnectService<S> = Over<Connect, S>;

impl Front for Connect {
    async fn answer<S>(&self, grpc: S, request: Request<Body>) -> Response<Body>
    where
        S: Grpc,
        S::Future: Send,
        S::Error: Into<BoxError> + Send,
    {
        self.serve(grpc, request).await
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http_body::Frame;
    use http_body_util::{BodyExt, StreamBody};
    use tower::{ServiceExt, service_fn};

    use super::*;

    /// Calls a service that returns initial metadata, one message of two bytes, and trailing metadata.
    async fn call(content_type: &str) -> Response<Body> {
        let grpc = service_fn(|request: Request<tonic::body::Body>| async move {
            assert_eq!(request.uri().path(), "/a.B/C");
            assert_eq!(request.headers()["content-type"], "application/grpc");
            let trailers = HeaderMap::from_iter([
                (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0")),
                (HeaderName::from_static("x-cost"), HeaderValue::from_static("3")),
            ]);
            let message = Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1]);
            let frames = [Frame::data(message), Frame::trailers(trailers)].map(Ok::<_, Status>);
            let mut response = Response::new(tonic::body::Body::new(StreamBody::new(futures::stream::iter(frames))));
            response
                .headers_mut()
                .insert("x-first", HeaderValue::from_static("yes"));
            Ok::<_, Infallible>(response)
        });
        let pool = DescriptorPool::new();
        let connect = Connect::new(&pool, Arc::new(Codec::new(&pool)), &Options::default());
        let request = Request::post("/a.B/C").header("content-type", content_type);
        connect
            .over(grpc)
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn trailing_metadata_is_in_prefixed_headers_or_in_the_last_envelope() {
        let unary = call("application/proto").await;
        assert_eq!(unary.headers()["x-first"], "yes");
        assert_eq!(unary.headers()["trailer-x-cost"], "3");
        assert!(unary.headers().keys().all(|name| !name.as_str().contains("grpc")));
        assert_eq!(unary.into_body().collect().await.unwrap().to_bytes(), [8, 1].as_slice());

        let stream = call("application/connect+proto").await;
        assert_eq!(stream.headers()["x-first"], "yes");
        let body = stream.into_body().collect().await.unwrap().to_bytes();
        let end = br#"{"metadata":{"x-cost":["3"]}}"#;
        let expected = [&[0, 0, 0, 0, 2, 8, 1, 2, 0, 0, 0, 29][..], end].concat();
        assert_eq!(body, expected);
    }
}
