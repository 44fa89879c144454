//! The three doors of the one port, told apart by the content type.

use http::{HeaderMap, header::CONTENT_TYPE};

/// A door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// gRPC over HTTP/2.
    Grpc,
    /// gRPC-Web, over HTTP/1.1 or HTTP/2.
    GrpcWeb,
    /// JSON, forms, streams of events and pages.
    Http,
}

impl Door {
    /// The door's name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::GrpcWeb => "grpc-web",
            Self::Http => "http",
        }
    }

    /// The door that a request came to.
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
