//! Converts a gRPC `Status` to an error with the server's code and message, if it sent them.

use tonic::{Code as Grpc, Status};

use crate::{
    error::{Code, Error, ErrorDetails},
    wire::status::Fault,
};

/// Returns true if the server was unreachable, so that a retry may succeed.
pub(super) fn is_passing(status: &Status) -> bool {
    match status.code() {
        Grpc::Unavailable => true,
        // The connection broke during the call: errors of hyper and h2 are attached as the source.
        Grpc::Unknown | Grpc::Internal | Grpc::Cancelled => std::error::Error::source(status).is_some(),
        _ => false,
    }
}

/// Converts a status to an error. An unknown code, as from a newer server, is replaced by a known code of the same
/// kind.
pub fn from_status(status: Status) -> Error {
    let fault = Fault::of(&status);
    let code = Code::ALL.iter().copied().find(|code| code.as_str() == fault.reason);
    let code = code.or_else(|| Code::ALL.iter().copied().find(|code| code.kind() == fault.kind));
    let code = code.unwrap_or(Code::Internal);
    let mut error = match fault.field {
        Some(field) if code == Code::InvalidRequest => Error::invalid_field(field, fault.message),
        _ => Error::new(code, fault.message),
    };
    if let Some(refusal) = fault.refusal {
        error = error.with_details(ErrorDetails {
            running_thread_ids: refusal.running_thread_ids,
            running_count: refusal.running_count,
            current_count: refusal.current_count,
            limit: refusal.limit,
            tier_name: refusal.tier_name,
        });
    }
    if let Some(wait) = fault.retry_after {
        error = error.retry_after(wait);
    }
    error.caused_by(status)
}
