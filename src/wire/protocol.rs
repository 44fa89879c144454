//! The three protocols on the port of the server. The content type of a request determines its protocol.

use http::{HeaderMap, header::CONTENT_TYPE};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC over HTTP/2.
    Grpc,
    /// gRPC-Web, over HTTP/1.1 or HTTP/2.
    GrpcWeb,
    /// JSON, forms, event streams and pages.
    Http,
}

impl Protocol {
    /// The protocol's name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::GrpcWeb => "grpc-web",
            Self::Http => "http",
        }
    }

    /// The protocol of a request.
    pub fn of(headers: &HeaderMap) -> Self {
        let kind = headers
            .get(CONTENT_TYPE)
            .map(http::HeaderValue::as_bytes)
            .unwrap_or_default();
        if kind.starts_with(b"application/grpc-web") {
            Self::GrpcWeb
        } else if kind.starts_with(b"application/grpc") {
            Self::Grpc
        } else {
            Self::Http
        }
    }
}
