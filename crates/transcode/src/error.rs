//! The error type of the transcoder, and the type of a refused request.
//!
//! An [`Error`] does not depend on a response format: a [`Faults`](crate::Faults) renders it as an HTTP response.

use std::{borrow::Cow, error::Error as StdError, fmt};

use tonic::Status;

/// A result whose error type defaults to [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The category of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request is invalid, or a rule in the descriptors is invalid.
    Invalid,
    /// The request exceeds a size limit.
    TooLarge,
    /// No rule matches the path of the request.
    NoSuchPath,
    /// A rule matches the path, but no rule for this path has the HTTP method of the request.
    MethodNotAllowed,
    /// The gRPC method does not accept a body of this media type or content encoding.
    UnsupportedMedia,
    /// The service sent an invalid response, or the call failed.
    Internal,
}

/// An error of the transcoder: a category, a message for clients, the request field that caused it, and a cause for
/// logs.
#[derive(Debug)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    field: Option<Cow<'static, str>>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Self {
            inner: Box::new(Inner {
                kind,
                message,
                field: None,
                cause: None,
            }),
        }
    }

    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn invalid_field(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        let mut error = Self::invalid(message);
        error.inner.field = Some(field.into());
        error
    }

    /// Creates an internal error. Clients may receive the message, but the cause is only logged.
    pub(crate) fn internal(
        message: impl Into<Cow<'static, str>>,
        cause: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::new(ErrorKind::Internal, message).caused_by(cause)
    }

    pub(crate) fn caused_by(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner.cause = Some(cause.into());
        self
    }

    /// Returns the category of the error, which determines the HTTP status.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// Returns the human-readable message, which clients may receive.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// Returns the path of the request field that caused the error; `None` if the error does not concern a single
    /// field.
    pub fn field(&self) -> Option<&str> {
        self.inner.field.as_deref()
    }

    /// Returns the cause, if any. The cause is for logs; do not send it to clients.
    pub fn cause(&self) -> Option<&(dyn StdError + Send + Sync)> {
        self.inner.cause.as_deref()
    }

    /// Removes the cause and returns it; `None` if the error has no cause.
    pub fn take_cause(&mut self) -> Option<Box<dyn StdError + Send + Sync>> {
        self.inner.cause.take()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)?;
        if let Some(cause) = &self.inner.cause {
            write!(f, " ({cause})")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let cause = self.inner.cause.as_ref();
        cause.map(|cause| &**cause as &(dyn StdError + 'static))
    }
}

/// Reason why a request has failed.
#[derive(Debug)]
pub enum Refused {
    /// The transcoder refused the request.
    Error(Error),
    /// A gRPC Status, for example from a [`FormFiles`](crate::FormFiles) store that refused a file.
    Status(Status),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}
