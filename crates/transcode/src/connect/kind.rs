//! Recognises Connect calls by their content type and path.

use http::{HeaderMap, HeaderValue, Method};

use crate::body;

/// The encoding of a call's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Binary protobuf.
    Proto,
    /// Canonical proto3 JSON.
    Json,
}

/// The kind of a Connect call, which determines the format of the response and of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// One request message and one response message, without envelopes.
    Unary(Format),
    /// A stream in which each message has its own envelope.
    Stream(Format),
    /// A stream whose messages have an unsupported format, such as `application/connect+xml`.
    Unknown,
}

impl CallKind {
    /// Returns the kind of a call; `None` if the request is not a Connect call.
    ///
    /// Content types that start with `application/connect+` identify a stream. A unary call is a POST of
    /// `application/json` or `application/proto` to a gRPC path, such as `/greeter.v1.Greeter/SayHello`. The name of
    /// the service in this path must contain a package.
    pub fn of(method: &Method, path: &str, headers: &HeaderMap) -> Option<Self> {
        let essence = body::essence(headers)?;
        let is = |name: &str| essence.eq_ignore_ascii_case(name);
        if is("application/connect+proto") {
            return Some(Self::Stream(Format::Proto));
        }
        if is("application/connect+json") {
            return Some(Self::Stream(Format::Json));
        }
        let prefix = "application/connect+";
        if essence
            .get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        {
            return Some(Self::Unknown);
        }
        if *method != Method::POST || !is_method(path) {
            return None;
        }
        if is("application/proto") {
            Some(Self::Unary(Format::Proto))
        } else if is("application/json") {
            Some(Self::Unary(Format::Json))
        } else {
            None
        }
    }
}

impl Format {
    pub(super) fn unary(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Proto => "application/proto",
            Self::Json => "application/json",
        })
    }

    pub(super) fn stream(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Proto => "application/connect+proto",
            Self::Json => "application/connect+json",
        })
    }
}

fn is_method(path: &str) -> bool {
    let Some((service, name)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
        return false;
    };
    let is_name = |text: &str| {
        let mut bytes = text.bytes();
        let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
        bytes.next().is_some_and(is_letter) && bytes.all(|byte| is_letter(byte) || byte.is_ascii_digit())
    };
    service.contains('.') && service.split('.').all(is_name) && is_name(name)
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;

    use super::*;

    #[test]
    fn the_content_type_and_the_path_tell_a_call_from_other_requests() {
        let of = |method: Method, path: &str, content_type: &'static str| {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
            CallKind::of(&method, path, &headers)
        };
        let path = "/greeter.v1.Greeter/SayHello";
        let post = |path: &str, content_type| of(Method::POST, path, content_type);
        assert_eq!(post(path, "application/json"), Some(CallKind::Unary(Format::Json)));
        assert_eq!(
            post(path, "Application/JSON; charset=utf-8"),
            Some(CallKind::Unary(Format::Json))
        );
        assert_eq!(post(path, "application/proto"), Some(CallKind::Unary(Format::Proto)));
        assert_eq!(
            post("/any", "application/connect+json"),
            Some(CallKind::Stream(Format::Json))
        );
        assert_eq!(
            post(path, "application/connect+proto"),
            Some(CallKind::Stream(Format::Proto))
        );
        assert_eq!(post(path, "application/connect+xml"), Some(CallKind::Unknown));
        for other in [
            "/agents",
            "/v1/agents",
            "/agents/a.b",
            "/a.b/c/d",
            "/a..b/c",
            "/.a/c",
            "/a.b/",
            "/a.1/c",
        ] {
            assert_eq!(post(other, "application/json"), None, "{other}");
        }
        assert_eq!(of(Method::PUT, path, "application/json"), None);
        assert_eq!(post(path, "application/grpc+proto"), None);
        assert_eq!(CallKind::of(&Method::POST, path, &HeaderMap::new()), None);
    }
}
