//! Selects one of the four protocols for a request. gRPC, gRPC-Web and Connect streams have their own content types.
//! A POST with `application/json` or `application/proto` to a gRPC path is a unary Connect call. All other requests
//! are plain HTTP.

use http::{
    Request,
    header::{ACCEPT, CONTENT_TYPE},
};
use runyard_transcode::connect::CallKind;

const WEB: &str = "application/grpc-web+proto";
const WEB_TEXT: &str = "application/grpc-web-text+proto";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Grpc,
    /// gRPC-Web, with the content type of the response.
    GrpcWeb(&'static str),
    /// The Connect protocol: a unary call or a stream.
    Connect(CallKind),
    Http,
}

impl Protocol {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::GrpcWeb(_) => "grpc-web",
            Self::Connect(_) => "connect",
            Self::Http => "http",
        }
    }

    pub fn of<B>(request: &Request<B>) -> Self {
        let header = |name| {
            request
                .headers()
                .get(name)
                .map_or(&b""[..], http::HeaderValue::as_bytes)
        };
        let kind = header(CONTENT_TYPE);
        if kind.starts_with(b"application/grpc-web") {
            // As in tonic-web, the header `Accept` selects the encoding of the response.
            let is_text = header(ACCEPT).starts_with(b"application/grpc-web-text");
            Self::GrpcWeb(if is_text { WEB_TEXT } else { WEB })
        } else if kind.starts_with(b"application/grpc") {
            Self::Grpc
        } else {
            let call = CallKind::of(request.method(), request.uri().path(), request.headers());
            call.map_or(Self::Http, Self::Connect)
        }
    }
}
