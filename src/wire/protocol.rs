//! The four protocols on the port of the server. The content type of a request determines its protocol. Requests with
//! JSON belong to the Connect protocol if their path is that of a gRPC method.

use http::{Request, header::CONTENT_TYPE};
use runyard_transcode::connect::CallKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// gRPC-Web, over HTTP/1.1 or HTTP/2.
    GrpcWeb,
    /// The Connect protocol, over HTTP/1.1 or HTTP/2.
    Connect(CallKind),
    /// JSON, forms, event streams and pages.
    Http,
}

impl Protocol {
    /// The protocol's name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::GrpcWeb => "grpc-web",
            Self::Connect(_) => "connect",
            Self::Http => "http",
        }
    }

    /// The protocol of a request.
    pub fn of<B>(request: &Request<B>) -> Self {
        let kind = request
            .headers()
            .get(CONTENT_TYPE)
            .map(http::HeaderValue::as_bytes)
            .unwrap_or_default();
        if kind.starts_with(b"application/grpc-web") {
            Self::GrpcWeb
        } else if kind.starts_with(b"application/grpc") {
            Self::Grpc
        } else {
            let call = CallKind::of(request.method(), request.uri().path(), request.headers());
            call.map_or(Self::Http, Self::Connect)
        }
    }
}
