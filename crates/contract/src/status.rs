//! Reads the error from a gRPC Status.

use std::{borrow::Cow, time::Duration};

use prost::Message;

use crate::{
    error::{Code, Kind},
    rpc,
    v1::Refusal,
};

/// The `ErrorInfo.domain` of all Runyard errors.
pub const DOMAIN: &str = "runyard";

/// The error in a gRPC Status.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusDetails {
    /// The category of the error.
    pub kind: Kind,
    /// The stable error code, such as `AGENT_NOT_FOUND`.
    pub reason: Cow<'static, str>,
    /// The message for people. Never empty: the standard text of the gRPC code replaces a missing message.
    pub message: String,
    /// The exceeded plan limit; `None` for other errors.
    pub refusal: Option<Refusal>,
    /// The time to wait before a retry, if the server suggests one.
    pub retry_after: Option<Duration>,
    /// The name of the first invalid request field, if the error names one.
    pub field: Option<String>,
}

impl StatusDetails {
    /// Reads a Status. tonic itself creates Status values without `ErrorInfo`; their kind and reason follow from the
    /// gRPC code and the message.
    ///
    /// `description` is the standard text of `code`. `details` is an encoded `google.rpc.Status`.
    pub fn read(code: i32, message: &str, description: &str, details: &[u8]) -> Self {
        let message = if message.is_empty() { description } else { message };
        let mut info = None;
        let mut refusal = None;
        let mut retry_after = None;
        let mut field = None;
        for detail in rpc::Status::decode(details).unwrap_or_default().details {
            match detail.type_url.rsplit('/').next() {
                Some("google.rpc.ErrorInfo") => info = rpc::ErrorInfo::decode(&*detail.value).ok(),
                Some("google.rpc.RetryInfo") => retry_after = delay(&detail.value),
                Some("google.rpc.BadRequest") => field = blamed(&detail.value),
                Some("runyard.v1.Refusal") => refusal = Refusal::decode(&*detail.value).ok(),
                _ => {}
            }
        }
        let (bare, bare_reason) = bare_kind(code, message);
        let (kind, reason) = match info {
            Some(info) => (kind_of_reason(&info).unwrap_or(bare), Cow::Owned(info.reason)),
            None => (bare, Cow::Borrowed(bare_reason)),
        };
        Self {
            kind,
            reason,
            message: message.to_owned(),
            refusal,
            retry_after,
            field,
        }
    }
}

fn delay(encoded: &[u8]) -> Option<Duration> {
    let info = rpc::RetryInfo::decode(encoded).ok()?;
    Duration::try_from(info.retry_delay?).ok()
}

fn blamed(encoded: &[u8]) -> Option<String> {
    let violations = rpc::BadRequest::decode(encoded).ok()?.field_violations;
    violations.into_iter().next().map(|violation| violation.field)
}

fn kind_of_reason(info: &rpc::ErrorInfo) -> Option<Kind> {
    if info.domain != DOMAIN {
        return None;
    }
    Code::ALL
        .iter()
        .find(|code| code.as_str() == info.reason)
        .map(|code| code.kind())
}

/// Returns the kind and the reason of a Status without `ErrorInfo`.
fn bare_kind(code: i32, message: &str) -> (Kind, &'static str) {
    match code {
        grpc::OUT_OF_RANGE if message.contains("message length too large") => (Kind::TooLarge, "TOO_LARGE"),
        grpc::RESOURCE_EXHAUSTED if message.starts_with("Error decompressing: size limit") => {
            (Kind::TooLarge, "TOO_LARGE")
        }
        grpc::INVALID_ARGUMENT | grpc::OUT_OF_RANGE => (Kind::Invalid, "INVALID_REQUEST"),
        grpc::INTERNAL if is_undecodable(message) => (Kind::Invalid, "INVALID_REQUEST"),
        grpc::UNAUTHENTICATED => (Kind::Unauthenticated, "NOT_AUTHENTICATED"),
        grpc::PERMISSION_DENIED => (Kind::Forbidden, "PERMISSION_DENIED"),
        grpc::NOT_FOUND => (Kind::Missing, "NOT_FOUND"),
        grpc::ALREADY_EXISTS => (Kind::Existing, "ALREADY_EXISTS"),
        grpc::FAILED_PRECONDITION => (Kind::Conflicting, "CONFLICT"),
        grpc::ABORTED => (Kind::Contended, "CONTENDED"),
        grpc::RESOURCE_EXHAUSTED => (Kind::Throttled, "THROTTLED"),
        grpc::UNAVAILABLE => (Kind::Unavailable, "UNAVAILABLE"),
        grpc::DEADLINE_EXCEEDED => (Kind::Expired, "DEADLINE_EXCEEDED"),
        grpc::CANCELLED => (Kind::Cancelled, "CANCELLED"),
        grpc::UNIMPLEMENTED => (Kind::Unimplemented, "UNIMPLEMENTED"),
        _ => (Kind::Internal, "INTERNAL"),
    }
}

/// Returns true if tonic or tonic-web 0.14 sends this message for a request that cannot be decoded.
fn is_undecodable(message: &str) -> bool {
    const SENTENCES: &[&str] = &[
        "failed to decode Protobuf message",
        "Missing request message",
        "Unexpected EOF decoding stream",
        "protocol error: received message with",
        "Error decompressing",
        // Messages of the gRPC-Web decoder start with this prefix.
        "tonic-web: ",
    ];
    SENTENCES.iter().any(|sentence| message.starts_with(sentence))
}

/// The gRPC status codes (<https://grpc.io/docs/guides/status-codes/>).
mod grpc {
    pub(super) const CANCELLED: i32 = 1;
    pub(super) const INVALID_ARGUMENT: i32 = 3;
    pub(super) const DEADLINE_EXCEEDED: i32 = 4;
    pub(super) const NOT_FOUND: i32 = 5;
    pub(super) const ALREADY_EXISTS: i32 = 6;
    pub(super) const PERMISSION_DENIED: i32 = 7;
    pub(super) const RESOURCE_EXHAUSTED: i32 = 8;
    pub(super) const FAILED_PRECONDITION: i32 = 9;
    pub(super) const ABORTED: i32 = 10;
    pub(super) const OUT_OF_RANGE: i32 = 11;
    pub(super) const UNIMPLEMENTED: i32 = 12;
    pub(super) const INTERNAL: i32 = 13;
    pub(super) const UNAVAILABLE: i32 = 14;
    pub(super) const UNAUTHENTICATED: i32 = 16;
}
