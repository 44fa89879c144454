//! Renders errors as HTTP responses with a JSON body.
//!
//! The body has the form `{"detail":…}`. For errors about the account's plan, `detail` is an object that the API
//! documentation defines. For other errors, `detail` is a sentence. The header `X-Error-Code` contains the error
//! code.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde::ser::{Serialize, SerializeMap, Serializer};
use tonic::Status;

use runyard_contract::status::StatusDetails;
use runyard_transcode::{self as transcode, ErrorKind, Faults};

use crate::{
    error::{Code, Error, Kind},
    v1::Refusal,
    wire::status,
};

pub const ERROR_CODE: HeaderName = HeaderName::from_static("x-error-code");

#[derive(Clone, Copy, Debug)]
pub struct HttpFaults;

impl Faults for HttpFaults {
    fn status(&self, status: &Status) -> Response<Bytes> {
        render(&status::read(status))
    }

    fn error(&self, error: transcode::Error) -> Response<Bytes> {
        match error.kind() {
            ErrorKind::NoSuchPath => plain(StatusCode::NOT_FOUND, "NO_SUCH_PATH", "Not Found"),
            ErrorKind::MethodNotAllowed => wrong_method(),
            ErrorKind::UnsupportedMedia => plain(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "UNSUPPORTED_MEDIA_TYPE",
                error.message(),
            ),
            ErrorKind::Invalid | ErrorKind::TooLarge | ErrorKind::Internal => self.status(&self.convert(error)),
        }
    }

    fn convert(&self, error: transcode::Error) -> Status {
        Error::from(error).into()
    }
}

impl From<transcode::Error> for Error {
    fn from(mut error: transcode::Error) -> Self {
        let code = match error.kind() {
            ErrorKind::Invalid | ErrorKind::MethodNotAllowed | ErrorKind::UnsupportedMedia => Code::InvalidRequest,
            ErrorKind::TooLarge => Code::TooLarge,
            ErrorKind::NoSuchPath => Code::NoSuchPath,
            ErrorKind::Internal => Code::Internal,
        };
        let message = error.message().to_owned();
        let converted = match error.field() {
            Some(field) if code == Code::InvalidRequest => Self::invalid_field(field.to_owned(), message),
            _ => Self::new(code, message),
        };
        match error.take_cause() {
            Some(cause) => converted.caused_by(cause),
            None => converted,
        }
    }
}

impl From<transcode::json::CodecError> for Error {
    fn from(error: transcode::json::CodecError) -> Self {
        transcode::Error::from(error).into()
    }
}

pub fn refuse(error: Error) -> Response<Body> {
    HttpFaults.status(&Status::from(error)).map(Body::from)
}

/// `allow` is the value of the header `Allow`, such as `GET, HEAD`.
pub fn method_not_allowed(allow: &str) -> Response<Body> {
    let mut response = wrong_method().map(Body::from);
    if let Ok(value) = HeaderValue::from_str(allow) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

fn wrong_method() -> Response<Bytes> {
    plain(
        StatusCode::METHOD_NOT_ALLOWED,
        "METHOD_NOT_ALLOWED",
        "Method Not Allowed",
    )
}

pub fn http_status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::OverPlan | Kind::NotInPlan => StatusCode::PAYMENT_REQUIRED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::Missing => StatusCode::NOT_FOUND,
        Kind::Existing | Kind::Conflicting | Kind::Contended => StatusCode::CONFLICT,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Throttled => StatusCode::TOO_MANY_REQUESTS,
        // Status 499 is nginx's "client closed request". No registered status exists for this case.
        Kind::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Kind::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Expired => StatusCode::GATEWAY_TIMEOUT,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn render(fault: &StatusDetails) -> Response<Bytes> {
    let mut response = answer(http_status(fault.kind), &fault.reason, body(fault));
    describe(fault, response.headers_mut());
    response
}

/// Adds the headers that describe an error: its code, how to authenticate, and when to retry.
pub(super) fn describe(fault: &StatusDetails, headers: &mut HeaderMap) {
    if let Ok(value) = HeaderValue::from_str(&fault.reason) {
        headers.insert(ERROR_CODE, value);
    }
    match fault.kind {
        Kind::Unauthenticated => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Kind::Throttled | Kind::Unavailable => {
            // The delay is rounded up to whole seconds, because an earlier retry would be refused.
            let hint = fault.retry_after.map(|wait| wait.as_millis().div_ceil(1000).max(1));
            let seconds = hint.or((fault.kind == Kind::Throttled).then_some(1));
            if let Some(value) = seconds.and_then(|seconds| HeaderValue::from_str(&seconds.to_string()).ok()) {
                headers.insert(header::RETRY_AFTER, value);
            }
        }
        _ => {}
    }
}

fn body(fault: &StatusDetails) -> Bytes {
    let detail = match &fault.refusal {
        Some(refusal) => Detail::Refusal(refusal),
        // All authentication failures have the same text, because the reason would only help an attacker.
        None if fault.kind == Kind::Unauthenticated => Detail::Sentence("Not authenticated"),
        None => Detail::Sentence(&fault.message),
    };
    encode(&detail)
}

fn plain(status: StatusCode, code: &str, detail: &str) -> Response<Bytes> {
    answer(status, code, encode(&Detail::Sentence(detail)))
}

fn answer(status: StatusCode, code: &str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(value) = HeaderValue::from_str(code) {
        headers.insert(ERROR_CODE, value);
    }
    response
}

fn encode(detail: &Detail<'_>) -> Bytes {
    // Serialization cannot fail: the keys are strings, and the output goes to memory.
    serde_json::to_vec(&Wrapped { detail }).unwrap_or_default().into()
}

#[derive(serde::Serialize)]
struct Wrapped<'a> {
    detail: &'a Detail<'a>,
}

enum Detail<'a> {
    Sentence(&'a str),
    Refusal(&'a Refusal),
}

impl Serialize for Detail<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Sentence(sentence) => serializer.serialize_str(sentence),
            Self::Refusal(refusal) => object(refusal, serializer),
        }
    }
}

/// Returns the documented keys of an error's `detail` object. [`object`] writes them between `message` and
/// `error_code`.
fn keys(error_code: &str) -> &'static [&'static str] {
    match error_code {
        "AGENT_RUN_LIMIT_EXCEEDED" => &["running_thread_ids", "running_count", "limit"],
        "AGENT_LIMIT_EXCEEDED" => &["current_count", "limit", "tier_name"],
        "THREAD_LIMIT_EXCEEDED" | "PROJECT_LIMIT_EXCEEDED" => &["current_count", "limit"],
        "MODEL_ACCESS_DENIED" => &["tier_name"],
        _ => &[],
    }
}

fn object<S: Serializer>(refusal: &Refusal, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("message", &refusal.message)?;
    for &key in keys(&refusal.error_code) {
        match key {
            "running_thread_ids" => map.serialize_entry(key, &refusal.running_thread_ids)?,
            "running_count" => map.serialize_entry(key, &refusal.running_count.unwrap_or_default())?,
            "current_count" => map.serialize_entry(key, &refusal.current_count.unwrap_or_default())?,
            "limit" => map.serialize_entry(key, &refusal.limit.unwrap_or_default())?,
            _ => map.serialize_entry(key, &refusal.tier_name.as_deref().unwrap_or_default())?,
        }
    }
    map.serialize_entry("error_code", &refusal.error_code)?;
    map.end()
}
