//! Converts a gRPC `Status` to an error with the server's code and message, if it sent them.

use runyard_contract::status::StatusDetails;
use tonic::{Code as Grpc, Status};

use crate::error::{Code, Error, ErrorDetails};

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
    let message = match status.message() {
        "" => status.code().description(),
        text => text,
    };
    let read = StatusDetails::read(status.code() as i32, message, status.details());
    let code = Code::ALL.iter().copied().find(|code| code.as_str() == read.reason);
    let code = code.or_else(|| Code::ALL.iter().copied().find(|code| code.kind() == read.kind));
    let details = read.refusal.map(|refusal| ErrorDetails {
        running_thread_ids: refusal.running_thread_ids,
        running_count: refusal.running_count,
        current_count: refusal.current_count,
        limit: refusal.limit,
        tier_name: refusal.tier_name,
    });
    Error::new(code.unwrap_or(Code::Internal), read.message)
        .with_field(read.field)
        .with_details(details)
        .retry_after(read.retry_after)
        .caused_by(status)
}
