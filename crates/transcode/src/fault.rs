//! Renders errors as HTTP responses. Servers can replace the default, [`StandardFaults`], in `Options::faults`.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use prost::Message;
use prost_types::Any;
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::{
    Error, ErrorKind, body,
    json::{Codec, Dialect},
};

/// Renders errors as HTTP responses. After a stream has begun, only the body of the response is sent.
pub trait Faults: Send + Sync + 'static {
    /// Renders an error Status of the service.
    fn status(&self, status: &Status) -> Response<Bytes>;

    /// Renders an error of the transcoder. The transcoder adds the header `Allow` to a 405 response.
    fn error(&self, error: Error) -> Response<Bytes>;

    /// Converts an error of the transcoder to a Status, for the Connect protocol. The default derives the gRPC code
    /// from the error's category, and adds a `google.rpc.BadRequest` for an invalid field. The cause of an internal
    /// error is logged.
    fn convert(&self, error: Error) -> Status {
        log(&error);
        let code = match error.kind() {
            ErrorKind::Invalid | ErrorKind::MethodNotAllowed | ErrorKind::UnsupportedMedia => Code::InvalidArgument,
            ErrorKind::TooLarge => Code::ResourceExhausted,
            ErrorKind::NoSuchPath => Code::NotFound,
            ErrorKind::Internal => Code::Internal,
        };
        let details = error.field().map(|field| bad_request(field, error.message()));
        let details = RpcStatus {
            details: details.into_iter().collect(),
        };
        Status::with_details(code, error.message(), details.encode_to_vec().into())
    }
}

/// Renders errors as `google.rpc.Status` in JSON (<https://google.aip.dev/193>): `{"error": {"code": 404, "message":
/// "…", "status": "NOT_FOUND", "details": […]}}`. `code` is the HTTP status.
///
/// A detail is omitted if its type is not in the codec's descriptor pool. The causes of internal errors are logged.
#[derive(Clone, Debug)]
pub struct StandardFaults {
    codec: Arc<Codec>,
}

impl StandardFaults {
    /// Creates the renderer. The codec converts error details to JSON.
    pub fn new(codec: Arc<Codec>) -> Self {
        Self { codec }
    }

    fn details(&self, encoded: &[u8]) -> Vec<Value> {
        let Some(any) = self.codec.message("google.protobuf.Any") else {
            return Vec::new();
        };
        let details = RpcStatus::decode(encoded).unwrap_or_default().details;
        let print = |detail: Any| {
            let mut json = Vec::new();
            let wire = detail.encode_to_vec();
            self.codec.encode(any, Dialect::Canonical, &wire, &mut json).ok()?;
            serde_json::from_slice(&json).ok()
        };
        details.into_iter().filter_map(print).collect()
    }
}

impl Faults for StandardFaults {
    fn status(&self, status: &Status) -> Response<Bytes> {
        let message = match status.message() {
            "" => status.code().description(),
            text => text,
        };
        let details = self.details(status.details());
        render(http_status(status.code()), name(status.code()), message, details)
    }

    fn error(&self, error: Error) -> Response<Bytes> {
        log(&error);
        let (status, name) = match error.kind() {
            ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
            ErrorKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "INVALID_ARGUMENT"),
            ErrorKind::NoSuchPath => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            ErrorKind::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "UNIMPLEMENTED"),
            ErrorKind::UnsupportedMedia => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "INVALID_ARGUMENT"),
            ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
        };
        let violation = error.field().map(|field| {
            json!({
                "@type": "type.googleapis.com/google.rpc.BadRequest",
                "fieldViolations": [{"field": field, "description": error.message()}],
            })
        });
        render(status, name, error.message(), violation.into_iter().collect())
    }
}

/// The part of `google.rpc.Status` that this crate uses.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    pub(crate) details: Vec<Any>,
}

/// Returns a `google.rpc.BadRequest` with one `FieldViolation`, whose field 1 is `field` and field 2 is
/// `description`.
fn bad_request(field: &str, description: &str) -> Any {
    let (mut violation, mut value) = (Vec::new(), Vec::new());
    body::put_bytes(1, field.as_bytes(), &mut violation);
    body::put_bytes(2, description.as_bytes(), &mut violation);
    body::put_bytes(1, &violation, &mut value);
    Any {
        type_url: "type.googleapis.com/google.rpc.BadRequest".to_owned(),
        value,
    }
}

fn log(error: &Error) {
    if let (ErrorKind::Internal, Some(cause)) = (error.kind(), error.cause()) {
        tracing::error!(error = error.message(), cause = %cause, "call failed");
    }
}

fn render(status: StatusCode, name: &str, message: &str, details: Vec<Value>) -> Response<Bytes> {
    let mut error = json!({"code": status.as_u16(), "message": message, "status": name});
    if !details.is_empty() {
        error["details"] = details.into();
    }
    let mut response = Response::new(Bytes::from(json!({"error": error}).to_string()));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// Returns the HTTP status that `google/rpc/code.proto` assigns to a gRPC code.
pub(crate) fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        // HTTP has no status for a request that the client cancelled; nginx uses 499.
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

pub(crate) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a panic fails the test")]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;

    fn faults() -> StandardFaults {
        let mut compiler = protox::Compiler::new(["../../proto"]).unwrap();
        compiler.include_imports(true);
        compiler
            .open_files(["google/rpc/error_details.proto", "google/protobuf/any.proto"])
            .unwrap();
        let pool = DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).unwrap();
        StandardFaults::new(Arc::new(Codec::new(&pool)))
    }

    fn shown(response: &Response<Bytes>) -> (u16, Value) {
        let body = serde_json::from_slice(response.body()).unwrap();
        (response.status().as_u16(), body)
    }

    #[test]
    fn details_of_known_types_are_printed() {
        let detail = |name: &str| Any {
            type_url: format!("type.googleapis.com/{name}"),
            // Field 1 of RetryInfo: a Duration of one second.
            value: b"\x0a\x02\x08\x01".to_vec(),
        };
        let details = vec![detail("google.rpc.RetryInfo"), detail("example.Unknown")];
        let status = Status::with_details(
            Code::Unavailable,
            "retry later",
            RpcStatus { details }.encode_to_vec().into(),
        );
        let expected = json!({"error": {
            "code": 503,
            "message": "retry later",
            "status": "UNAVAILABLE",
            "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"}],
        }});
        assert_eq!(shown(&faults().status(&status)), (503, expected));
    }

    #[test]
    fn the_cause_of_an_internal_error_is_not_sent() {
        let error = Error::internal("the response could not be decoded", "SECRET");
        let message = "the response could not be decoded";
        let expected = json!({"error": {"code": 500, "message": message, "status": "INTERNAL"}});
        assert_eq!(shown(&faults().error(error)), (500, expected));
    }
}
