//! Converts a gRPC `Status` to the client's error.

use runyard_contract::status::StatusDetails;
use tonic::{Code as Grpc, Status};

use crate::error::{Code, Error, ErrorDetails};

/// Returns true if a retry may succeed: the server was unavailable, or the connection broke.
pub(super) fn is_passing(status: &Status) -> bool {
    match status.code() {
        Grpc::Unavailable => true,
        // tonic sets the source only if the connection broke. A Status from the server has no source.
        Grpc::Unknown | Grpc::Internal | Grpc::Cancelled => std::error::Error::source(status).is_some(),
        _ => false,
    }
}

/// Converts a Status to an error. An unknown code of a newer server becomes a known code of the same kind.
pub fn from_status(status: Status) -> Error {
    let grpc = status.code();
    let read = StatusDetails::read(grpc as i32, status.message(), grpc.description(), status.details());
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
