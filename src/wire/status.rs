//! Converts an [`Error`] to a `google.rpc.Status`, and reads a Status. Only the Status is sent to the client. The
//! cause of the error is only logged.

use std::collections::HashMap;

use http::HeaderMap;
use prost::Message;
use prost_types::Any;
use runyard_contract::{
    rpc as pb,
    status::{DOMAIN, StatusDetails},
};
use tonic::{Code as GrpcCode, Status};

use crate::{
    error::{Error, ErrorDetails, Kind},
    v1::Refusal,
};

const DETAILS_HEADER: &str = "grpc-status-details-bin";
const STATUS_HEADER: &str = "grpc-status";
const MESSAGE_HEADER: &str = "grpc-message";

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        log(&error);
        let details = details(&error);
        Self::with_details(grpc_code(error.kind()), error.message(), details.into())
    }
}

pub fn read(status: &Status) -> StatusDetails {
    let code = status.code();
    StatusDetails::read(code as i32, status.message(), code.description(), status.details())
}

/// Adds Runyard's error code and details to a Status that tonic itself has created. The Status is in the headers of a
/// trailers-only response.
///
/// If a request message cannot be decoded, tonic reports INTERNAL, which means a server error. This function corrects
/// the code.
pub fn complete(headers: &mut HeaderMap) {
    let failed = headers.get(STATUS_HEADER).is_some_and(|status| status != "0");
    if !failed || headers.contains_key(DETAILS_HEADER) {
        return;
    }
    let Some(status) = Status::from_header_map(headers) else {
        return;
    };
    let fault = read(&status);
    let details = pack(
        &status,
        grpc_code(fault.kind),
        vec![any(&error_info(&fault.reason, HashMap::new()))],
    );
    let full = Status::with_details(grpc_code(fault.kind), fault.message, details.into());
    for name in [STATUS_HEADER, MESSAGE_HEADER] {
        headers.remove(name);
    }
    if full.add_header(headers).is_err() {
        // The message may be too long for a header. The gRPC code still identifies the kind of error.
        headers.insert(STATUS_HEADER, http::HeaderValue::from(full.code() as i32));
    }
}

/// Makes the message of a Status readable for clients that do not percent-decode it. gRPC requires percent-encoding
/// only for `%` and for bytes outside printable ASCII, but tonic also encodes other characters, such as spaces.
pub fn show(headers: &mut HeaderMap) {
    use percent_encoding::{AsciiSet, CONTROLS, percent_decode, percent_encode};
    const ENCODED: &AsciiSet = &CONTROLS.add(b'%');
    let Some(message) = headers.get(MESSAGE_HEADER) else {
        return;
    };
    if !message.as_bytes().contains(&b'%') {
        return;
    }
    let text: Vec<u8> = percent_decode(message.as_bytes()).collect();
    let encoded = percent_encode(&text, ENCODED).to_string();
    // A header value loses leading and trailing spaces, so a message with such spaces stays encoded.
    if encoded.trim() == encoded
        && let Ok(value) = http::HeaderValue::try_from(encoded)
    {
        headers.insert(MESSAGE_HEADER, value);
    }
}

pub fn refuse<B: Default>(status: Status) -> http::Response<B> {
    let mut answer = status.into_http();
    show(answer.headers_mut());
    answer
}

pub const fn grpc_code(kind: Kind) -> GrpcCode {
    match kind {
        Kind::Invalid => GrpcCode::InvalidArgument,
        Kind::Unauthenticated => GrpcCode::Unauthenticated,
        Kind::Forbidden | Kind::NotInPlan => GrpcCode::PermissionDenied,
        Kind::Missing => GrpcCode::NotFound,
        Kind::Existing => GrpcCode::AlreadyExists,
        Kind::Conflicting => GrpcCode::FailedPrecondition,
        Kind::Contended => GrpcCode::Aborted,
        Kind::OverPlan | Kind::Throttled | Kind::TooLarge => GrpcCode::ResourceExhausted,
        Kind::Unavailable => GrpcCode::Unavailable,
        Kind::Expired => GrpcCode::DeadlineExceeded,
        Kind::Cancelled => GrpcCode::Cancelled,
        Kind::Unimplemented => GrpcCode::Unimplemented,
        Kind::Internal => GrpcCode::Internal,
    }
}

fn log(error: &Error) {
    let (kind, cause) = (error.kind(), error.cause());
    let (error_code, error) = (error.code().as_str(), error.message());
    match (kind, cause) {
        (Kind::Internal, Some(cause)) => tracing::error!(error_code, error, cause = %chain(cause), "call failed"),
        (Kind::Internal, None) => tracing::error!(error_code, error, "call failed"),
        (Kind::Unavailable, Some(cause)) => tracing::warn!(error_code, error, cause = %chain(cause), "call refused"),
        // Any client can cause errors such as invalid tokens, so these errors are logged only at debug level.
        (_, Some(cause)) => tracing::debug!(error_code, error, cause = %chain(cause), "call refused"),
        (_, None) => tracing::debug!(error_code, error, "call refused"),
    }
}

/// Formats an error and its sources on one line.
pub(super) fn chain(cause: &(dyn std::error::Error + Send + Sync)) -> String {
    let mut text = cause.to_string();
    let mut next = cause.source();
    while let Some(deeper) = next {
        let deeper_text = deeper.to_string();
        // The text of a source is skipped if it is already a part of the error's text.
        if !text.contains(&deeper_text) {
            text.push_str(": ");
            text.push_str(&deeper_text);
        }
        next = deeper.source();
    }
    text
}

fn details(error: &Error) -> Vec<u8> {
    let mut all = vec![any(&error_info(error.code().as_str(), metadata(error.details())))];
    if let Some(field) = error.field() {
        all.push(any(&pb::BadRequest {
            field_violations: vec![pb::bad_request::FieldViolation {
                field: field.to_owned(),
                description: error.message().to_owned(),
                ..Default::default()
            }],
        }));
    }
    if let Some(wait) = error.retry_after_hint() {
        all.push(any(&pb::RetryInfo {
            retry_delay: prost_types::Duration::try_from(wait).ok(),
        }));
    }
    if error.kind() == Kind::OverPlan {
        all.push(any(&pb::QuotaFailure {
            violations: vec![pb::quota_failure::Violation {
                subject: "account".to_owned(),
                description: error.message().to_owned(),
                ..Default::default()
            }],
        }));
    }
    if matches!(error.kind(), Kind::OverPlan | Kind::NotInPlan) {
        all.push(any(&refusal(error)));
    }
    let plain = Status::new(grpc_code(error.kind()), error.message());
    pack(&plain, plain.code(), all)
}

fn pack(status: &Status, code: GrpcCode, details: Vec<Any>) -> Vec<u8> {
    pb::Status {
        code: code as i32,
        message: status.message().to_owned(),
        details,
    }
    .encode_to_vec()
}

fn error_info(reason: &str, metadata: HashMap<String, String>) -> pb::ErrorInfo {
    pb::ErrorInfo {
        reason: reason.to_owned(),
        domain: DOMAIN.to_owned(),
        metadata,
    }
}

/// Returns the details as strings, for clients that know google.rpc but not Runyard's detail type.
fn metadata(details: Option<&ErrorDetails>) -> HashMap<String, String> {
    let Some(details) = details else {
        return HashMap::new();
    };
    let numbers = [
        ("running_count", details.running_count),
        ("current_count", details.current_count),
        ("limit", details.limit),
    ];
    numbers
        .into_iter()
        .filter_map(|(name, number)| Some((name.to_owned(), number?.to_string())))
        .chain(
            details
                .tier_name
                .iter()
                .map(|tier| ("tier_name".to_owned(), tier.clone())),
        )
        .collect()
}

fn refusal(error: &Error) -> Refusal {
    let details = error.details().cloned().unwrap_or_default();
    Refusal {
        message: error.message().to_owned(),
        running_thread_ids: details.running_thread_ids,
        running_count: details.running_count,
        current_count: details.current_count,
        limit: details.limit,
        tier_name: details.tier_name,
        error_code: error.code().as_str().to_owned(),
    }
}

fn any<M: Detail>(message: &M) -> Any {
    Any {
        type_url: format!("type.googleapis.com/{}", M::FULL_NAME),
        value: message.encode_to_vec(),
    }
}

trait Detail: Message {
    const FULL_NAME: &'static str;
}

impl Detail for pb::ErrorInfo {
    const FULL_NAME: &'static str = "google.rpc.ErrorInfo";
}

impl Detail for pb::BadRequest {
    const FULL_NAME: &'static str = "google.rpc.BadRequest";
}

impl Detail for pb::RetryInfo {
    const FULL_NAME: &'static str = "google.rpc.RetryInfo";
}

impl Detail for pb::QuotaFailure {
    const FULL_NAME: &'static str = "google.rpc.QuotaFailure";
}

impl Detail for Refusal {
    const FULL_NAME: &'static str = "runyard.v1.Refusal";
}
