//! What a `Status` means for a client: the server's own code and sentence, when it sent them.

use tonic::{Code as Grpc, Status};
use tonic_types::StatusExt;

use crate::error::{Code, Error};

/// Whether the same call may succeed a moment later, because the server or the way to it was away.
pub(super) fn is_passing(status: &Status) -> bool {
    match status.code() {
        Grpc::Unavailable => true,
        // The connection broke in the middle of a call: hyper's and h2's errors travel as the source.
        Grpc::Unknown | Grpc::Internal | Grpc::Cancelled => std::error::Error::source(status).is_some(),
        _ => false,
    }
}

/// The error that the server meant.
pub(super) fn from_status(status: Status) -> Error {
    let reason = status.get_details_error_info().map(|info| info.reason);
    let code = reason.and_then(|reason| Code::ALL.iter().copied().find(|code| code.as_str() == reason));
    let code = code.unwrap_or(match status.code() {
        Grpc::InvalidArgument | Grpc::OutOfRange => Code::InvalidRequest,
        Grpc::Unauthenticated => Code::NotAuthenticated,
        Grpc::PermissionDenied => Code::PermissionDenied,
        Grpc::NotFound => Code::NoSuchPath,
        Grpc::FailedPrecondition | Grpc::AlreadyExists => Code::Conflict,
        Grpc::Aborted => Code::Contended,
        Grpc::ResourceExhausted => Code::Throttled,
        Grpc::Unimplemented => Code::Unimplemented,
        Grpc::Unavailable => Code::Unavailable,
        Grpc::DeadlineExceeded => Code::DeadlineExceeded,
        Grpc::Cancelled => Code::Cancelled,
        Grpc::Ok | Grpc::Unknown | Grpc::Internal | Grpc::DataLoss => Code::Internal,
    });
    let message = match status.message() {
        "" => code.describe().trim().to_owned(),
        message => message.to_owned(),
    };
    Error::new(code, message).caused_by(status)
}
