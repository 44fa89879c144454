//! The error type of the crate. A failed tool call is a [`crate::Outcome`] instead.

use std::{error::Error as StdError, io, time::Duration};

use rmcp::{
    service::{ClientInitializeError, ServiceError},
    transport::streamable_http_client::StreamableHttpError,
};

/// A result whose error type defaults to [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Maximum bytes of a server's text in an error.
const MAX_QUOTED: usize = 500;
const CLOSED: &str = "the server closed the connection";

/// Reason why a server cannot be used, for the owner of its configuration. The text contains no header and no URL.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is invalid, or the address is not permitted.
    #[error("{0}")]
    Refused(String),
    /// The server was unreachable, or did not complete the handshake or the tool list.
    #[error("{0}")]
    Failed(String),
    /// The server did not answer in time.
    #[error("no answer within {} seconds", .0.as_secs_f32())]
    TimedOut(Duration),
    /// The HTTP client could not be set up.
    #[error("the HTTP client for MCP servers could not be set up: {0}")]
    Client(#[source] reqwest::Error),
}

impl Error {
    pub(crate) fn of_handshake(error: &ClientInitializeError) -> Self {
        Self::Failed(match error {
            ClientInitializeError::TransportError { error, .. } => root(error.error.as_ref()),
            ClientInitializeError::JsonRpcError(error) => format!("the server refused: {}", quoted(&error.message)),
            ClientInitializeError::ConnectionClosed(_) => CLOSED.to_owned(),
            other => quoted(&other.to_string()),
        })
    }

    pub(crate) fn of_service(error: &ServiceError) -> Self {
        Self::Failed(described(error))
    }
}

pub(crate) fn described(error: &ServiceError) -> String {
    match error {
        ServiceError::McpError(error) => format!("the server reported: {}", quoted(&error.message)),
        ServiceError::TransportSend(error) => root(error.error.as_ref()),
        ServiceError::TransportClosed => "the connection closed".to_owned(),
        ServiceError::UnexpectedResponse => "the server sent a response of an unexpected type".to_owned(),
        other => quoted(&other.to_string()),
    }
}

/// Returns the innermost cause, because outer errors of the HTTP client contain the URL, which may contain a key.
pub(crate) fn root(error: &(dyn StdError + 'static)) -> String {
    let mut innermost = error;
    while let Some(cause) = cause(innermost) {
        innermost = cause;
    }
    if let Some(error) = innermost.downcast_ref::<reqwest::Error>() {
        return match error.status() {
            Some(status) => format!("the server answered with HTTP status {status}"),
            None if error.is_timeout() => "the request timed out".to_owned(),
            None => "the request failed".to_owned(),
        };
    }
    // If a server process has ended, a write to it can fail before the client notices that the process has closed its
    // output.
    let is_closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    if innermost.downcast_ref().is_some_and(is_closed) {
        return CLOSED.to_owned();
    }
    quoted(&innermost.to_string())
}

/// Returns the cause of an error. `StreamableHttpError` does not implement `source`.
pub(crate) fn cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match error.downcast_ref::<StreamableHttpError<reqwest::Error>>() {
        Some(StreamableHttpError::Client(error)) => Some(error),
        _ => error.source(),
    }
}

/// Cuts a server's text and replaces control characters with spaces.
pub(crate) fn quoted(text: &str) -> String {
    let cut = &text[..text.floor_char_boundary(MAX_QUOTED)];
    let mut line: String = cut
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    if cut.len() < text.len() {
        line.push('…');
    }
    line
}
