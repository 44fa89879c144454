//! What a `Status` means for a client: the server's own code and sentence, when it sent them.

use tonic::{Code as Grpc, Status};

use crate::{
    error::{Code, Error},
    wire::status::Fault,
};

/// Whether the same call may succeed a moment later, because the server or the way to it was away.
pub(super) fn is_passing(status: &Status) -> bool {
    match status.code() {
        Grpc::Unavailable => true,
        // The connection broke in the middle of a call: hyper's and h2's errors travel as the source.
        Grpc::Unknown | Grpc::Internal | Grpc::Cancelled => std::error::Error::source(status).is_some(),
        _ => false,
    }
}

/// The error that the server meant. A newer server may have codes that this client does not know.
pub(super) fn from_status(status: Status) -> Error {
    let fault = Fault::of(&status);
    let code = Code::ALL.iter().copied().find(|code| code.as_str() == fault.reason);
    let code = code.or_else(|| Code::ALL.iter().copied().find(|code| code.kind() == fault.kind));
    Error::new(code.unwrap_or(Code::Internal), fault.message).caused_by(status)
}
